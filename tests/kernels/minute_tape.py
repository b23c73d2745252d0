"""Sessions of 1 m bars for the minute kernels: walks with silent minutes, late starts and still prices."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from plain_minutes import PlainBars

from kitepilot.kernels.minutes import MINUTE_NAMES, MinuteShard

OPEN_MINUTE = 29_919_105  # 2026-11-20 09:15 IST, minutes since the epoch
MINUTE_NS = 60_000_000_000
COLUMN = {name: place for place, name in enumerate(MINUTE_NAMES)}


@dataclass(frozen=True, eq=False)
class Tape:
    """[m, n] of one session; row 0 closes at 09:16."""

    bars: PlainBars
    close_at: npt.NDArray[np.int64]

    @property
    def n(self) -> int:
        return self.bars.present.shape[1]

    def cut(self, begin: int, end: int) -> Tape:
        b = self.bars
        names = ("open", "high", "low", "close", "volume", "present")
        parts = {name: getattr(b, name)[begin:end] for name in names}
        flow = None if b.flow is None else b.flow[begin:end]
        return Tape(replace(b, **parts, flow=flow), self.close_at[begin:end])


def tape(seed: int, minutes: int = 120, n: int = 4, *, flow: bool = True) -> Tape:
    """The last instrument is an index without volume; one begins late, one stands still for a while."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 8e-4, (minutes, n)) * rng.choice([0.0, 1.0, 1.0, 6.0], (minutes, n))
    close = np.maximum(np.round(rng.uniform(5e3, 4e5, n) * np.exp(np.cumsum(steps, axis=0)) / 5) * 5, 5)
    if rng.random() < 0.3:
        close[minutes // 3 :, 0] = close[minutes // 3, 0]
    opened = np.maximum(close + 5 * rng.integers(-3, 4, (minutes, n)), 5)
    high = np.maximum(opened, close) + 5 * rng.integers(0, 3, (minutes, n))
    low = np.maximum(np.minimum(opened, close) - 5 * rng.integers(0, 3, (minutes, n)), 5)
    volume = rng.integers(0, 4, (minutes, n)) * rng.integers(1, 50_000, (minutes, n))
    volume[:, -1] = 0
    present = rng.random((minutes, n)) >= rng.choice([0.0, 0.02, 0.3])
    present[: int(rng.integers(0, minutes // 2)), 1] = False
    present[: int(rng.integers(0, 3))] = False
    previous = np.where(rng.random(n) < 0.7, close[0], 0)
    tradable = np.arange(n) < n - 1
    told = _flow(rng, volume) if flow else None
    bars = PlainBars(opened, high, low, close, volume, present, previous, tradable, told)
    return Tape(bars, (OPEN_MINUTE + 1 + np.arange(minutes)) * MINUTE_NS)


def _flow(rng: np.random.Generator, volume: np.ndarray) -> np.ndarray:
    shape = volume.shape
    signed = np.round(volume * rng.uniform(-1, 1, shape))
    spread = np.where(rng.random(shape) < 0.9, rng.uniform(0, 30, shape), np.nan)
    imbalance = np.where(np.isnan(spread), np.nan, rng.uniform(-1, 1, shape))
    signed[rng.random(shape) < 0.005] = np.nan
    return np.stack([signed, rng.integers(0, 60, shape), spread, imbalance], axis=1)


def begun(of: Tape) -> MinuteShard:
    shard = MinuteShard(of.n)
    opens = np.full(of.n, OPEN_MINUTE * MINUTE_NS)
    shard.begin_session(
        opens, opens + 375 * MINUTE_NS, of.bars.tradable, of.bars.previous_close.astype(np.int64)
    )
    return shard


def told(shard: MinuteShard, part: Tape) -> np.ndarray:
    """float64[k, n, F]"""
    b = part.bars
    columns = (column.astype(np.int64) for column in (b.open, b.high, b.low, b.close, b.volume))
    return shard.on_minutes(part.close_at, *columns, b.present, b.flow)
