"""A day's end as the command line makes it: taken up, sealed, verified; and what a person can ask of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from day_tape import AUDITED, names, new_run, order_life, write
from typer.testing import CliRunner, Result

from flows.audit import Follower, acts_of, topics_of
from infra.audit.acts import record_act
from infra.audit.reading import open_book
from infra.audit.trail import Trail
from infra.eventlog.sqlite_log import SqliteLog
from kitepilot import config as configuration
from kitepilot.audit.acts import LOGGED_IN
from kitepilot.cli import sealing
from kitepilot.cli.main import app
from kitepilot.run import Run

pytestmark = pytest.mark.stack
RESULT = {
    "reconciled": True, "open_positions": 0, "orders": 3, "fills": 3, "net_pnl_paise": -4,
    "decisions_hash": "d",
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("KITEPILOT_HOME", str(tmp_path))
    monkeypatch.delenv("KITEPILOT_SEAL_KEY", raising=False)
    return new_run(tmp_path, url)


@pytest.fixture
def log(run: Run) -> Iterator[SqliteLog]:
    log = SqliteLog(run.log_folder)
    yield log
    log.close()


@contextmanager
def followed(run: Run) -> Iterator[None]:
    """The audit's process, as a thread."""
    stop = threading.Event()

    def follow() -> None:
        trail = Trail(run.config.storage.database_url)
        follower = Follower(trail, (topics_of(run), acts_of(run.home)))
        while not stop.is_set():
            if not follower.step():
                stop.wait(0.02)
        follower.close()
        trail.close()

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)


@pytest.fixture
def sealed(run: Run, log: SqliteLog) -> dict[str, Any]:
    """A day of three orders that ended in order."""
    for seq in range(3):
        write(log, order_life(run, seq))
    with followed(run):
        return sealing.seal_day(run, log, RESULT)


@pytest.fixture
def ask(run: Run, tmp_path: Path) -> Callable[..., Result]:
    path = tmp_path / "kitepilot.yaml"
    path.write_text(configuration.dump(run.config))

    def asked(*words: str) -> Result:
        return CliRunner().invoke(app, [*words, "--config", str(path)])

    return asked


def test_a_day_ends_with_its_result_recorded_sealed_and_verified(sealed: dict[str, Any], run: Run) -> None:
    assert sealed["line"] == f"{3 * AUDITED + 1} records, sealed, verified"
    assert (sealed["sealed"], sealed["verified"], sealed["trouble"]) == (True, True, "")
    assert Path(sealed["seal"]).name == f"2026-11-20-{run.run_id}.000001.json"
    with open_book(run.config.storage.database_url) as book:
        [ended] = book.newest(run.run_id, "run_ended", 5)
        streams = {each.topic: each.records for each in book.seals()[0].read().streams}
    facts = json.loads(ended.body)["facts"]
    assert (facts["orders"], json.loads(facts["result"])["fills"]) == (3, 3)
    assert streams == {"session": 12, "decisions": 6, "intents": 3, "orders": 9, "postbacks": 0}


def test_a_day_whose_audit_does_not_follow_is_not_sealed_and_says_so(
    run: Run, log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "WITHIN_S", 0.0)
    write(log, order_life(run, 0))
    found = sealing.seal_day(run, log, RESULT)
    assert (found["sealed"], found["verified"]) == (False, False)
    assert "the audit is behind by" in found["trouble"] and found["trouble"] in found["line"]


def test_a_live_day_without_a_key_says_how_to_make_one(run: Run, log: SqliteLog) -> None:
    key = (run.home / "keys" / "seal").as_uri()
    config = configuration.override(run.config, **{"audit.key_url": key, "mode": "live"})
    live = Run(run.run_id, run.folder, config)
    with followed(run):
        assert "kitepilot audit key --make" in sealing.seal_day(live, log, RESULT)["trouble"]


def test_status_tells_how_far_the_audit_is(run: Run, log: SqliteLog, sealed: dict[str, Any]) -> None:
    write(log, order_life(run, 3))
    state = sealing.audit_state(run, log)
    assert sealing.audit_line(state) == "25 records, 10 behind, seal 1 of 2026-11-20, 0 not sealed yet"


def test_a_person_verifies_the_day_and_is_told_the_first_record_that_was_touched(
    ask: Callable[..., Result], sealed: dict[str, Any], run: Run
) -> None:
    whole = ask("verify-audit")
    assert whole.exit_code == 0, whole.output
    assert "as it was written: 25 records (1 to 25), 1 seals, 1 days" in whole.output
    assert ask("verify-audit", "--run", run.run_id).exit_code == 0
    nobody = ask("verify-audit", "--date", "2026-11-19")
    assert (nobody.exit_code, "2026-11-20" in nobody.output) == (2, True)
    trail = Trail(run.config.storage.database_url)
    with trail._connection as db:
        db.execute("ALTER TABLE audit DISABLE TRIGGER ALL")
        db.execute("UPDATE audit SET body = '{}' WHERE seq = 7")
    touched = ask("verify-audit", "--json")
    assert touched.exit_code == 1
    assert (json.loads(touched.stdout)["flaw"]["what"], json.loads(touched.stdout)["flaw"]["seq"]) == (
        "altered",
        7,
    )


def test_a_login_of_the_evening_is_sealed_by_hand(
    ask: Callable[..., Result], sealed: dict[str, Any], run: Run
) -> None:
    record_act(run.home, LOGGED_IN, "AB1234")
    assert ask("audit", "seal").output.strip() == "seal 2 is made"
    assert ask("audit", "seal").output.strip() == "nothing to seal: all records have one"
    shown = ask("audit", "show", "--kind", "logged_in", "--json")
    assert json.loads(shown.stdout)["subject"] == "AB1234"
    assert ask("verify-audit").exit_code == 0


def test_an_orders_way_is_shown_and_an_unknown_one_is_one_clear_line(
    ask: Callable[..., Result], sealed: dict[str, Any], run: Run
) -> None:
    shown = ask("audit", "show", "--order", names(run, 2)[2], "--json")
    kinds = [json.loads(line)["kind"] for line in shown.stdout.splitlines()]
    assert kinds[:3] == ["signal_raised", "verdict", "approved_intent"] and len(kinds) == AUDITED
    assert "signal_raised" in ask("audit", "show", "-n", "100").output
    unknown = ask("audit", "show", "--order", "77")
    assert (unknown.exit_code, "no order or intent '77'" in unknown.output) == (2, True)
    assert "commanded" not in ask("audit", "show", "--kind", "nothing").output


def test_an_export_is_verified_with_the_public_key_alone(
    ask: Callable[..., Result], sealed: dict[str, Any], run: Run, tmp_path: Path
) -> None:
    file, public = tmp_path / "audit.jsonl", tmp_path / "public.pem"
    assert "25 records" in ask("audit", "export", str(file)).output
    public.write_text(ask("audit", "key").stdout)
    good = ask("verify-audit", "--file", str(file), "--public-key", str(public))
    assert good.exit_code == 0, good.output
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-2]))
    cut = ask("verify-audit", "--file", str(file), "--public-key", str(public))
    assert (cut.exit_code, "truncated" in cut.output) == (1, True)
    wrong = ask("audit", "export", str(file), "--from", "2020-01-01", "--to", "2020-01-02")
    assert (wrong.exit_code, "nothing was recorded" in wrong.output) == (2, True)
