"""Commands -> the log's `session`, in order, and nobody waits for a log that hangs.

A full disk, a stuck writer or a frozen broker holds one append, and one only: the thread that appends is the
desk's own. Whoever asked is told in time whether his command is not in the log, or may be; whoever comes
after him is told at once that the log hangs, and a flatten then goes to the watchdog.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from kitepilot.events import Commanded, ProfileActivated, encode
from kitepilot.ports import EventLog, LogError
from kitepilot.topics import SESSION

WITHIN_S = 2.0
Said = Commanded | ProfileActivated
#: Makes the event of the source and number it is given, and of the machine's clock, ns UTC.
Made = Callable[[str, int, int], Said]


class OutcomeUnknownError(LogError):
    """The log was asked and has not answered: the command may or may not be in it, now or later."""


class Voice:
    """From any thread. `within_s`: how long anybody waits."""

    def __init__(self, log: EventLog, source: str, within_s: float = WITHIN_S) -> None:
        self._log = log
        self._name = source
        self._within_s = within_s
        self._turns = ThreadPoolExecutor(1, thread_name_prefix="voice")
        self._guard = threading.Lock()  # held for no I/O
        self._stuck: Future[None] | None = None
        self._begin_source()

    def say(self, made: Made) -> None:
        """Durable on return.

        Raises:
            OutcomeUnknownError: it is with the log, which does not answer.
            LogError, OSError: the log does not take it; where it is an earlier command that hangs, this one
                was withdrawn and will not be said later.
        """
        with self._guard:
            if self._stuck is not None and not self._stuck.done():
                raise LogError("an earlier command still hangs in the log: this one was not said")
            turn = self._turns.submit(self._append, made)
        try:
            turn.result(self._within_s)
        except TimeoutError:
            self._give_up(turn)

    def close(self) -> None:
        """Nothing more is said; an append that hangs is not waited for."""
        self._turns.shutdown(wait=False, cancel_futures=True)

    def _give_up(self, turn: Future[None]) -> None:
        """What has not begun never will; what has begun holds the place until the log answers."""
        if turn.cancel():
            raise LogError(f"the log has hung for {self._within_s:g} s: this command was not said")
        if turn.done():
            turn.result()
            return
        with self._guard:
            self._stuck = turn
        raise OutcomeUnknownError(f"the log has not answered within {self._within_s:g} s")

    def _append(self, made: Made) -> None:
        """What may or may not have been written keeps its number: the next speaks under another name."""
        now = time.time_ns()
        said = made(self._source, self._seq, now)
        try:
            self._log.append(SESSION.name, [encode(said, emitted_at=now)])
        except BaseException:
            self._begin_source()
            raise
        self._seq += 1

    def _begin_source(self) -> None:
        self._source, self._seq = f"{self._name}-{time.time_ns()}", 0
