"""Bars -> what the market shows at each close: last price, a modelled touch around it, locked circuits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from research.bars import SessionBars
from research.fills.in_bar import kernel, locked, touch

Ints = npt.NDArray[np.int64]
Sides = npt.NDArray[np.int8]


@kernel
def _around(last: Ints, ticks: Ints, half_spread_bps: float, bid: Ints, ask: Ints) -> None:
    for minute in range(last.shape[0]):
        for row in range(last.shape[1]):
            if last[minute, row] > 0:
                below, above = touch(last[minute, row], half_spread_bps, ticks[row])
                bid[minute, row] = below
                ask[minute, row] = above


def quotes_of(bars: SessionBars, half_spread_bps: float) -> tuple[Ints, Ints, Ints]:
    """(last, bid, ask) int64[m, n] at each close: an instrument without a bar keeps its price, 0 before the
    first."""
    last = last_prices(bars)
    bid, ask = np.zeros_like(last), np.zeros_like(last)
    _around(last, bars.tick_size_paise, half_spread_bps, bid, ask)
    return last, bid, ask


@kernel
def _locked(opened: Ints, high: Ints, low: Ints, previous: Ints, ticks: Ints, sides: Sides) -> None:
    for row in range(low.shape[1]):
        highest, lowest = 0, 0
        for minute in range(low.shape[0]):
            if opened[minute, row] <= 0:
                continue
            highest = max(highest, high[minute, row])
            lowest = min(lowest, low[minute, row]) if lowest else low[minute, row]
            side = locked(previous[row], high[minute, row], low[minute, row], ticks[row])
            if (side == 1 and high[minute, row] == highest) or (side == -1 and low[minute, row] == lowest):
                sides[minute, row] = side


def locked_sides(bars: SessionBars) -> Sides:
    """int8[m, n]: +1 where nobody sells (locked at the upper circuit), -1 where nobody buys, else 0.

    A lock stands at the session's extreme so far; a bar of one price elsewhere is only quiet.
    """
    sides = np.zeros(bars.open.shape, dtype=np.int8)
    shown = np.where(bars.present, bars.open, 0)
    _locked(shown, bars.high, bars.low, bars.previous_close_paise, bars.tick_size_paise, sides)
    return sides


def last_prices(bars: SessionBars) -> Ints:
    """int64[m, n]: the newest close known at each minute, 0 before the first."""
    minutes = np.arange(len(bars.close_at))[:, None]
    newest = np.maximum.accumulate(np.where(bars.present, minutes, -1), axis=0)
    found = np.take_along_axis(bars.close, np.maximum(newest, 0), axis=0)
    return np.ascontiguousarray(np.where(newest >= 0, found, 0))
