"""The dated NSE session table: is there trading on a day, from when to when, and when do we stop.

The table is `nse_sessions.yaml` beside this file. It fails closed: a year it does not list is an error, not a
guess. Dates are IST dates; instants are nanoseconds since the epoch, UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import cache
from importlib import resources
from typing import Any

import yaml

from kitepilot.events import InstrumentTerms
from kitepilot.market.instruments import Instrument

IST = timezone(timedelta(hours=5, minutes=30), "IST")
NS_PER_S = 1_000_000_000
SEARCH_DAYS = 30  # the longest run of closed days is far shorter


class CalendarError(ValueError):
    """No session to trade on that date."""


class UnknownDayError(CalendarError):
    """The table does not cover the date, so nothing can be said about it."""


class ClosedDayError(CalendarError):
    """The exchange is closed, or open only for a special session that is not traded unless asked for."""

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.reason = reason  # "weekend", "holiday, Holi"


@dataclass(frozen=True)
class Session:
    """One trading day. All `_at` are ns UTC; `windows` are the spans of continuous trading."""

    date: date
    kind: str  # regular | full | muhurat | disaster_recovery | outage
    name: str
    pre_open_at: int
    pre_open_end_at: int
    open_at: int
    continuous_close_at: int  # stocks without a closing auction
    auction_continuous_close_at: int  # stocks with one
    close_at: int  # our day is over, the closing auction's matching included
    entry_cutoff_at: int
    square_off_at: int
    force_flat_at: int
    alarm_at: int
    windows: tuple[tuple[int, int], ...]

    def continuous_close(self, closing_auction: bool) -> int:
        return self.auction_continuous_close_at if closing_auction else self.continuous_close_at


@dataclass(frozen=True)
class _Special:
    kind: str
    name: str
    windows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Table:
    regimes: tuple[dict[str, Any], ...]
    cutoffs: tuple[dict[str, Any], ...]
    specials: dict[date, _Special]
    holidays: dict[date, str]
    years: frozenset[int]


def session(day: date, *, allow_special: bool = False) -> Session:
    """The session of an IST date. A full session on a weekend counts as any other day.

    Raises:
        UnknownDayError: the table does not cover that year.
        ClosedDayError: weekend or holiday (named, with the next session), or a Muhurat, disaster-recovery or
            outage day without `allow_special`; with it, only if its hours are not announced.
    """
    table = _table()
    _require_covered(table, day)
    special = table.specials.get(day)
    if special is not None and special.kind != "full":
        if not allow_special:
            raise _closed(day, f"{special.name}: a special session, not traded unless enabled")
        return _short_session(table, day, special)
    if special is None:
        reason = _why_closed(table, day)
        if reason:
            raise _closed(day, reason)
    return _full_session(table, day, special)


def is_open(day: date) -> bool:
    """Whether `session(day)` gives a session. Raises `UnknownDayError` as it does."""
    try:
        session(day)
    except ClosedDayError:
        return False
    return True


def next_session(day: date) -> date | None:
    """The first ordinary or full session after `day`; None when the table ends before one."""
    return _search(day, timedelta(days=1))


def previous_session(day: date) -> date | None:
    """The last ordinary or full session before `day`; None when the table begins after it."""
    return _search(day, timedelta(days=-1))


def terms(of: Session, instrument: Instrument, leave_at: int | None = None) -> InstrumentTerms:
    """What the decision flow needs to know about one instrument on that day. Cutoffs never pass its close.

    `leave_at` (ns) starts leaving earlier than the table, never later; the time to be flat moves with it.
    """
    close_at = of.continuous_close(instrument.closing_auction)
    square_off_at = of.square_off_at if leave_at is None else min(leave_at, of.square_off_at)
    earlier = of.square_off_at - square_off_at
    return InstrumentTerms(
        token=instrument.token,
        tradingsymbol=instrument.tradingsymbol,
        tick_size_paise=instrument.tick_size_paise,
        lot_size=instrument.lot_size,
        closing_auction=instrument.closing_auction,
        entry_cutoff_at=min(of.entry_cutoff_at, square_off_at, close_at),
        square_off_at=min(square_off_at, close_at),
        force_flat_at=min(of.force_flat_at - earlier, close_at),
        continuous_close_at=close_at,
    )


def ist_ns(day: date, clock: str) -> int:
    """`(2026-11-20, "09:15")` -> ns UTC. Seconds are optional: "15:29:59"."""
    at = datetime.combine(day, time.fromisoformat(clock), IST)
    return int(at.timestamp()) * NS_PER_S


def to_ist(ns: int) -> datetime:
    """Instant in ns UTC -> aware datetime in IST, microseconds rounded down."""
    seconds, rest = divmod(ns, NS_PER_S)
    return datetime.fromtimestamp(seconds, IST).replace(microsecond=rest // 1000)


def ist_date(ns: int) -> date:
    """The IST date an instant (ns UTC) falls on."""
    return to_ist(ns).date()


def to_utc(ns: int) -> datetime:
    """Instant in ns UTC -> aware datetime in UTC, microseconds rounded down."""
    return to_ist(ns).astimezone(UTC)


def _require_covered(table: _Table, day: date) -> None:
    if day.year not in table.years:
        covered = f"{min(table.years)}-{max(table.years)}"
        raise UnknownDayError(
            f"{day}: the NSE session table covers {covered}, not {day.year}. "
            f"Add the year's holidays from NSE's circular to nse_sessions.yaml."
        )


def _why_closed(table: _Table, day: date) -> str:
    """Reason of an ordinary closure, empty when the exchange trades."""
    if day in table.holidays:
        return f"holiday, {table.holidays[day]}"
    return "weekend" if day.weekday() >= 5 else ""


def _closed(day: date, reason: str) -> ClosedDayError:
    following = next_session(day)
    hint = f"The next session is {following}." if following else "The table holds no later session."
    return ClosedDayError(f"{day} ({day:%A}): NSE is closed: {reason}. {hint}", reason)


def _search(day: date, step: timedelta) -> date | None:
    table = _table()
    for _ in range(SEARCH_DAYS):
        day += step
        if day.year not in table.years:
            return None
        special = table.specials.get(day)
        if special.kind == "full" if special else not _why_closed(table, day):
            return day
    return None


def _full_session(table: _Table, day: date, special: _Special | None) -> Session:
    regime, cutoff = _in_force(table.regimes, day), _in_force(table.cutoffs, day)
    open_at = ist_ns(day, regime["open"])
    plain = ist_ns(day, regime["continuous_close"]["plain"])
    return Session(
        date=day,
        kind=special.kind if special else "regular",
        name=special.name if special else "",
        pre_open_at=ist_ns(day, regime["pre_open"]["start"]),
        pre_open_end_at=ist_ns(day, regime["pre_open"]["entry_end"]),
        open_at=open_at,
        continuous_close_at=plain,
        auction_continuous_close_at=ist_ns(day, regime["continuous_close"]["closing_auction"]),
        close_at=ist_ns(day, regime["end"]),
        entry_cutoff_at=ist_ns(day, cutoff["entry_cutoff"]),
        square_off_at=ist_ns(day, cutoff["square_off"]),
        force_flat_at=ist_ns(day, cutoff["force_flat"]),
        alarm_at=ist_ns(day, cutoff["alarm"]),
        windows=((open_at, plain),),
    )


def _short_session(table: _Table, day: date, special: _Special) -> Session:
    """A special session: no auction close of its own, and we leave in its last half hour."""
    if not special.windows:
        raise _closed(day, special.name)
    windows = tuple((ist_ns(day, start), ist_ns(day, end)) for start, end in special.windows)
    open_at, close_at = windows[0][0], windows[-1][1]
    minute = 60 * NS_PER_S
    return Session(
        date=day,
        kind=special.kind,
        name=special.name,
        pre_open_at=open_at - 15 * minute,
        pre_open_end_at=open_at - 7 * minute,
        open_at=open_at,
        continuous_close_at=close_at,
        auction_continuous_close_at=close_at,
        close_at=close_at + 30 * minute,
        entry_cutoff_at=close_at - 30 * minute,
        square_off_at=close_at - 20 * minute,
        force_flat_at=close_at - 15 * minute,
        alarm_at=close_at - 12 * minute,
        windows=windows,
    )


def _in_force(entries: tuple[dict[str, Any], ...], day: date) -> dict[str, Any]:
    return max((entry for entry in entries if entry["from"] <= day), key=lambda entry: entry["from"])


@cache
def _table() -> _Table:
    """The packaged table, read once."""
    raw = yaml.safe_load(resources.files("kitepilot.market").joinpath("nse_sessions.yaml").read_text("utf-8"))
    specials = {
        row["date"]: _Special(row["kind"], row["name"], tuple((a, b) for a, b in row.get("windows", [])))
        for row in raw["special_sessions"]
    }
    holidays = {
        date.fromisoformat(f"{year}-{month_day}"): name
        for year, days in raw["holidays"].items()
        for month_day, name in days.items()
    }
    return _Table(
        tuple(raw["regimes"]), tuple(raw["cutoffs"]), specials, holidays, frozenset(raw["holidays"])
    )


def announced_at(session_date: str) -> int:
    """Session time (ns UTC) of `RunStarted`; on paper also the time at which profiles are looked up."""
    return ist_ns(date.fromisoformat(session_date), "08:45")
