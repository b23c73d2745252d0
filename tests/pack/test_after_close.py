"""After the close: one process, a lock from the moment it is started, and a run that begins comes first."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kitepilot import config as configuration
from kitepilot.cli import after_close
from kitepilot.config import Config, ConfigError
from kitepilot.run import Run

WITHIN_S = 120.0
MAKING = """
import pathlib, sys, time
from kitepilot.cli.after_close import alone
home = pathlib.Path(sys.argv[1])
with alone(home):
    (home / "begun").touch()
    try:
        while True:
            time.sleep(0.05)
    finally:
        (home / "stores stopped").touch()
"""


def a_run(home: Path, **changes: object) -> Run:
    config = configuration.override(Config(), **{"session.date": "2026-11-20", **changes})
    run = Run("paper-20261120-0001", home / "runs" / "paper-20261120-0001", config)
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").write_text(configuration.dump(config))
    return run


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_run_that_begins_breaks_a_pack_off_and_its_stores_are_stopped_first(tmp_path: Path) -> None:
    making = subprocess.Popen([sys.executable, "-c", MAKING, str(tmp_path)], start_new_session=True)
    try:
        until((tmp_path / "begun").exists)
        assert after_close.under_way(tmp_path) == making.pid
        with pytest.raises(ConfigError, match=f"process {making.pid}"), after_close.alone(tmp_path):
            pass
        after_close.give_way(tmp_path)
        assert (tmp_path / "stores stopped").exists()
        assert after_close.under_way(tmp_path) is None
    finally:
        making.kill()
        making.wait()


def test_who_needs_the_same_stores_waits_until_the_pack_is_made(tmp_path: Path) -> None:
    making = subprocess.Popen([sys.executable, "-c", MAKING, str(tmp_path)], start_new_session=True)
    try:
        until((tmp_path / "begun").exists)
        waiting = threading.Thread(target=after_close.wait_for, args=(tmp_path,), daemon=True)
        waiting.start()
        assert waiting.is_alive()
        making.terminate()
        waiting.join(WITHIN_S)
        assert (tmp_path / "stores stopped").exists()
        assert not waiting.is_alive()
    finally:
        making.kill()
        making.wait()


def test_nothing_is_waited_for_where_no_pack_is_made(tmp_path: Path) -> None:
    after_close.give_way(tmp_path)
    assert after_close.under_way(tmp_path) is None


def test_a_days_end_starts_it_with_the_lock_in_its_hands(tmp_path: Path) -> None:
    """Of this day nothing was recorded: the process says so in its log, and lets go."""
    run = a_run(tmp_path / "home")
    result: dict[str, object] = {"interrupted": False}
    said: list[str] = []
    after_close.start(run, result, said.append)
    assert said == [f"daily pack: {result['daily_pack']}"]
    assert "retraining" not in result
    until(lambda: after_close.under_way(run.home) is None)
    assert "no run of 2026-11-20" in " ".join(after_close.log_of(run).read_text().split())


def test_a_day_whose_pack_is_switched_off_starts_nothing(tmp_path: Path) -> None:
    run = a_run(tmp_path / "home", **{"daily_pack.enabled": False})
    result: dict[str, object] = {"interrupted": False}
    after_close.start(run, result, pytest.fail)
    assert result == {"interrupted": False}
    assert not (run.home / after_close.FOLDER).exists()


def test_while_a_pack_is_made_by_hand_the_days_end_says_it_was_not_started(tmp_path: Path) -> None:
    run = a_run(tmp_path / "home")
    result: dict[str, object] = {"interrupted": False}
    with after_close.alone(run.home):
        assert after_close.under_way(run.home) == os.getpid()
        after_close.start(run, result, lambda _: None)
    assert str(result["daily_pack"]).startswith("alarm: not started: ")


def test_a_new_holder_that_has_no_name_yet_is_not_taken_for_the_one_before(tmp_path: Path) -> None:
    """Its number could belong to any process by now, and a run that begins would end that one."""
    with after_close.alone(tmp_path):
        pass
    with after_close._locked(tmp_path):
        assert after_close.under_way(tmp_path) == 0
