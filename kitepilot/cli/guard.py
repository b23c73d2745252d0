"""What a running day cannot go on with: a process that gave up, a full disk."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from kitepilot.cli.supervise import SupervisionError, Supervisor, last_line
from kitepilot.run import Run

LOOK_EVERY_S = 1.0
LEAST_FREE_BYTES = 256 * 1024**2  # enough to flatten, to settle and to stop in order


class DiskFullError(SupervisionError):
    """Too little room is left to go on; names the folder, what is free and the remedy."""


def require_room(home: Path, least: int = LEAST_FREE_BYTES) -> None:
    """Raises `DiskFullError` when fewer than `least` bytes are free on the disk of `home`."""
    free = shutil.disk_usage(home).free
    if free < least:
        raise DiskFullError(
            f"the disk is full: {free / 1e6:.0f} MB free in {home}, a day needs {least / 1e6:.0f} MB to end "
            "in order; free some space or set $KITEPILOT_HOME to a larger disk"
        )


class Guard:
    """Called in the loop of a day; looks once a second and raises what ends it."""

    def __init__(
        self, run: Run, supervisor: Supervisor, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._run = run
        self._supervisor = supervisor
        self._monotonic = monotonic
        self._looked_at = float("-inf")

    def __call__(self) -> None:
        """Raises:
        DiskFullError: the disk is nearly full; there is still room to flatten.
        SupervisionError: a process gave up; its last words are quoted.
        """
        now = self._monotonic()
        if now - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = now
        require_room(self._run.home)
        for state in self._supervisor.states():
            if state.state == "FATAL":
                raise SupervisionError(
                    f"{state.name} gave up after repeated restarts: {last_line(self._run, state.name)}"
                )


def no_guard() -> None:
    """Where something else watches over the processes (containers)."""
