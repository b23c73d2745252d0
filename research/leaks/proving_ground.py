"""Sessions made to bring leaks to light: gaps, a late instrument, a halt, flat minutes, a common market.

They prove features and the gate itself, and say nothing of a strategy: nothing in them can be foretold.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from kitepilot.market.calendar import ist_ns
from research.bars import MINUTE_NS, SessionBars
from research.generated_bars import FIRST_TOKEN, SEGMENT_NSE, TICK_PAISE, weekdays

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
FIRST_DAY = date(2026, 9, 1)
MARKET_BPS, OWN_BPS = 6.0, 6.0  # of one minute, at midday
LATE_ROW, HALT_SHARE = 20, 0.05
MISSING = 0.06


def proving_sessions(
    seed: int, sessions: int = 4, instruments: int = 6, minutes: int = 120
) -> tuple[SessionBars, ...]:
    """Consecutive sessions of one market; prices go on from one to the next, with a gap in between.

    In every session one instrument begins at minute `LATE_ROW` and one stands still for a while; 6 % of the
    minutes have no bar, and some bars no change.
    """
    rng = np.random.default_rng([seed, 2_028])
    level = rng.uniform(10_000, 250_000, instruments)
    previous = np.zeros(instruments, dtype=np.int64)
    made = []
    for day in weekdays(FIRST_DAY, sessions):
        level = level * np.exp(rng.normal(0, 0.006, instruments))
        bars, level = _session(day, level, previous, minutes, rng)
        previous = np.where(bars.present.any(axis=0), _last_close(bars), previous)
        made.append(bars)
    return tuple(made)


def _session(
    day: date, level: Floats, previous: Ints, minutes: int, rng: np.random.Generator
) -> tuple[SessionBars, Floats]:
    n, steps = len(level), 4  # prices in each minute
    clock = np.linspace(-1, 1, minutes * steps)
    lively = (0.7 + 0.9 * clock**2)[:, None] / np.sqrt(steps) / 1e4
    market = rng.normal(0, MARKET_BPS, (minutes * steps, 1)) * rng.uniform(0.6, 1.4, n)
    moves = (market + rng.normal(0, OWN_BPS, (minutes * steps, n))) * lively
    still = rng.random((minutes, n)) < 0.03
    moves[np.repeat(still, steps, axis=0)] = 0.0
    path = level * np.exp(np.cumsum(moves, axis=0))
    grid = (np.round(path / TICK_PAISE) * TICK_PAISE).astype(np.int64).reshape(minutes, steps, n)
    present = rng.random((minutes, n)) >= MISSING
    present[: min(LATE_ROW, minutes // 2), n - 1] = False
    halted = int(rng.integers(minutes // 3, minutes // 2 + 1))
    present[halted : halted + max(int(minutes * HALT_SHARE), 2), 0] = False
    volume = rng.integers(1, 3_000, (minutes, n)) * (
        1 + (np.abs(moves).reshape(minutes, steps, n).sum(1) > 0)
    )
    columns = {
        "open": grid[:, 0],
        "high": grid.max(axis=1),
        "low": grid.min(axis=1),
        "close": grid[:, -1],
        "volume": np.where(still, 0, volume),
    }
    filled: dict[str, Any] = {name: np.where(present, column, 0) for name, column in columns.items()}
    bars = SessionBars(
        session=day,
        symbols=tuple(f"PRV{j:02d}" for j in range(n)),
        tokens=(np.arange(n, dtype=np.int64) + FIRST_TOKEN) * 256 + SEGMENT_NSE,
        close_at=ist_ns(day, "09:15") + np.arange(1, minutes + 1, dtype=np.int64) * MINUTE_NS,
        present=present,
        tick_size_paise=np.full(n, TICK_PAISE, dtype=np.int64),
        previous_close_paise=np.where(previous > 0, previous, grid[0, 0]),
        **filled,
    )
    return bars, path[-1]


def _last_close(bars: SessionBars) -> Ints:
    last = len(bars.close_at) - 1 - bars.present[::-1].argmax(axis=0)
    found: Ints = bars.close[last, np.arange(len(bars.symbols))]
    return found
