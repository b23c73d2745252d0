"""A date -> the minutes in which the exchange trades, as the begin of each bar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from kitepilot.market import calendar
from kitepilot.market.calendar import CalendarError, UnknownDayError
from research.bars import MINUTE_NS

Ints = npt.NDArray[np.int64]
Kind = Literal["ordinary", "special", "closed", "unknown"]

DAY_NS = 86_400_000_000_000
IST_NS = 19_800_000_000_000
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, eq=False)
class Minutes:
    """A day's minutes: `begins_at` int64[m] ns UTC, empty when the exchange is closed.

    `auction_from` (ns UTC): stocks with a closing auction have no bars from then on. An `unknown` day is one
    that the calendar does not cover; its hours are taken to be 09:15 to 15:30.
    """

    begins_at: Ints
    auction_from: int
    kind: Kind
    why: str = ""


@lru_cache(maxsize=64)
def minutes_of(day: date) -> Minutes:
    """The minutes of an IST date."""
    try:
        session = calendar.session(day, allow_special=True)
    except UnknownDayError as err:
        opens, closes = calendar.ist_ns(day, "09:15"), calendar.ist_ns(day, "15:30")
        return Minutes(np.arange(opens, closes, MINUTE_NS, dtype=np.int64), closes, "unknown", str(err))
    except CalendarError as err:
        return Minutes(np.zeros(0, dtype=np.int64), 0, "closed", str(err))
    spans = [np.arange(start, end, MINUTE_NS, dtype=np.int64) for start, end in session.windows]
    ordinary = session.kind in ("regular", "full")
    return Minutes(
        np.concatenate(spans), session.auction_continuous_close_at, "ordinary" if ordinary else "special"
    )


def day_numbers(at: Ints) -> Ints:
    """The IST day of each instant (ns UTC), as days since 1970-01-01."""
    return (at + IST_NS) // DAY_NS


def date_of(number: int) -> date:
    """Days since 1970-01-01 -> the date."""
    return date.fromordinal(EPOCH.toordinal() + int(number))


def clock_of(at: int) -> str:
    """Instant (ns UTC) -> the IST time of day, `09:15`."""
    return f"{calendar.to_ist(at):%H:%M}"
