"""A new key for what is sealed: whoever is cut off on the way can still open everything."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from infra import key_rotation, key_urls, sealed_file
from infra.key_rotation import Files, OneTimeSecrets, Rotated, rotate
from infra.key_urls import SecretError
from infra.postgres import accounts
from infra.postgres.accounts import User
from infra.postgres.tables import users
from infra.sign_in_key import FOLDER, SIGNING_KEY, SignInKey

pytestmark = pytest.mark.stack
STEPS = [
    "both keys are kept",
    "a shelf is sealed anew",
    "a shelf is sealed anew",
    "everything was opened with the new key",
    "the old key is gone",
]
PEOPLE = {"owner@example.test": "JBSWY3DPEHPK3PXP", "reader@example.test": "KRSXG5CTMVRXEZLU"}


class CutOffError(BaseException):
    """The process ends here."""


@dataclass
class Place:
    """A home with people, a signing key, and the key that both are sealed with."""

    home: Path
    engine: sa.Engine
    signing: bytes = b""

    @property
    def path(self) -> Path:
        return self.home / FOLDER / "paper.key"

    @property
    def url(self) -> str:
        return self.path.as_uri()

    @property
    def shelves(self) -> list[key_rotation.Shelf]:
        return [OneTimeSecrets(self.engine), Files((self.home / FOLDER / SIGNING_KEY, self.home / "absent"))]

    def settled(self) -> Place:
        key = SignInKey(self.url)
        self.signing = key.signing_key(self.home)
        for email, secret in PEOPLE.items():
            self.enrol(email, key.seal(secret))
        return self

    def enrol(self, email: str, sealed: bytes) -> None:
        user = User(
            user_id=email,
            email=email,
            role="reader",
            password_hash="$argon2id$",
            totp_secret=sealed,
            totp_step=0,
            disabled=False,
        )
        with self.engine.begin() as db:
            accounts.add(db, user, [bytes(32)])

    def rotated(self, cut_off_after: int | None = None) -> Rotated | None:
        done: list[str] = []

        def reached(step: str) -> None:
            done.append(step)
            if len(done) - 1 == cut_off_after:
                raise CutOffError

        try:
            return rotate(self.url, self.shelves, reached)
        except CutOffError:
            return None
        finally:
            assert done == STEPS[: len(done)]

    def opened_by(self, key: SignInKey) -> None:
        """Everything is what it was."""
        with self.engine.begin() as db:
            found = {user.email: key.unseal(user.totp_secret) for user in accounts.everyone(db)}
        assert found == PEOPLE
        assert key.signing_key(self.home) == self.signing


@pytest.fixture
def place(postgres_url: str, tmp_path: Path) -> Iterator[Place]:
    engine = sa.create_engine(postgres_url)
    yield Place(tmp_path, engine).settled()
    with engine.begin() as db:
        db.execute(sa.text("TRUNCATE users CASCADE"))
    engine.dispose()


def test_after_a_rotation_the_old_key_opens_nothing_and_the_new_one_all(place: Place) -> None:
    old = Fernet(place.path.read_text())
    assert place.rotated() == Rotated(resealed=3, lost=(), old_key_gone=True)
    place.opened_by(SignInKey(place.url))
    assert len(place.path.read_text().split()) == 1
    assert place.path.stat().st_mode & 0o777 == 0o600
    for sealed in (each for shelf in place.shelves for each in shelf.sealed().values()):
        assert not key_rotation._opens(old, sealed)


@pytest.mark.parametrize("step", range(len(STEPS)))
def test_wherever_a_rotation_is_cut_off_all_opens_and_the_next_one_ends_it(place: Place, step: int) -> None:
    before = place.path.read_text()
    assert place.rotated(cut_off_after=step) is None
    place.opened_by(SignInKey(place.url))
    halfway = place.path.read_text().split()
    done = place.rotated()
    assert done is not None and done.old_key_gone
    place.opened_by(SignInKey(place.url))
    after = place.path.read_text().split()
    assert len(after) == 1 and after != [before]
    if len(halfway) == 2:
        assert after == halfway[:1], "the one that was begun, and no third"


KILLED = """
import os, signal, sys
from pathlib import Path
import sqlalchemy as sa
from infra import key_rotation
from infra.postgres import accounts
url, database, signing, calls = sys.argv[1], sys.argv[2], Path(sys.argv[3]), 0

def killed(db, user_id, sealed, kept=accounts.reseal):
    kept(db, user_id, sealed)
    os.kill(os.getpid(), signal.SIGKILL)

accounts.reseal = killed
people = key_rotation.OneTimeSecrets(sa.create_engine(database))
key_rotation.rotate(url, [key_rotation.Files((signing,)), people])
"""


def test_killed_between_two_peoples_secrets_all_opens(place: Place, postgres_url: str) -> None:
    """The signing key has the new key already, one person's row was written and never committed."""
    words = [place.url, postgres_url, str(place.home / FOLDER / SIGNING_KEY)]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *words],
        check=False,
        timeout=170,
        capture_output=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    place.opened_by(SignInKey(place.url))
    assert place.rotated() == Rotated(resealed=3, lost=(), old_key_gone=True)
    place.opened_by(SignInKey(place.url))


def test_who_read_the_key_before_opens_what_was_sealed_after(place: Place) -> None:
    """A process that serves goes on: it reads the key again when the one it has does not fit."""
    running = SignInKey(place.url)
    place.rotated()
    place.rotated()
    place.opened_by(running)


def test_what_no_key_opens_is_told_and_left_as_it_is(place: Place) -> None:
    foreign = Fernet(Fernet.generate_key()).encrypt(b"of another home")
    place.enrol("lost@example.test", foreign)
    done = place.rotated()
    assert done == Rotated(resealed=3, lost=("the one-time secret of lost@example.test",), old_key_gone=True)
    with place.engine.begin() as db:
        kept = db.execute(sa.select(users.c.totp_secret).where(users.c.user_id == "lost@example.test"))
        assert kept.scalar_one() == foreign


def test_the_old_key_stays_for_what_was_sealed_with_it_meanwhile(place: Place) -> None:
    old = sealed_file.kept_key(place.url)

    def late(step: str) -> None:
        if step == STEPS[1] and "late@example.test" not in str(place.shelves[0].sealed()):
            place.enrol("late@example.test", old.encrypt(b"JBSWY3DPEHPK3PXP"))

    with pytest.raises(SecretError, match="say it again"):
        rotate(place.url, place.shelves, late)
    assert len(place.path.read_text().split()) == 2
    assert place.rotated() == Rotated(resealed=4, lost=(), old_key_gone=True)


def test_a_key_in_a_variable_is_changed_by_its_owner(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = place.path.read_text(), Fernet.generate_key().decode()
    monkeypatch.setenv("KEY_FOR_TEST", old)
    with pytest.raises(SecretError, match="before the present one") as told:
        rotate("env:KEY_FOR_TEST", place.shelves)
    assert old not in str(told.value)
    monkeypatch.setenv("KEY_FOR_TEST", f"{new} {old}")
    assert rotate("env:KEY_FOR_TEST", place.shelves) == Rotated(resealed=3, lost=(), old_key_gone=False)
    monkeypatch.setenv("KEY_FOR_TEST", new)
    place.opened_by(SignInKey("env:KEY_FOR_TEST"))


def test_a_place_that_keeps_no_key_or_something_else_is_left_alone(place: Place) -> None:
    with pytest.raises(SecretError, match="no file"):
        rotate((place.home / "nowhere").as_uri(), place.shelves)
    assert not (place.home / "nowhere").exists()
    key_urls.replace(place.url, "no key at all")
    with pytest.raises(SecretError, match="not 32 bytes"):
        rotate(place.url, place.shelves)
    assert place.path.read_text() == "no key at all"
