"""Small sessions written by hand, for tests about bars."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np

from kitepilot.market.calendar import ist_ns
from research.bars import MINUTE_NS, SessionBars

DAY = date(2026, 11, 20)
TICK = 5


def session_of(
    close: Sequence[Sequence[int]],
    *,
    opened: Sequence[Sequence[int]] | None = None,
    high: Sequence[Sequence[int]] | None = None,
    low: Sequence[Sequence[int]] | None = None,
    day: date = DAY,
    start: str = "09:15",
) -> SessionBars:
    """Rows of closes, minute by minute from `start`; 0 is no bar. Other prices are the close if not given."""
    closes = np.array(close, dtype=np.int64).reshape(len(close), -1)
    shown = closes > 0

    def column(given: Sequence[Sequence[int]] | None) -> np.ndarray:
        return closes.copy() if given is None else np.array(given, dtype=np.int64).reshape(closes.shape)

    opens = column(opened)
    n = closes.shape[1]
    first = ist_ns(day, start) + MINUTE_NS
    return SessionBars(
        session=day,
        symbols=tuple(f"S{j}" for j in range(n)),
        tokens=np.arange(n, dtype=np.int64) * 256 + 1,
        close_at=first + np.arange(len(closes), dtype=np.int64) * MINUTE_NS,
        open=opens,
        high=np.maximum(column(high), np.maximum(opens, closes)),
        low=np.where(shown, np.minimum(column(low), np.minimum(opens, closes)), 0),
        close=closes,
        volume=shown.astype(np.int64) * 100,
        present=shown,
        tick_size_paise=np.full(n, TICK, dtype=np.int64),
        previous_close_paise=closes[0].copy() if len(closes) else np.zeros(n, dtype=np.int64),
    )
