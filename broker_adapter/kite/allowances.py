"""How many requests Kite allows, counted so that no calendar second of its clock ever holds more.

The broker counts calendar seconds of its own clock and by arrival. Ours may be skewed, and a request takes
time to arrive. So a place is not given back when our second turns, but a full span after the request is
known to have arrived: at its answer, or a given time after it was let go when nobody tells of the answer.
Whatever the skew and the delay, requests that arrive in one calendar second then all hold a place at the
moment the last of them is let go, and there are no more places than the broker allows. What entries may use
of it is a rule of our own and follows our own calendar seconds.

Figures: Kite Connect exceptions page and order-limits article, read 2026-07-14.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

Scope = Literal["order", "change", "quote", "candle", "other"]
SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
IST_NS = 19_800 * SECOND_NS
DAY_NS = 86_400 * SECOND_NS

ORDERS_PER_SECOND = 10  # place, modify and cancel together, per client account
ORDERS_PER_MINUTE = 400
ORDERS_PER_DAY = 5_000  # placements only; past it the broker refuses exits as well
MODIFICATIONS_PER_ORDER = 25
QUOTES_PER_SECOND = 1
CANDLES_PER_SECOND = 3
OTHERS_PER_SECOND = 10


class DayCapError(RuntimeError):
    """Entries have used their part of the day's placements; the rest is kept for exits."""


class ModificationCapError(RuntimeError):
    """The order was changed as often as Kite allows; cancel it and place a new one."""


@dataclass(frozen=True)
class EntryShares:
    """What of Kite's order allowances entries may use; the rest is kept for exits and cancels."""

    per_second: int = 8
    per_minute: int = 360
    per_day: int = 4_500


@dataclass(slots=True, eq=False)
class Pass:
    """Leave to send one request. `since` is session ns: let go, or answered."""

    since: int
    in_flight: bool

    def free_at(self, span_ns: int, now: int) -> int:
        """When its place is free; for a request without an answer the earliest it could be."""
        return (now if self.in_flight else self.since) + span_ns


class Window:
    """At most `limit` passes within any `span_ns`; of them `entries` for entries in a calendar span of ours.

    Entries also leave one place free at any time, so that an exit need not wait for them.
    """

    def __init__(self, span_ns: int, limit: int, entries: int) -> None:
        self._span_ns = span_ns
        self._limit = limit
        self._entries = min(entries, limit)
        self._room = limit - 1 if entries < limit else limit
        self._held: list[Pass] = []
        self._turn = -1
        self._entered = 0

    def wait_until(self, now: int, *, exit: bool) -> int | None:
        """None: there is room. Else session ns before which there will be none."""
        self._held = [one for one in self._held if one.free_at(self._span_ns, now) > now]
        if now // self._span_ns != self._turn:
            self._turn, self._entered = now // self._span_ns, 0
        room = self._limit if exit else self._room
        until = (self._turn + 1) * self._span_ns if not exit and self._entered >= self._entries else 0
        if len(self._held) >= room:
            frees = sorted(one.free_at(self._span_ns, now) for one in self._held)
            until = max(until, frees[len(frees) - room])
        return until or None

    def hold(self, granted: Pass, *, exit: bool) -> None:
        """Count a pass; `wait_until` said there is room."""
        self._held.append(granted)
        self._entered += not exit

    def fill(self, since: int) -> None:
        """Use up every place that is left."""
        self._held.extend(Pass(since, in_flight=False) for _ in range(self._limit - len(self._held)))


class Allowances:
    """Kite's limits for one account. Pure: the session time (ns UTC) is passed in."""

    def __init__(self, shares: EntryShares) -> None:
        self._shares = shares
        second = SECOND_NS
        orders = [
            Window(second, ORDERS_PER_SECOND, shares.per_second),
            Window(MINUTE_NS, ORDERS_PER_MINUTE, shares.per_minute),
        ]
        self._windows: dict[Scope, list[Window]] = {
            "order": orders,
            "change": orders,
            "quote": [Window(second, QUOTES_PER_SECOND, QUOTES_PER_SECOND)],
            "candle": [Window(second, CANDLES_PER_SECOND, CANDLES_PER_SECOND)],
            "other": [Window(second, OTHERS_PER_SECOND, OTHERS_PER_SECOND)],
        }
        self._day = -1
        self._modified: Counter[str] = Counter()
        self.placed_today = 0

    def take(self, scope: Scope, now: int, *, exit: bool, arrives_within_ns: int | None) -> Pass | int:
        """A pass, or the session ns before which asking again is useless.

        `arrives_within_ns`: None when `answered` will be called, and the place is kept until then. An exit
        is never refused for the day: our count may be wrong, the broker's word decides.

        Raises:
            DayCapError: entries have used their share of the day's placements.
        """
        if scope == "order":
            self._check_day(now, exit=exit)
        windows = self._windows[scope]
        waits = [at for window in windows if (at := window.wait_until(now, exit=exit)) is not None]
        if waits:
            return max(waits)
        granted = Pass(now + (arrives_within_ns or 0), in_flight=arrives_within_ns is None)
        for window in windows:
            window.hold(granted, exit=exit)
        if scope == "order":
            self.placed_today += 1
        return granted

    @staticmethod
    def answered(granted: Pass, now: int) -> None:
        """The request was answered, so it had arrived. `now` must not be earlier than it really is."""
        granted.since, granted.in_flight = now, False

    def refused(self, scope: Scope, now: int) -> None:
        """The broker said 429: it counts more than we do, so nobody passes for a second."""
        self._windows[scope][0].fill(now)

    def counted(self, placed_today: int) -> None:
        """So many placements are known of today, by the journal or the broker's book."""
        self.placed_today = max(self.placed_today, placed_today)

    def modify(self, order_id: str) -> None:
        """Count one modification. Raises `ModificationCapError` past Kite's 25."""
        if self._modified[order_id] >= MODIFICATIONS_PER_ORDER:
            raise ModificationCapError(
                f"order {order_id} was modified {MODIFICATIONS_PER_ORDER} times, Kite allows no more:"
                " cancel it and place a new one"
            )
        self._modified[order_id] += 1

    def _check_day(self, now: int, *, exit: bool) -> None:
        day = (now + IST_NS) // DAY_NS
        if self._day not in (-1, day):
            self.placed_today = 0
            self._modified.clear()
        self._day = day
        if not exit and self.placed_today >= self._shares.per_day:
            raise DayCapError(
                f"{self.placed_today} orders were placed today and entries may use {self._shares.per_day} of"
                f" Kite's {ORDERS_PER_DAY}: no more entries today (broker.orders_per_day)"
            )
