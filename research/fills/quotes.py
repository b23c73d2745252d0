"""Bars -> the quotes that the risk fold sees at each close: last price, and a modelled touch around it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from research.bars import SessionBars
from research.fills.in_bar import kernel, touch

Ints = npt.NDArray[np.int64]


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


def last_prices(bars: SessionBars) -> Ints:
    """int64[m, n]: the newest close known at each minute, 0 before the first."""
    minutes = np.arange(len(bars.close_at))[:, None]
    newest = np.maximum.accumulate(np.where(bars.present, minutes, -1), axis=0)
    found = np.take_along_axis(bars.close, np.maximum(newest, 0), axis=0)
    return np.ascontiguousarray(np.where(newest >= 0, found, 0))
