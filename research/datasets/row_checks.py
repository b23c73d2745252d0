"""Rows of a week, as they were read -> which are bars, and why the others are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from research.bars import MINUTE_NS
from research.datasets.grid import date_of, day_numbers, minutes_of
from research.datasets.times import UNREADABLE

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

VALUES: Final = ("open", "high", "low", "close", "volume")
MOST_PAISE: Final = 2**32 - 1  # what a Kite packet can say
MOST_SHARES: Final = 2**53
SPLIT_PAISA: Final = 0.01  # rupees as floats are this near to whole paise, or they are not whole
#: Position is the code; 0 is a bar. A row has the first reason that holds.
REASONS: Final = (
    "",
    "no time that can be read",
    "no symbol",
    "a value is missing or no number",
    "a price is not above zero, or beyond what a packet can say",
    "volume is negative or not whole",
    "a price is not whole paise",
    "open, high, low and close contradict each other",
    "not on a whole minute",
    "the exchange was closed that day",
    "outside the session's hours",
    "exact duplicate of an earlier row",
    "conflicting duplicates: which one is right cannot be told",
)
NO_TIME, NO_SYMBOL, MISSING, NO_PRICE, NO_VOLUME, SPLIT, CONTRADICTION = range(1, 8)
OFF_MINUTE, CLOSED, OUTSIDE, EXACT, CONFLICT = range(8, 13)


@dataclass(frozen=True, eq=False)
class RawRows:
    """Rows as they were read, in the order of their files. Arrays of length r.

    `code` points into the import's symbols, -1 without one; `begins_at` is ns UTC, `UNREADABLE` without one;
    `values` float64: prices in paise, volume in shares, NaN where there is none. `late`: its time is before
    that of the symbol's row before.
    """

    file: Ints
    row: Ints
    code: Ints
    begins_at: Ints
    values: dict[str, Floats]
    late: Flags

    def __len__(self) -> int:
        return len(self.row)

    def take(self, rows: Ints | Flags) -> RawRows:
        """The chosen rows, in the order chosen."""
        return RawRows(
            self.file[rows],
            self.row[rows],
            self.code[rows],
            self.begins_at[rows],
            {name: column[rows] for name, column in self.values.items()},
            self.late[rows],
        )


def judged(rows: RawRows, *, rounding: bool = False) -> Ints:
    """The reason of each row: int64[r] into `REASONS`. `rounding` lets prices finer than a paisa pass."""
    reason = np.zeros(len(rows), dtype=np.int64)

    def refuse(code: int, wrong: Flags | np.bool_) -> None:
        reason[(reason == 0) & wrong] = code

    opened, high, low, close, volume = (rows.values[name] for name in VALUES)
    prices = np.stack([opened, high, low, close])
    refuse(NO_TIME, rows.begins_at == UNREADABLE)
    refuse(NO_SYMBOL, rows.code < 0)
    refuse(MISSING, ~np.isfinite(prices).all(axis=0) | ~np.isfinite(volume))
    refuse(NO_PRICE, (prices <= 0).any(axis=0) | (np.rint(prices) > MOST_PAISE).any(axis=0))
    refuse(NO_VOLUME, (volume < 0) | (volume > MOST_SHARES) | (volume != np.rint(volume)))
    if not rounding:
        refuse(SPLIT, (np.abs(prices - np.rint(prices)) > SPLIT_PAISA).any(axis=0))
    whole = np.rint(prices)
    refuse(CONTRADICTION, (whole[1] < whole.max(axis=0)) | (whole[2] > whole.min(axis=0)))
    refuse(OFF_MINUTE, rows.begins_at % MINUTE_NS != 0)
    _judge_days(rows, reason)
    _judge_duplicates(rows, reason)
    return reason


def _judge_days(rows: RawRows, reason: Ints) -> None:
    fine = np.flatnonzero(reason == 0)
    days = day_numbers(rows.begins_at[fine])
    for day in np.unique(days).tolist():
        mine = fine[days == day]
        minutes = minutes_of(date_of(day)).begins_at
        if len(minutes):
            reason[mine[~np.isin(rows.begins_at[mine], minutes)]] = OUTSIDE
        else:
            reason[mine] = CLOSED


def _judge_duplicates(rows: RawRows, reason: Ints) -> None:
    """Of equal rows the first stays; of rows that contradict each other none does."""
    fine = np.flatnonzero(reason == 0)
    order = fine[np.lexsort((rows.row[fine], rows.file[fine], rows.begins_at[fine], rows.code[fine]))]
    if not len(order):
        return
    again = (np.diff(rows.code[order], prepend=-2) == 0) & (np.diff(rows.begins_at[order], prepend=-1) == 0)
    first = order[np.maximum.accumulate(np.where(again, 0, np.arange(len(order))))]
    equal = np.ones(len(order), dtype=np.bool_)
    for column in rows.values.values():
        equal &= np.rint(column[order]) == np.rint(column[first])
    reason[order[again]] = EXACT
    torn = np.isin(first, first[~equal])
    reason[order[torn]] = CONFLICT
