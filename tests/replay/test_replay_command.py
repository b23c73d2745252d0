"""`kitepilot replay`: what a person and a script see, and with which exit code."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))
from recorded_day import RUN_ID, RecordedDay, a_recorded_day, rewritten

from infra.session_archive import keep
from kitepilot.cli.main import app
from kitepilot.events import AccountMarked, ApprovedIntent, decode, encode
from kitepilot.run import HOME_VARIABLE
from kitepilot.topics import BARS, DECISIONS, INTENTS, SESSION


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> RecordedDay:
    return a_recorded_day(tmp_path_factory.mktemp("day") / "home", minutes=4)


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`say(home, words...)` -> (exit code, standard output, standard error)."""

    def run(home: Path, *words: str) -> tuple[int, str, str]:
        monkeypatch.setenv(HOME_VARIABLE, str(home))
        monkeypatch.setenv("COLUMNS", "200")
        done = CliRunner().invoke(app, ["replay", *words])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stdout, done.stderr

    return run


def test_a_day_that_replays_is_equal_with_its_hashes_and_exit_code_0(day: RecordedDay, say: Any) -> None:
    code, out, err = say(day.home, "2026-11-20", "--verify", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["equal"] and told["run_id"] == RUN_ID
    assert told["read_from"] == "the event log (sqlite)"
    assert [part["part"] for part in told["parts"]] == ["decisions", "market"]
    assert all(len(each["sha256"]) == 64 for part in told["parts"] for each in part["streams"])
    code, out, _ = say(day.home, "2026-11-20", "--verify", "--only", "decisions")
    assert code == 0
    assert "decisions: equal" in out and "market" not in out


def test_a_changed_mark_is_told_with_both_sides_its_cause_and_exit_code_1(
    day: RecordedDay, say: Any, tmp_path: Path
) -> None:
    place, mark = next(
        (at, event)
        for at, value in enumerate(day.values(DECISIONS.name))
        if at > 50 and isinstance(event := decode(value), AccountMarked)
    )
    richer = encode(replace(mark, realised_paise=mark.realised_paise + 100))
    other = rewritten(
        day, tmp_path, lambda topic, at, value: [richer if (topic, at) == (DECISIONS.name, place) else value]
    )
    code, out, _ = say(other.home, "2026-11-20", "--verify", "--only", "decisions")
    assert code == 1
    assert "decisions: differs" in out
    assert f"decisions number {mark.seq}" in out
    assert "caused by session offset" in out and "Marked" in out
    assert "realised_paise" in out and str(mark.realised_paise + 100) in out


def test_a_changed_bar_is_told_by_instrument_time_and_column(
    day: RecordedDay, say: Any, tmp_path: Path
) -> None:
    bars = decode(day.values(BARS.name)[30])
    changed = encode(replace(bars, volume=[bars.volume[0] + 1, *bars.volume[1:]]))  # type: ignore[type-var,union-attr]
    other = rewritten(
        day, tmp_path, lambda topic, at, value: [changed if (topic, at) == (BARS.name, 30) else value]
    )
    code, out, _ = say(other.home, "2026-11-20", "--verify", "--only", "market")
    assert code == 1
    assert "bar closed 09:1" in out and "s bar volume: recorded" in out


def test_a_day_that_is_not_there_names_those_that_are(day: RecordedDay, say: Any, tmp_path: Path) -> None:
    code, out, err = say(day.home, "2026-11-19", "--verify")
    assert (code, out) == (2, "")
    assert "no run of 2026-11-19" in err and "there are: 2026-11-20" in err
    assert "there are no recorded days yet" in say(tmp_path, "2026-11-19")[2]
    assert f"there are: {RUN_ID}" in say(day.home, "2026-11-20", "--run", "paper-20261120-0009")[2]


def test_a_day_that_the_log_has_forgotten_is_read_from_the_archive(
    day: RecordedDay, say: Any, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(day.home, home)
    assert say(home, "2026-11-20", "--verify", "--from-archive")[0] == 2
    other = RecordedDay(home, day.run.__class__(RUN_ID, home / "runs" / RUN_ID, day.run.config), day.log)
    keep(other.run, other.log, code_version="1", code_hash="c", concluded=True, ends=day.ends())
    shutil.rmtree(home / "log")
    shutil.rmtree(home / "runs")
    code, out, _ = say(home, "2026-11-20", "--verify")
    assert code == 0
    assert "read from the archive; the event log lacks" in out
    assert "recorded by 1 (c), replayed by other code" in out


def test_without_verify_the_day_is_told_orders_states_and_money(day: RecordedDay, say: Any) -> None:
    code, out, _ = say(day.home, "2026-11-20", "--json")
    assert code == 0
    told = json.loads(out)
    intents = [decode(value) for value in day.values(INTENTS.name)]
    orders = [line for line in told["lines"] if line["what"] != "state"]
    assert [line["intent_id"] for line in orders] == [
        intent.intent_id for intent in intents if isinstance(intent, ApprovedIntent)
    ]
    marks = [e for value in day.values(DECISIONS.name) if isinstance(e := decode(value), AccountMarked)]
    assert told["net_pnl_paise"] == (
        marks[-1].realised_paise + marks[-1].unrealised_paise - marks[-1].charges_paise
    )
    assert told["orders"] == marks[-1].orders and told["fills"] == marks[-1].fills
    assert told["signals"] == sum(b"signal_raised" in value for value in day.values(SESSION.name))
    assert [line["reason"] for line in told["lines"] if line["what"] == "state"][-1] == "end_of_day by cli"
    code, out, _ = say(day.home, "2026-11-20")
    assert code == 0 and "run started, paper" in out and "₹" in out
