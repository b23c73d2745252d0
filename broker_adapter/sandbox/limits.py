"""Kite's rate limits, counted by the calendar second and minute of the session clock.

Figures: Kite Connect exceptions page and order-limits article, 2026-07-14. Ten order requests a second are
counted over placing, modifying and cancelling together: the strictest reading of "10 per account". While
session time stands still (before the start, after the close, held by credit) a second of the machine's clock
opens a new window, so that nobody is locked out for good.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import msgspec

from broker_adapter.sandbox.errors import KiteError, throttled

Scope = Literal["order", "quote", "candle", "other"]
NS_PER_S = 1_000_000_000
PER_SECOND: dict[Scope, int] = {"order": 10, "quote": 1, "candle": 3, "other": 10}
ORDERS_PER_MINUTE = 400
ORDERS_PER_DAY = 5_000


@dataclass
class _Window:
    second: int = -1
    opened_at: int = 0  # machine clock
    session_at: int = -1
    used: int = 0


class Placements(msgspec.Struct):
    """How many orders were asked for: in the running minute of session time, and today."""

    minute: int = -1
    this_minute: int = 0
    today: int = 0


class RateLimiter:
    """Both clocks are passed in; each returns ns. `save` is given `saved()` after each placement."""

    def __init__(
        self,
        session_ns: Callable[[], int],
        machine_ns: Callable[[], int],
        save: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        self._session_ns = session_ns
        self._machine_ns = machine_ns
        self.save = save
        self._windows: dict[Scope, _Window] = {scope: _Window() for scope in PER_SECOND}
        self._placements = Placements()

    @property
    def placed_today(self) -> int:
        """Orders that count against the day's cap so far."""
        return self._placements.today

    def admit(self, scope: Scope) -> None:
        """Count one request. Raises KiteError 429 when the window is full; a refused one is not counted."""
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
        """A placement also counts against the minute and the day, whatever becomes of it.

        Modifications and cancellations count for neither. Raises KiteError 429 past either limit; the day's
        cap refuses exits too.
        """
        self.admit("order")
        counts = self._placements
        minute = self._session_ns() // (60 * NS_PER_S)
        if minute != counts.minute:
            counts.minute, counts.this_minute = minute, 0
        if counts.this_minute >= ORDERS_PER_MINUTE:
            raise throttled()
        if counts.today >= ORDERS_PER_DAY:
            raise KiteError(429, "NetworkException", "Maximum allowed order requests exceeded")
        counts.this_minute += 1
        counts.today += 1
        self.save(self.saved())

    def count_more(self, orders: int) -> None:
        """One request became more orders than one (iceberg legs, slices): each counts for the day."""
        if orders:
            self._placements.today += orders
            self.save(self.saved())

    def saved(self) -> bytes:
        """The counts that a restart must not forget; the seconds' windows are not among them."""
        return msgspec.json.encode(self._placements)

    def restore(self, saved: bytes) -> None:
        """Take what `saved` gave. Raises msgspec.DecodeError."""
        self._placements = msgspec.json.decode(saved, type=Placements)
