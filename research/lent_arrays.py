"""Arrays that are lent out and come back when nobody looks at them any more.

Fresh memory costs a page fault every few bars; a table of features is 80 MB a session. Handing the same array
out again while somebody may still look at it would change numbers behind his back: so one comes back only
when the last view of it is gone, and who keeps them all simply gets new ones.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
KEPT = 2  # while a loop's variable still has the one before, the next is needed


class LentArrays:
    """Room for arrays of any shape; not thread-safe."""

    def __init__(self) -> None:
        self._free: list[Floats] = []

    def lend(self, shape: tuple[int, ...]) -> Floats:
        """float64[shape] with anything in it, as `numpy.empty` gives it."""
        size = prod(shape)
        room = self._free.pop() if self._free else np.empty(size)
        if room.size < size:
            room = np.empty(size)
        return np.asarray(_Lent(room, self._free))[:size].reshape(shape)


class _Lent:
    """What all views of a lent array hold on to (numpy's array interface, version 3)."""

    def __init__(self, room: Floats, free: list[Floats]) -> None:
        self._room, self._free = room, free

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return self._room.__array_interface__

    def __del__(self) -> None:
        if len(self._free) < KEPT:
            self._free.append(self._room)
