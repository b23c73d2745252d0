"""Moves a segment's write-ahead log into its file beside the appends, so that no append waits for it.

SQLite would do it inside the commit that finds the log long enough: up to 40 ms, on the path of an order.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing

from infra.eventlog.bounds import MIB
from infra.eventlog.segment import Segment
from kitepilot.ports import LogError

EVERY_BYTES = 4 * MIB  # of values appended by this process
ENTRY_BYTES = 256  # what an entry costs besides its value, roughly
LONGEST_BYTES = 64 * MIB  # of the write-ahead log, and of appends while one checkpoint runs
PAGE_BYTES = 4_096


class Checkpoints:
    """For one appender, which calls `count` under its own lock.

    A writer that never pauses adds pages while others are moved, so its write-ahead log would never start
    over. Past `LONGEST_BYTES` the append itself moves the few that came meanwhile.
    """

    def __init__(self) -> None:
        self._appended = 0
        self._running: threading.Thread | None = None
        self._too_long = False

    def count(self, written: int, segment: Segment, open_segment: Callable[[], Segment]) -> None:
        """`written` bytes were appended to `segment`; now and then a checkpoint begins beside it."""
        self._appended += written
        if self._running and self._running.is_alive():
            if self._appended < LONGEST_BYTES:
                return
            self._running.join()
        if self._too_long:
            self._too_long = False
            segment.checkpoint()
        if self._appended >= EVERY_BYTES:
            self._appended = 0
            self._running = threading.Thread(
                target=self._move, args=(open_segment,), name="checkpoint", daemon=True
            )
            self._running.start()

    def close(self) -> None:
        """Wait for the one under way."""
        if self._running:
            self._running.join()
            self._running = None

    def _move(self, open_segment: Callable[[], Segment]) -> None:
        """What fails here (a full disk) fails again in an append, which says so; nothing is lost."""
        try:
            with closing(open_segment()) as segment:
                pages = segment.checkpoint()
                self._too_long = pages * PAGE_BYTES > LONGEST_BYTES
        except (OSError, sqlite3.Error, LogError):
            return
