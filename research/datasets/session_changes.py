"""Sessions in order -> what only shows between them: jumps, splits, missing days, a renamed symbol."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise

from kitepilot.market import calendar
from kitepilot.market.calendar import CalendarError
from research.datasets.actions import Action, Actions
from research.datasets.findings import Finding
from research.datasets.grid import minutes_of
from research.datasets.manifest import Basis
from research.datasets.session_checks import ADJUSTED_SHARE, SymbolDays

CIRCUIT = 0.20  # the widest daily price band (derivatives' stocks flex beyond it, rarely)
STALE_DAYS = 10  # after a longer absence a change of price says nothing
SAME_PRICE = 0.10  # the close of a name that ends and the open of one that begins
MAX_RANGES = 20


@dataclass
class _Seen:
    first: date
    first_open: int
    last: date
    last_close: int
    sessions: int = 0
    adjusted: list[date] = field(default_factory=list)  # first and last session that look back-adjusted


class SessionChanges:
    """Take the sessions in order; memory holds a line for each symbol."""

    def __init__(self, actions: Actions, basis: Basis) -> None:
        self._actions = actions
        self._basis = basis
        self._seen: dict[str, _Seen] = {}
        self._previous: date | None = None
        self._count: dict[date, int] = {}

    @property
    def symbols(self) -> frozenset[str]:
        """All that have been seen."""
        return frozenset(self._seen)

    def take(self, days: SymbolDays) -> Iterator[Finding]:
        """The next session; what changed since the symbols were last seen."""
        session = days.rows.session
        minutes = minutes_of(session)
        if minutes.kind == "special":
            text = "a special session: kept, left out of what is read unless asked for"
            yield Finding("special sessions", "note", session, "", len(days.rows), text)
        if minutes.kind == "unknown":
            yield Finding("days the calendar does not cover", "warning", session, "", 1, minutes.why)
        if self._previous is not None:
            yield from _missing_days(self._previous, session)
        for k, symbol in enumerate(days.rows.symbols):
            opened, closed = int(days.first_price[k]), int(days.last_price[k])
            seen = self._seen.get(symbol)
            if seen is None:
                seen = self._seen[symbol] = _Seen(session, opened, session, closed)
            else:
                yield from self._change(symbol, seen, session, opened)
            seen.last, seen.last_close, seen.sessions = session, closed, seen.sessions + 1
            if days.off_grid[k] > ADJUSTED_SHARE * days.bars[k]:
                seen.adjusted = [*seen.adjusted[:1], session] if seen.adjusted else [session, session]
        self._previous = session
        self._count[session] = len(days.rows.symbols)

    def finish(self) -> Iterator[Finding]:
        """What can be told only at the end."""
        yield from self._renamed()
        for symbol, seen in self._seen.items():
            if seen.adjusted and self._basis != "adjusted":
                first, last = seen.adjusted
                text = (
                    f"off the tick grid from {first} to {last}: these prices look back-adjusted, for a split "
                    "or bonus after it; do not join them with raw ticks"
                )
                yield Finding("looks back-adjusted", "warning", None, symbol, 1, text)

    def _change(self, symbol: str, seen: _Seen, session: date, opened: int) -> Iterator[Finding]:
        absent = _sessions_between(seen.last, session, self._count)
        if absent:
            text = f"absent in {absent} sessions that others have, after {seen.last}"
            yield Finding("missing sessions of a symbol", "warning", session, symbol, absent, text)
        moved = math.log(seen.last_close / opened)
        told = [row for row in self._actions.of(symbol) if seen.last < row.ex_date <= session]
        for row in told:
            yield self._split(symbol, session, row, moved)
        if told or (session - seen.last).days > STALE_DAYS:
            return
        if not math.log(1 - CIRCUIT) <= -moved <= math.log(1 + CIRCUIT):
            ratio = seen.last_close / opened
            text = (
                f"opens at {opened / 100:,.2f} after {seen.last_close / 100:,.2f} on {seen.last} "
                f"(a factor {ratio:.3f}), further than a circuit allows, and no corporate action is known"
            )
            yield Finding("unadjusted jumps", "warning", session, symbol, 1, text)

    def _split(self, symbol: str, session: date, row: Action, moved: float) -> Finding:
        expected = math.log(row.price_factor)
        raw = abs(moved - expected) < abs(moved)
        looks: Basis = "raw" if raw else "adjusted"
        text = f"{row.kind} {row.price_factor} on {row.ex_date}: the prices before it are {looks}"
        if self._basis == "unknown":
            return Finding(
                "splits in the window", "warning", session, symbol, 1, f"{text}; say so: --basis {looks}"
            )
        if looks == self._basis:
            return Finding("splits in the window", "note", session, symbol, 1, f"{text}, as stated")
        return Finding(
            "splits against the stated basis", "warning", session, symbol, 1, f"{text}, not as stated"
        )

    def _renamed(self) -> Iterator[Finding]:
        """A name that ends the session before another begins at about its price, if only one does."""
        begun: dict[date, list[str]] = {}
        for symbol, seen in self._seen.items():
            begun.setdefault(seen.first, []).append(symbol)
        days = sorted(self._count)
        following = dict(pairwise(days))
        for symbol, seen in self._seen.items():
            next_day = following.get(seen.last)
            near = [
                other
                for other in begun.get(next_day, ())
                if abs(math.log(self._seen[other].first_open / seen.last_close)) < SAME_PRICE
            ] if next_day else []  # fmt: skip
            if len(near) == 1:
                text = (
                    f"ends on {seen.last}, {near[0]} begins on {next_day} at about its price; if it is the "
                )
                text += f"same share: --same {symbol}={near[0]}"
                yield Finding("perhaps renamed", "warning", None, symbol, 1, text)


def _sessions_between(after: date, before: date, known: dict[date, int]) -> int:
    """How many of the dataset's sessions lie between two. They are near each other as a rule."""
    count = 0
    for day in reversed(known):
        if day <= after:
            break
        count += day < before
    return count


def _missing_days(previous: date, session: date) -> Iterator[Finding]:
    """The sessions of the calendar between two of the dataset's, as one line."""
    missing = []
    day = previous
    while (day := day + timedelta(days=1)) < session:
        try:
            if calendar.is_open(day):
                missing.append(day)
        except CalendarError:
            continue
    if missing:
        span = f"{missing[0]}" + (f" to {missing[-1]}" if len(missing) > 1 else "")
        text = f"{len(missing)} sessions of the calendar are missing before it ({span})"
        yield Finding("missing days", "warning", session, "", len(missing), text)
