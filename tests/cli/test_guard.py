"""What ends a day early is noticed within a second and said in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from kitepilot.cli.guard import DiskFullError, Guard, require_room
from kitepilot.cli.supervise import ProcessState, SupervisionError
from kitepilot.config import Config
from kitepilot.run import Run


class Room:
    """A supervisor's answers, as a test sets them."""

    def __init__(self) -> None:
        self.told = {
            name: ProcessState(name, "RUNNING", pid, 5, "") for pid, name in enumerate(("sandbox", "market"))
        }

    def state(self, name: str) -> ProcessState:
        return self.told[name]

    def states(self) -> list[ProcessState]:
        return list(self.told.values())


@pytest.fixture
def run(tmp_path: Path) -> Run:
    folder = tmp_path / "runs" / "paper-20261120-0001"
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "market.log").write_text("market: disk I/O error\n")
    return Run(folder.name, folder, Config())


def watched(run: Run, room: Room) -> Guard:
    ticks = iter(range(100))
    return Guard(run, room, lambda: float(next(ticks)))  # type: ignore[arg-type]


def test_all_well_is_silent(run: Run) -> None:
    guard = watched(run, Room())
    for _ in range(3):
        guard()


@pytest.mark.parametrize("name", ["market", "sandbox"])
def test_a_process_that_was_restarted_is_no_reason_to_stop(run: Run, name: str) -> None:
    room = Room()
    guard = watched(run, room)
    room.told[name] = ProcessState(name, "BACKOFF", 0, 0, "")
    guard()
    room.told[name] = ProcessState(name, "RUNNING", 99, 0, "")
    guard()


def test_a_process_that_gave_up_ends_the_day_with_its_last_words(run: Run) -> None:
    room = Room()
    guard = watched(run, room)
    room.told["market"] = ProcessState("market", "FATAL", 0, 0, "")
    with pytest.raises(SupervisionError, match=r"market gave up.*disk I/O error"):
        guard()


def test_a_disk_without_room_to_end_in_order_ends_the_day(run: Run) -> None:
    with pytest.raises(DiskFullError, match=r"the disk is full: .* MB free"):
        require_room(run.home, 1 << 60)
