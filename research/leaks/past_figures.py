"""Plain figures of earlier minutes: how much an honest column can show of what comes after.

They are written in numpy, apart from the kernels: what measures the features may not share their mistakes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from research.bars import SessionBars
from research.labels.port import carried_close
from research.labels.triple_barrier import one_minute_volatility_bps

Floats = npt.NDArray[np.float64]
BPS = 10_000.0
RETURNS_MIN = (1, 5, 15)
VOLATILITY_MIN = 15


def past_figures(bars: SessionBars) -> Floats:
    """float64[m, n, 7]: returns over 1, 5 and 15 min, volatility, place in the session's range, volume of
    this minute against the session's mean so far, minutes since the open."""
    closes = carried_close(bars)
    m, n = closes.shape
    price = np.where(closes > 0, closes, np.nan)
    with np.errstate(all="ignore"):
        returns = [_return(price, back) for back in RETURNS_MIN]
        high = np.maximum.accumulate(np.where(bars.present, bars.high, 0), axis=0)
        low = np.minimum.accumulate(np.where(bars.present, bars.low, np.iinfo(np.int64).max), axis=0)
        place = (price - low) / np.where(high > low, high - low, np.nan)
        volume = bars.volume / (np.cumsum(bars.volume, axis=0) / np.arange(1, m + 1)[:, None])
    since = np.broadcast_to(np.arange(m, dtype=np.float64)[:, None], (m, n))
    return np.stack(
        [*returns, one_minute_volatility_bps(closes, VOLATILITY_MIN), place, volume, since], axis=2
    )


def _return(price: Floats, back: int) -> Floats:
    found = np.full(price.shape, np.nan)
    found[back:] = (price[back:] / price[:-back] - 1.0) * BPS
    return found
