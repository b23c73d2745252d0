"""Bars out of nothing but a seed: for proofs of size and for tests. They say nothing about a market.

    GeneratedBars(instruments=300, sessions=weekdays(date(2021, 1, 1), 1250), seed=7).read(day) -> SessionBars

Each session depends on the seed and its date alone, so any of them can be made without the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np

from kitepilot.market.calendar import IST, to_ist
from research.bars import MINUTE_NS, SessionBars

TICK_PAISE = 5
SEGMENT_NSE = 1
MINUTES = 375
FIRST_TOKEN = 1_000


def weekdays(first: date, count: int) -> tuple[date, ...]:
    """`count` weekdays from `first` on; holidays are not looked at."""
    days: Iterator[date] = (first + timedelta(days=step) for step in range(2 * count + 7))
    return tuple(day for day in days if day.weekday() < 5)[:count]


@dataclass(frozen=True)
class GeneratedBars:
    """A `BarSource`: random walks on the tick grid. `missing` is the share of minutes without a bar."""

    instruments: int
    sessions: Sequence[date]
    seed: int = 0
    minutes: int = MINUTES
    volatility_bps: float = 8.0  # of one minute
    missing: float = 0.0

    @property
    def name(self) -> str:
        return f"generated-{self.seed}-{self.instruments}x{len(self.sessions)}"

    def read(self, session: date) -> SessionBars:
        if session not in self.sessions:
            raise LookupError(f"{self.name} has no session {session}")
        n, m = self.instruments, self.minutes
        rng = np.random.default_rng([self.seed, session.toordinal()])
        base = np.random.default_rng([self.seed]).uniform(10_000, 400_000, n)
        path = np.exp(np.cumsum(rng.normal(0.0, self.volatility_bps / 1e4, (2 * m + 1, n)), axis=0))
        grid = (np.round(base * path / TICK_PAISE) * TICK_PAISE).astype(np.int64)
        opened, middle, closed = grid[0:-1:2], grid[1::2], grid[2::2]
        present = rng.random((m, n)) >= self.missing
        traded = rng.integers(1, 5_000, (m, n))
        high = np.maximum(np.maximum(opened, middle), closed)
        low = np.minimum(np.minimum(opened, middle), closed)
        opening = int(datetime.combine(session, time(9, 15), IST).timestamp()) * 1_000_000_000
        columns = {"open": opened, "high": high, "low": low, "close": closed, "volume": traded}
        filled: dict[str, Any] = {name: np.where(present, column, 0) for name, column in columns.items()}
        return SessionBars(
            session=session,
            symbols=tuple(f"SYN{row:03d}" for row in range(n)),
            tokens=(np.arange(n, dtype=np.int64) + FIRST_TOKEN) * 256 + SEGMENT_NSE,
            close_at=opening + np.arange(1, m + 1, dtype=np.int64) * MINUTE_NS,
            present=present,
            tick_size_paise=np.full(n, TICK_PAISE, dtype=np.int64),
            previous_close_paise=grid[0].copy(),
            **filled,
        )


def csv_of(bars: SessionBars, minutes: int | None = None) -> bytes:
    """The first `minutes` as somebody might send them: rupees, each minute labelled by its start, IST."""
    lines = ["time,symbol,open,high,low,close,volume"]
    prices = np.stack((bars.open, bars.high, bars.low, bars.close), axis=2) / 100
    for minute, at in enumerate(bars.close_at[:minutes].tolist()):
        begins = f"{to_ist(at - MINUTE_NS):%Y-%m-%d %H:%M:%S}"
        for row in np.flatnonzero(bars.present[minute]).tolist():
            four = ",".join(f"{each:.2f}" for each in prices[minute, row].tolist())
            lines.append(f"{begins},{bars.symbols[row]},{four},{bars.volume[minute, row]}")
    return ("\n".join(lines) + "\n").encode()
