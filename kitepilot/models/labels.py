"""Labels that have matured: was it worth buying 300 seconds ago?

The label of a row seen at bar close t is true when the last price at t + horizon is above the last price
at t by more than `cost_bps`. It is known at t + horizon and not before; until then the row waits in a
queue of bounded length.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np

from kitepilot.models.port import Booleans, Floats, Integers

NS = 1_000_000_000
HORIZON_S = 300
#: A round trip of 60,000 rupees intraday: brokerage 0.06 %, STT 0.025 % on the sale, exchange and stamp
#: charges about 0.01 %, GST on brokerage and exchange fees (facts sheet, charges of 2026): about 11 bps.
COST_BPS = 11.0
LABEL = f"last price {HORIZON_S} s later > last price * (1 + {COST_BPS} bps)"


class Matured(NamedTuple):
    """Rows whose label is known. `x` float64[m, F] without NaN, `y` bool[m]; rows of tokens `rows`."""

    close_at: int  # when the features were seen
    rows: Integers
    x: Floats
    y: Booleans


def label(then_paise: Integers, now_paise: Integers, cost_bps: float = COST_BPS) -> Booleans:
    """int64[n], int64[n] -> bool[n]; both prices must be above 0."""
    return (now_paise - then_paise) * 10_000.0 > cost_bps * then_paise


class LabelQueue:
    """Rows waiting for their label; at most one entry per bar of the horizon.

    A close that never came (a gap in session time) leaves its rows without a label: they are dropped.
    """

    def __init__(self, interval_s: int = 60, horizon_s: int = HORIZON_S) -> None:
        self._horizon_ns = horizon_s * NS
        self._waiting: deque[tuple[int, Floats, Integers]] = deque(maxlen=horizon_s // interval_s + 1)

    def __len__(self) -> int:
        return len(self._waiting)

    def on_close(self, close_at: int, features: Floats, last_paise: Integers) -> Matured | None:
        """Take the rows of this close; give back those seen exactly one horizon earlier.

        `features` float64[n, F] and `last_paise` int64[n] are kept as copies.
        """
        due = close_at - self._horizon_ns
        matured = None
        while self._waiting and self._waiting[0][0] <= due:
            seen_at, x, then_paise = self._waiting.popleft()
            if seen_at == due:
                matured = _mature(seen_at, x, then_paise, last_paise)
        self._waiting.append((close_at, features.copy(), last_paise.copy()))
        return matured

    def snapshot(self) -> list[Any]:
        """Plain data: [close_at, F, features bytes, last_paise bytes] per waiting entry."""
        return [[at, x.shape[1], x.tobytes(), last.tobytes()] for at, x, last in self._waiting]

    def restore(self, entries: list[Any]) -> None:
        self._waiting.clear()
        for at, width, x, last in entries:
            rows = np.frombuffer(x, dtype=np.float64).reshape(-1, width)
            self._waiting.append((at, rows, np.frombuffer(last, dtype=np.int64)))


class Lessons:
    """Matured rows that the online model has yet to learn, in their order; at most one close of them."""

    def __init__(self) -> None:
        self._x: Floats = np.empty((0, 0))
        self._y: Booleans = np.empty(0, dtype=bool)

    def __len__(self) -> int:
        return len(self._y)

    def give(self, matured: Matured) -> None:
        """Replace what is left: the caller has taken it."""
        self._x, self._y = matured.x, matured.y

    def take(self, rows: int) -> tuple[Floats, Booleans]:
        """The next `rows` rows, fewer at the end."""
        x, y = self._x[:rows], self._y[:rows]
        self._x, self._y = self._x[rows:], self._y[rows:]
        return x, y

    def snapshot(self) -> list[Any]:
        """Plain data: F, rows' bytes, labels' bytes."""
        return [self._x.shape[1], self._x.tobytes(), self._y.tobytes()]

    def restore(self, saved: list[Any]) -> None:
        width, x, y = saved
        self._y = np.frombuffer(y, dtype=bool)
        self._x = np.frombuffer(x, dtype=np.float64).reshape(len(self._y), width)


def _mature(seen_at: int, x: Floats, then_paise: Integers, now_paise: Integers) -> Matured | None:
    usable = (then_paise > 0) & (now_paise > 0) & np.isfinite(x).all(axis=1)
    rows = np.flatnonzero(usable).astype(np.int64)
    if not rows.size:
        return None
    return Matured(seen_at, rows, x[rows], label(then_paise[rows], now_paise[rows]))
