"""`kitepilot users` and `secrets` as a person uses them, over a real book of record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from infra.audit.acts import acts_log
from infra.postgres import sign_ins
from infra.postgres.embedded import Server
from infra.postgres.sign_ins import SessionRow
from infra.sign_in_key import SignInKey
from kitepilot.audit.acts import Acted, decode_act
from kitepilot.cli.main import app

pytestmark = pytest.mark.stack
OWNER, READER = "Owner@Example.test", "reader@example.test"
PASSWORD = "a long walk by the sea"
NOW = 1_795_150_800_000_000_000


@pytest.fixture(scope="module")
def people_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Server(tmp_path_factory.mktemp("people")) as server:
        yield server.url


class Terminal:
    """Somebody at a terminal, in a home of his own."""

    def __init__(self, home: Path, url: str) -> None:
        self.home, self.url = home, url
        self._config = home / "config.yaml"
        self._config.write_text(f"storage: {{database_url: '{url}'}}\n")

    def says(self, *words: str, typed: str = "") -> Result:
        given = [*words, "--config", str(self._config)]
        result = CliRunner().invoke(app, given, input=typed)
        assert "Traceback" not in result.output
        return result

    def told(self, *words: str, typed: str = "") -> Any:
        result = self.says(*words, "--json", typed=typed)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def refused(self, *words: str, typed: str = "") -> str:
        result = self.says(*words, typed=typed)
        assert result.exit_code == 2 and result.stderr.count("error:") == 1, result.output
        return result.stderr

    def acts(self) -> list[Acted]:
        log = acts_log(self.home)
        reader = log.reader({("acts", 0): 0})
        found = [decode_act(record.value) for record in reader.poll(1_000)]
        reader.close()
        log.close()
        return found


@pytest.fixture
def at(tmp_path: Path, people_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("KITEPILOT_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")
    yield Terminal(tmp_path, people_url)
    engine = sa.create_engine(people_url)
    with engine.begin() as db:
        db.execute(sa.text("TRUNCATE users CASCADE"))
    engine.dispose()


def test_the_first_owner_is_shown_a_code_to_scan_and_ten_recovery_codes_once(at: Terminal) -> None:
    made = at.says("users", "add", OWNER, typed=f"{PASSWORD}\n")
    assert made.exit_code == 0, made.output
    assert "█" in made.stdout and made.stdout.count("-") >= 10
    assert PASSWORD not in made.output
    again = at.says("users", "list")
    assert "owner@example.test" in again.stdout and "10" in again.stdout
    secret = made.stdout.split("type the secret ")[1].split()[0]
    assert len(pyotp.TOTP(secret).now()) == 6 and secret not in again.output


def test_what_a_program_reads_has_everything_and_nothing_else(at: Terminal) -> None:
    made = at.told("users", "add", OWNER, typed=f"{PASSWORD}\n")
    assert made["totp_uri"].startswith("otpauth://totp/") and len(set(made["recovery_codes"])) == 10
    assert at.told("users", "list") == [
        {"email": "owner@example.test", "role": "owner", "disabled": False, "recovery_codes_left": 10}
    ]


def test_a_mistake_changes_nothing_and_says_what_to_do(at: Terminal) -> None:
    assert "--role 'boss' is none: owner" in at.refused("users", "add", OWNER, "--role", "boss")
    assert "not an e-mail address" in at.refused("users", "add", "owner")
    assert "nothing was changed" in at.refused("users", "add", OWNER, typed="short\n")
    assert "nothing was changed" in at.refused("users", "add", OWNER, typed="\n")
    assert "users list" in at.refused("users", "reset", OWNER, typed=f"{PASSWORD}\n")
    assert at.told("users", "list") == [] and at.acts() == []
    at.told("users", "add", OWNER, typed=f"{PASSWORD}\n")
    assert "users reset owner@example.test" in at.refused("users", "add", OWNER, typed=f"{PASSWORD}\n")
    assert "only owner" in at.refused("users", "disable", OWNER)


def test_a_reset_makes_everything_new_and_ends_what_was(at: Terminal) -> None:
    first = at.told("users", "add", OWNER, typed=f"{PASSWORD}\n")
    signed_in(at, OWNER.lower())
    token = at.told("users", "token", OWNER, "--name", "report")
    (shown,) = at.told("users", "sessions")
    assert (shown["email"], shown["address"]) == ("owner@example.test", "192.0.2.7")
    second = at.told("users", "reset", OWNER, typed="another long walk by the sea\n")
    assert second["totp_secret"] != first["totp_secret"]
    assert not set(second["recovery_codes"]) & set(first["recovery_codes"])
    assert at.told("users", "sessions") == []
    assert "no token" in at.refused("users", "token", OWNER, "--revoke", token["id"])


def test_who_is_disabled_is_out_and_may_be_let_in_again(at: Terminal) -> None:
    at.told("users", "add", OWNER, typed=f"{PASSWORD}\n")
    at.told("users", "add", READER, "--role", "reader", typed=f"{PASSWORD}\n")
    signed_in(at, READER)
    at.told("users", "disable", READER)
    assert at.told("users", "sessions") == []
    assert [each["disabled"] for each in at.told("users", "list")] == [False, True]
    at.told("users", "disable", READER, "--enable")
    signed_in(at, READER)
    at.told("users", "sessions", "--end-all", READER)
    assert at.told("users", "sessions") == []


def test_a_program_gets_no_more_than_its_person_has(at: Terminal) -> None:
    at.told("users", "add", OWNER, typed=f"{PASSWORD}\n")
    at.told("users", "add", READER, "--role", "reader", typed=f"{PASSWORD}\n")
    assert "not for reader" in at.refused("users", "token", READER, "--scope", "operate")
    made = at.told("users", "token", READER, "--name", "report", "--days", "2")
    assert made["token"].count(".") == 2
    assert at.says("users", "token", READER).stdout.count(".") == 2, "alone, for `> token`"
    assert at.told("users", "token", READER, "--revoke", made["id"]) == {"revoked": made["id"]}


def test_what_was_done_is_in_the_audit_without_its_secrets(at: Terminal) -> None:
    made = at.told("users", "add", OWNER, typed=f"{PASSWORD}\n")
    token = at.told("users", "token", OWNER)
    done = at.told("secrets", "rotate")
    assert done == {"sign-in": {"resealed": 2, "lost": [], "old_key_gone": True}}
    acts = at.acts()
    assert [(each.act, each.subject) for each in acts] == [
        ("user_changed", "owner@example.test"),
        ("user_changed", "owner@example.test"),
        ("secrets_rotated", "sign-in"),
        ("secrets_rotated", "sign-in"),
    ]
    assert [each.facts.get("step") for each in acts[2:]] == ["begun", "done"]
    key = (at.home / "sign-in" / "paper.key").read_text()
    for secret in (PASSWORD, made["totp_secret"], token["token"], key, *made["recovery_codes"]):
        assert secret not in repr(acts)


def test_a_rotation_keeps_phones_and_programs_tokens(at: Terminal) -> None:
    assert "nothing is sealed yet" in at.says("secrets", "rotate").stdout
    made = at.told("users", "add", OWNER, typed=f"{PASSWORD}\n")
    at.told("users", "token", OWNER)
    path = at.home / "sign-in" / "paper.key"
    before, signing = path.read_text(), SignInKey(path.as_uri()).signing_key(at.home)
    assert "sign-in: a new key, 2 sealed anew" in at.says("secrets", "rotate").stdout
    key = SignInKey(path.as_uri())
    assert path.read_text() != before and key.signing_key(at.home) == signing
    engine = sa.create_engine(at.url)
    with engine.begin() as db:
        sealed = db.execute(sa.text("SELECT totp_secret FROM users")).scalar_one()
    engine.dispose()
    assert key.unseal(bytes(sealed)) == made["totp_secret"]


def signed_in(at: Terminal, email: str) -> None:
    """A session of that person, as the API keeps one."""
    engine = sa.create_engine(at.url)
    with engine.begin() as db:
        user = db.execute(sa.text("SELECT user_id FROM users WHERE email = :e"), {"e": email}).scalar_one()
        row = SessionRow(
            session_id=f"of-{email}",
            user_id=user,
            email=email,
            role="owner",
            began_at_ns=NOW,
            seen_at_ns=NOW,
            fresh_at_ns=NOW,
            address="192.0.2.7",
            agent="a browser",
        )
        sign_ins.begin(db, secret_hash=email.encode().ljust(32)[:32], row=row, keep=10)
    engine.dispose()
