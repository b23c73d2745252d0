"""Kite's rate limits, counted by the calendar second of the session clock.

Figures: Kite Connect exceptions page and order-limits article, 2026-07-14. While session time stands still
(before the start, after the close, held by credit) a second of the machine's clock opens a new window, so
that nobody is locked out for good.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from broker_adapter.sandbox.errors import KiteError, throttled

Scope = Literal["order", "quote", "other"]
NS_PER_S = 1_000_000_000
PER_SECOND: dict[Scope, int] = {"order": 10, "quote": 1, "other": 10}
ORDERS_PER_MINUTE = 400
ORDERS_PER_DAY = 5_000


@dataclass
class _Window:
    second: int = -1
    opened_at: int = 0  # machine clock
    session_at: int = -1
    used: int = 0


class RateLimiter:
    """Both clocks are passed in; each returns ns."""

    def __init__(self, session_ns: Callable[[], int], machine_ns: Callable[[], int]) -> None:
        self._session_ns = session_ns
        self._machine_ns = machine_ns
        self._windows: dict[Scope, _Window] = {scope: _Window() for scope in PER_SECOND}
        self._minute = -1
        self._this_minute = 0
        self.placed_today = 0

    def admit(self, scope: Scope) -> None:
        """Count one request. Raises KiteError 429 when the window is full."""
        session, machine = self._session_ns(), self._machine_ns()
        window = self._windows[scope]
        second = session // NS_PER_S
        frozen = session == window.session_at and machine - window.opened_at >= NS_PER_S
        if second != window.second or frozen:
            self._windows[scope] = window = _Window(second, machine, session)
        window.session_at = session
        if window.used >= PER_SECOND[scope]:
            raise throttled()
        window.used += 1

    def admit_placement(self) -> None:
        """An order placement also counts against the minute and the day, refused or not.

        Raises KiteError 429 past either; the day's cap refuses exits too.
        """
        self.admit("order")
        minute = self._session_ns() // (60 * NS_PER_S)
        if minute != self._minute:
            self._minute, self._this_minute = minute, 0
        if self._this_minute >= ORDERS_PER_MINUTE:
            raise throttled()
        if self.placed_today >= ORDERS_PER_DAY:
            raise KiteError(429, "NetworkException", "Maximum allowed order requests exceeded")
        self._this_minute += 1
        self.placed_today += 1
