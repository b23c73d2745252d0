"""Retraining after the close: a candidate in a real registry, failures told, the day unharmed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from typer.testing import CliRunner, Result

from infra.postgres import model_moves, model_registry
from kitepilot.cli import after_close, model_book, retrained, retraining
from kitepilot.cli.main import app
from kitepilot.cli.retrained import FAILED, Retraining, Step
from kitepilot.config import Config, ConfigError, build
from kitepilot.models.stages import Stage
from kitepilot.run import Run

pytestmark = pytest.mark.stack
FRIDAY = "2026-11-20"
SMALL: dict[str, Any] = {
    "enabled": True,
    "data": "generated:2x7",
    "folds": "expanding:6/1",
    "cost_bps": 4.0,
    "parameters": {"trees": 8},
}
WITHIN_S = 180.0


def a_config(**said: Any) -> Config:
    off = {"enabled": False}
    return build({"session": {"date": FRIDAY}, "retrain": SMALL | said, "daily_pack": off})


def call(home: Path, config: Config, *words: str) -> Result:
    path = home.parent / "kitepilot.yaml"
    path.write_text(yaml.safe_dump(msgspec.to_builtins(config)))
    command = ["retrain", "--config", str(path), "--session", FRIDAY, "--json", *words]
    return CliRunner().invoke(app, command, env={"KITEPILOT_HOME": str(home)}, catch_exceptions=False)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """No longer than a socket's path may be, and empty."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def a_record(home: Path, session: str, **said: Any) -> Retraining:
    retrained.folder_of(home).mkdir(exist_ok=True)
    told = Retraining(session=session, began=f"{session}T16:10:00+05:30", **said)
    retrained.keep(home, told)
    return told


def test_a_candidate_is_registered_with_its_leak_check_and_nothing_is_promoted(home: Path) -> None:
    rows = home / "training" / "rows"
    for name in ("of_an_earlier_retraining", "of_a_person"):
        (rows / name).mkdir(parents=True)
    a_record(home, "2026-11-13", ended="2026-11-13T16:40:00+05:30", rows=("of_an_earlier_retraining",))
    config = a_config()
    assert json.loads(call(home, config).stdout)["due"]

    done = call(home, config, "--now")

    told = json.loads(done.stdout)
    assert (done.exit_code, told["went_well"]) == (0, True), told
    assert [(step["name"], step["state"]) for step in told["steps"]] == [
        ("train", "done"),
        ("leak check", "done"),
        ("registration", "done"),
        ("slippage fit", "skipped"),
    ]
    with model_book.opened(home, config) as db:
        (model,) = model_registry.registered(db)
        (leak,) = model_registry.leak_words(db, model.model_id)
        standing = model_moves.standing(db)
    assert model.model_id == told["model_id"]
    assert (leak.passed, leak.features_hash, leak.data_hash) == (True, model.features_hash, model.data_hash)
    assert (standing.stages, standing.live) == ({model.model_id: Stage.CANDIDATE}, "")
    gates = {gate["gate"]: gate["passed"] for gate in told["gates"]}
    assert gates["leak_check"]
    assert not gates["enough_folds"]
    assert {path.name for path in rows.iterdir()} == {"of_a_person", *told["rows"]}
    again = call(home, config)
    assert (again.exit_code, json.loads(again.stdout)["due"]) == (3, False)


def test_a_step_that_fails_is_told_and_those_that_do_without_it_still_run(home: Path) -> None:
    done = call(home, a_config(data="nowhere"), "--now")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["went_well"]) == (1, False)
    states = {step["name"]: step["state"] for step in told["steps"]}
    assert states == {
        "train": "failed",
        "leak check": "failed",
        "registration": "skipped",
        "slippage fit": "skipped",
    }
    assert "no dataset 'nowhere'" in told["steps"][0]["detail"]
    assert "it takes 40 to fit slippage" in told["steps"][3]["detail"]
    status = json.loads(
        CliRunner().invoke(app, ["status", "--json"], env={"KITEPILOT_HOME": str(home)}).stdout
    )
    assert status["retraining"]["state"] == "failed"
    assert status["retraining"]["line"].startswith(
        f"alarm: retraining after {FRIDAY} failed: train: no dataset"
    )
    assert json.loads(call(home, a_config(data="nowhere")).stdout)["due"]


def test_a_defect_in_a_step_is_a_failed_step(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(_: retraining.Work) -> str:
        raise ZeroDivisionError

    monkeypatch.setitem(retraining.STEPS, "train", defect)
    seen: list[Step] = []
    config = a_config(data="nowhere")
    told = retraining.retrain(home, config, date(2026, 11, 20), quiet=True, tell=seen.append)
    assert told.steps[0] == Step("train", FAILED, "ZeroDivisionError")
    assert list(told.steps) == seen
    assert [step.name for step in told.steps] == list(retraining.STEPS)


def test_one_at_a_time_and_a_killed_one_holds_nothing(home: Path) -> None:
    hold = (
        "import pathlib, sys; from kitepilot.cli import retrained\n"
        "with retrained.alone(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n"
        "    sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", hold, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdin
    assert other.stdout
    with other.stdout, other.stdin:
        try:
            assert other.stdout.readline() == "held\n"
            a_record(home, FRIDAY)
            assert retrained.last(home)["state"] == "running"
            refused = call(home, a_config(), "--now")
            assert refused.exit_code == 2
            assert f"(process {other.pid})" in " ".join(refused.stderr.split())
        finally:
            other.kill()
            other.wait()
    with (
        retrained.alone(home),
        pytest.raises(ConfigError, match=f"process {os.getpid()}"),
        retrained.alone(home),
    ):
        pass
    broken = retrained.last(home)
    assert broken["state"] == "broken off"
    assert broken["line"].startswith("alarm: ")
    assert retraining.due_after(home, a_config(), date(2026, 11, 20)).due


def a_run(home: Path, config: Config) -> Run:
    folder = home / "runs" / "paper-2026-11-20-1"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(msgspec.to_builtins(config)))
    return Run(folder.name, folder, config)


def test_a_days_end_starts_it_as_a_process_that_outlives_the_day(home: Path) -> None:
    """The day is a process of its own here: it is over before the retraining is."""
    run = a_run(home, a_config(data="nowhere"))
    day = (
        "import pathlib, sys; from kitepilot import config; from kitepilot.cli import after_close\n"
        "from kitepilot.run import Run\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "run = Run(folder.name, folder, config.load(folder / 'config.yaml'))\n"
        "after_close.start(run, {'interrupted': False}, print)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", day, str(run.folder)],
        check=False,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("retraining: started as process ")
    deadline = time.monotonic() + WITHIN_S
    while retrained.last(home).get("state") not in ("failed", "done"):
        assert time.monotonic() < deadline, (retrained.folder_of(home) / f"{FRIDAY}.log").read_text()
        time.sleep(0.1)
    assert retrained.last(home)["state"] == "failed"
    assert retrained.last(home)["session"] == FRIDAY


def test_what_goes_wrong_at_its_start_is_an_alarm_and_the_day_stands(home: Path) -> None:
    (home / retrained.FOLDER).write_text("in the way")
    result: dict[str, Any] = {"interrupted": False, "reconciled": True}
    said: list[str] = []
    after_close.start(a_run(home, a_config()), result, said.append)
    assert result["retraining"].startswith("alarm: not started: ")
    assert said == [f"retraining: {result['retraining']}"]
    assert result["reconciled"]


@pytest.mark.parametrize(("enabled", "interrupted"), [(False, False), (True, True)])
def test_neither_an_interrupted_day_nor_an_unconfigured_one_starts_anything(
    home: Path, enabled: bool, interrupted: bool
) -> None:
    result = {"interrupted": interrupted}
    after_close.start(a_run(home, a_config(enabled=enabled)), result, pytest.fail)
    assert result == {"interrupted": interrupted}
    assert not retrained.folder_of(home).exists()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"data": ""}, "wants a dataset"),
        ({"weekdays": []}, "wants retrain.weekdays"),
        ({"weekdays": ["sunday"]}, "sunday"),
        ({"jobs": 0}, "retrain.jobs 0 must be at least 1"),
    ],
)
def test_a_retraining_that_could_not_be_made_is_refused_with_the_configuration(
    said: dict[str, Any], why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        a_config(**said)


@pytest.mark.parametrize(
    ("clock", "session"),
    [
        ("2026-11-20T15:00:00+05:30", "2026-11-19"),
        ("2026-11-20T18:00:00+05:30", "2026-11-20"),
        ("2026-11-22T12:00:00+05:30", "2026-11-20"),
    ],
)
def test_it_speaks_of_the_newest_session_that_is_over(clock: str, session: str) -> None:
    now = int(datetime.fromisoformat(clock).timestamp()) * 1_000_000_000
    assert retraining.closed_session(now).isoformat() == session
