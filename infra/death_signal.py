"""A child that ends when its parent does, however that went: for `preexec_fn`."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # prctl(2)


def ended_with_parent(number: signal.Signals) -> Callable[[], None]:
    """What the child does before its program: leave the terminal's signals to its parent, and die with it.

    By the signal `number`. The parent is the thread that starts it, so start such a child in one that lasts.
    """
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork

    def die_with_parent() -> None:
        os.setsid()
        prctl(_PR_SET_PDEATHSIG, int(number))

    return die_with_parent
