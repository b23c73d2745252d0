"""Real supervision: processes come up, are restarted when they die, and leave nothing behind."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from kitepilot.cli.processes import Process
from kitepilot.cli.supervise import (
    SupervisionError,
    Supervisor,
    command_of,
    control_socket,
    has_ended,
    render,
)
from kitepilot.config import Config, dump
from kitepilot.run import Run

STEADY = Process("steady", "tests.cli.workers:steady", "waits for the end", 5)
BROKEN = Process("broken", "tests.cli.workers:broken", "cannot start", 5)
CRASHING = Process("crashing", "tests.cli.workers:crashing", "dies in a library", 5)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    folder = tmp_path / "var" / "runs" / "paper-20261120-0001"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(dump(Config()))
    return Run(folder.name, folder, Config())


@pytest.fixture
def supervisor(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        "kitepilot.cli.supervise.command_of", lambda p: f"python3 {Path(__file__).parent}/workers.py {p.name}"
    )
    made = Supervisor(run.home)
    made.start(run, [STEADY, BROKEN, CRASHING])
    yield made
    made.shutdown()


def until(condition: Callable[[], bool], within_s: float = 15) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.05)


def test_a_stray_file_where_the_processes_work_is_not_taken_for_a_library(tmp_path: Path) -> None:
    (tmp_path / "msgspec.py").write_text("raise SystemExit('the stray file was imported')")
    program = shlex.split(command_of(STEADY))[:-2]  # without `run steady`
    asked = subprocess.run(
        [*program, "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert asked.returncode == 0, asked.stderr


def test_a_killed_process_is_started_again(run: Run, supervisor: Supervisor) -> None:
    supervisor.launch(STEADY)
    supervisor.await_ready(run, [STEADY], 15)
    first = supervisor.state("steady").pid
    os.kill(first, signal.SIGKILL)
    until(lambda: supervisor.state("steady").pid not in (0, first))


def test_a_process_that_cannot_start_is_reported_with_its_last_words(
    run: Run, supervisor: Supervisor
) -> None:
    supervisor.launch(BROKEN)
    with pytest.raises(SupervisionError, match="the key does not fit"):
        supervisor.await_ready(run, [BROKEN], 40)


def test_a_crash_in_a_library_is_reported_as_one(run: Run, supervisor: Supervisor) -> None:
    supervisor.launch(CRASHING)
    with pytest.raises(SupervisionError, match="Fatal Python error: Segmentation fault"):
        supervisor.await_ready(run, [CRASHING], 40)


def test_nothing_is_left_behind(run: Run, supervisor: Supervisor) -> None:
    supervisor.launch(STEADY)
    supervisor.await_ready(run, [STEADY], 15)
    pid = supervisor.state("steady").pid
    supervisor.shutdown()
    assert not psutil.pid_exists(pid)
    assert not supervisor.alive()
    assert not control_socket(run.home).exists()


def test_a_supervisor_that_ended_is_gone_though_nobody_asked_for_its_exit_code() -> None:
    child = subprocess.Popen(["sleep", "60"])
    assert not has_ended(child.pid)
    child.kill()
    until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
    assert has_ended(child.pid)
    child.wait()
    assert has_ended(child.pid)


def test_a_home_too_deep_for_a_socket_still_works(tmp_path: Path) -> None:
    assert len(str(control_socket(tmp_path / ("deep" * 40)))) < 100


def test_the_supervisor_is_told_of_the_run_and_of_every_process(run: Run) -> None:
    text = render(run, [STEADY])
    assert f'KITEPILOT_RUN_FOLDER="{run.folder}"' in text
    assert "[program:steady]" in text
