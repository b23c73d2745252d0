"""A bound on how long a user's code may take: past it, it is interrupted where it stands."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

A = TypeVar("A")
R = TypeVar("R")


class TookTooLongError(Exception):
    """The code that was asked did not come back in time."""


class TimeLimit:
    """Machine seconds for each answer, as long as the block lasts: it holds the process's alarm.

    Only in a main thread; elsewhere there is no bound. A compiled function that does not return to Python
    is interrupted when it does.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._bounds = False
        self._asking = False
        self._before: Any = None

    def __enter__(self) -> Self:
        self._bounds = threading.current_thread() is threading.main_thread()
        if self._bounds:
            self._before = signal.signal(signal.SIGALRM, self._interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bounds:
            signal.signal(signal.SIGALRM, self._before)

    def ask(self, answer: Callable[[A], R], question: A) -> R:
        """Raises `TookTooLongError`, and whatever `answer` raises."""
        if not self._bounds:
            return answer(question)
        self._asking = True
        signal.setitimer(signal.ITIMER_REAL, self._seconds)
        try:
            return answer(question)
        finally:
            self._asking = False  # an alarm that rings from here on is for nobody
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self._asking:
            raise TookTooLongError(f"no answer within {self._seconds:g} s")
