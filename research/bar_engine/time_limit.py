"""A bound on how long a user's code may take: past it, it is interrupted where it stands."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TookTooLongError(Exception):
    """The code inside `at_most` did not come back in time."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Interrupt the body after so many machine seconds.

    By the process's alarm, so only in a main thread; elsewhere there is no bound. A compiled function that
    does not return to Python is interrupted when it does.

    Raises:
        TookTooLongError: it took longer.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise TookTooLongError(f"no answer within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
