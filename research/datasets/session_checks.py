"""The bars of one session -> what each symbol's day looks like: gaps, outliers, prices off the grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from broker_adapter.sandbox.feed.tick_sizes import tick_size_paise
from research.bars import MINUTE_NS
from research.datasets.findings import Finding
from research.datasets.grid import Minutes, clock_of, minutes_of
from research.datasets.session_files import SessionRows

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

WINDOW = 2  # minutes to either side that a bar is compared with
FAR = 0.03  # of the price around it, and
TIMES = 15.0  # so many times the symbol's usual range of a bar
#: The tick follows last month's close, which a bar file does not tell: the finest it may have been.
DEAREST_MOVE = 0.8
ADJUSTED_SHARE = 0.2  # of a symbol's bars off the tick grid: as back-adjusted prices are


@dataclass(frozen=True, eq=False)
class SymbolDays:
    """One row per symbol of a session; int64[n] each. Minutes are counted on the session's own hours.

    `previous`-free facts alone: what needs other sessions is found in `session_changes`.
    """

    rows: SessionRows
    bars: Ints
    expected: Ints
    longest_gap: Ints
    gap_from: Ints  # ns UTC of its first minute
    silent: Ints  # bars with volume 0
    off_grid: Ints
    outliers: Ints
    outlier_at: Ints
    first_price: Ints
    last_price: Ints
    moved: npt.NDArray[np.bool_]

    @property
    def missing(self) -> Ints:
        return self.expected - self.bars


def symbol_days(rows: SessionRows, indices: npt.NDArray[np.bool_]) -> SymbolDays:
    """`rows` are in order of symbol and time, each symbol has some. `indices` bool[n]: has no tick size."""
    minutes = minutes_of(rows.session)
    n = len(rows.symbols)
    starts = np.searchsorted(rows.code, np.arange(n + 1))
    first, last = starts[:-1], starts[1:] - 1
    expected = _expected(rows, minutes, last)
    gap, gap_from = _longest_gaps(rows, minutes, first, last, expected)
    far = _outliers(rows, starts)
    off = _off_grid(rows, indices, first)
    closes = rows.values["close"]
    highest, lowest = np.maximum.reduceat(closes, first), np.minimum.reduceat(closes, first)
    outlier_at = np.zeros(n, dtype=np.int64)
    outlier_at[rows.code[far][::-1]] = rows.begins_at[far][::-1]
    return SymbolDays(
        rows=rows,
        bars=np.diff(starts),
        expected=expected,
        longest_gap=gap,
        gap_from=gap_from,
        silent=np.bincount(rows.code[rows.values["volume"] == 0], minlength=n),
        off_grid=np.bincount(rows.code[off], minlength=n),
        outliers=np.bincount(rows.code[far], minlength=n),
        outlier_at=outlier_at,
        first_price=rows.values["open"][first],
        last_price=closes[last],
        moved=highest > lowest,
    )


def findings_of(days: SymbolDays) -> Iterator[Finding]:
    """A line for each symbol's day that has something odd."""
    session = days.rows.session
    for k, symbol in enumerate(days.rows.symbols):
        bars, missing = int(days.bars[k]), int(days.missing[k])
        if missing > 0:
            text = (
                f"{missing} of {int(days.expected[k])} minutes missing, the longest gap "
                f"{int(days.longest_gap[k])} from {clock_of(int(days.gap_from[k]))}"
            )
            yield Finding("gaps", "warning", session, symbol, missing, text)
        if days.outliers[k]:
            count = int(days.outliers[k])
            text = f"{count} bars far from those around, the first at {clock_of(int(days.outlier_at[k]))}"
            yield Finding("outliers", "warning", session, symbol, count, text)
        if days.off_grid[k]:
            count = int(days.off_grid[k])
            text = f"{count} of {bars} bars off the tick grid"
            yield Finding("off-grid prices", "warning", session, symbol, count, text)
        if not days.moved[k] and bars > 1:
            yield Finding("never moved", "warning", session, symbol, bars, f"one price in all {bars} bars")


def _expected(rows: SessionRows, minutes: Minutes, last: Ints) -> Ints:
    """A stock with a closing auction is done when that begins; whether it has one its own last bar tells."""
    whole = len(minutes.begins_at)
    before_auction = int(np.searchsorted(minutes.begins_at, minutes.auction_from))
    return np.where(rows.begins_at[last] < minutes.auction_from, min(before_auction, whole), whole)


def _longest_gaps(
    rows: SessionRows, minutes: Minutes, first: Ints, last: Ints, expected: Ints
) -> tuple[Ints, Ints]:
    """(minutes, begin in ns UTC) of each symbol's longest run of missing minutes, both ends included."""
    place = np.searchsorted(minutes.begins_at, rows.begins_at)
    before = np.diff(place, prepend=0) - 1
    before[first] = place[first]
    longest = np.maximum.reduceat(before, first)
    at = np.zeros(len(first), dtype=np.int64)
    hit = np.flatnonzero(before == longest[rows.code])[::-1]
    at[rows.code[hit]] = place[hit] - before[hit]
    after = expected - 1 - place[last]
    at = np.where(after > longest, place[last] + 1, at)
    return np.maximum(longest, after), minutes.begins_at[np.minimum(at, len(minutes.begins_at) - 1)]


def _outliers(rows: SessionRows, starts: Ints) -> Ints:
    """Rows whose high or low is far from the closes around it, on any usual day of that symbol."""
    place = np.arange(len(rows))
    low_end, high_end = starts[rows.code], starts[rows.code + 1] - 1
    close = np.log(rows.values["close"])
    around = np.stack([close[np.clip(place + k, low_end, high_end)] for k in range(-WINDOW, WINDOW + 1)])
    middle = np.median(around, axis=0)
    high, low = np.log(rows.values["high"]), np.log(rows.values["low"])
    usual = np.array([np.median(part) for part in np.split(high - low, starts[1:-1])])
    far = np.maximum(high - middle, middle - low) > np.maximum(FAR, TIMES * usual[rows.code])
    return np.flatnonzero(far)


def _off_grid(rows: SessionRows, indices: npt.NDArray[np.bool_], first: Ints) -> Ints:
    lowest = np.minimum.reduceat(rows.values["low"], first) * DEAREST_MOVE
    ticks = np.array([tick_size_paise(int(price), rows.session) for price in lowest], dtype=np.int64)
    tick = np.where(indices, 1, ticks)[rows.code]
    off = np.zeros(len(rows), dtype=np.bool_)
    for name in ("open", "high", "low", "close"):
        off |= rows.values[name] % tick != 0
    return np.flatnonzero(off)


def missing_minutes(rows: SessionRows) -> Ints:
    """int64[1440]: how many symbols lack each minute of the IST day, of those the session has."""
    minutes = minutes_of(rows.session).begins_at
    there = np.bincount(np.searchsorted(minutes, rows.begins_at), minlength=len(minutes))
    of_day = (minutes // MINUTE_NS + 330) % 1_440
    found = np.zeros(1_440, dtype=np.int64)
    found[of_day] = len(rows.symbols) - there
    return found
