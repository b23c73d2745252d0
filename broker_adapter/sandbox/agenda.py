"""What is going to happen at the exchange, in order of session time."""

from __future__ import annotations

import heapq
from collections.abc import Callable

Happening = Callable[[int], None]


class Agenda:
    """Bells (openings, closings, expiries) come before arrivals of the same instant; else first asked, first.

    The order depends on the requests alone, never on how session time was cut into steps.
    """

    def __init__(self) -> None:
        self._bells = 0
        self._arrivals = 0
        self._waiting: list[tuple[int, bool, int, Happening]] = []

    def ring(self, at: int, happening: Happening) -> None:
        """A bell: a held clock is not moved for it."""
        self._bells += 1
        heapq.heappush(self._waiting, (at, False, self._bells, happening))

    def expect(self, at: int, happening: Happening) -> None:
        """Something that a request brought on its way."""
        self._arrivals += 1
        heapq.heappush(self._waiting, (at, True, self._arrivals, happening))

    def due(self, until: int) -> tuple[int, Happening] | None:
        """The next thing before `until`, taken off the agenda."""
        if not self._waiting or self._waiting[0][0] >= until:
            return None
        at, _, _, happening = heapq.heappop(self._waiting)
        return at, happening

    def next_arrival(self) -> int | None:
        return min((at for at, arrival, _, _ in self._waiting if arrival), default=None)
