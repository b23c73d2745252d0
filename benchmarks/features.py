"""Speed of the minute features on one core, against pandas doing a few of them over the same bars.

Generated sessions of 300 instruments in memory, a row for every bar: the kernels alone, into memory that is
used again, and the rows of all columns that research reads (`features_of`; those made of ticks are NaN).
pandas computes 8 of the 70 (four returns, two volatilities, a z-score and a VWAP) with rolling windows. All
take turns; times are CPU times of the thread, so that a busy machine is not measured with it. Every value
pandas makes is first held against the kernels'. The last part is one live 1 m close of all instruments.
Usage: `python benchmarks/features.py [--quick]`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from kitepilot.kernels.features import FEATURES
from kitepilot.kernels.minutes import MINUTE_NAMES, MINUTE_NS, MINUTES, MinuteShard
from research.bars import SessionBars
from research.feature_rows import features_of, minute_features
from research.generated_bars import GeneratedBars, weekdays

INSTRUMENTS = 300
AIM_BARS_PER_S = 5_000_000
PANDAS = ("ret_5m", "ret_15m", "ret_30m", "ret_60m", "vol_15m", "vol_60m", "bollinger_20", "bar_vwap_dev")

Floats = npt.NDArray[np.float64]


def with_pandas(bars: SessionBars) -> dict[str, Floats]:
    """8 features float64[m, n] by rolling windows over a table with a column per instrument."""
    close = pd.DataFrame(bars.close).astype(float)
    moved = close.pct_change() * 1e4
    typical = pd.DataFrame(bars.high + bars.low + bars.close) / 3.0
    volume = pd.DataFrame(bars.volume)
    vwap = (typical * volume).cumsum() / volume.cumsum()
    window = close.rolling(20)
    found = {f"ret_{w}m": close.pct_change(w) * 1e4 for w in (5, 15, 30, 60)}
    found |= {f"vol_{w}m": (moved**2).rolling(w).mean() ** 0.5 for w in (15, 60)}
    found["bollinger_20"] = (close - window.mean()) / window.std(ddof=0)
    found["bar_vwap_dev"] = (close / vwap - 1.0) * 1e4
    return {name: table.to_numpy() for name, table in found.items()}


def check_same(bars: SessionBars) -> None:
    """Raises AssertionError where pandas and the kernels differ by more than the rounding of returns."""
    ours = minute_features(bars)
    for name, theirs in with_pandas(bars).items():
        column = ours[:, :, MINUTE_NAMES.index(name)]
        np.testing.assert_allclose(column, theirs, rtol=1e-4, atol=2e-3, err_msg=name)


@dataclass(frozen=True)
class Held:
    """Sessions in memory: reading them costs nothing."""

    name: str
    held: dict[date, SessionBars]

    @property
    def sessions(self) -> Sequence[date]:
        return tuple(self.held)

    def read(self, session: date) -> SessionBars:
        return self.held[session]


def cpu_s(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return time.thread_time() - began


def close_cost_us(bars: SessionBars) -> float:
    """Median CPU cost of one live 1 m close, k = 1."""
    shard, n = MinuteShard(INSTRUMENTS), INSTRUMENTS
    opens = np.full(n, bars.close_at[0] - MINUTE_NS)
    shard.begin_session(opens, opens + 375 * MINUTE_NS, np.ones(n, dtype=bool), bars.previous_close_paise)
    taken = []
    for minute in range(len(bars.close_at)):
        part = slice(minute, minute + 1)
        columns = (bars.open, bars.high, bars.low, bars.close, bars.volume, bars.present)
        began = time.thread_time()
        shard.on_minutes(bars.close_at[part], *(column[part] for column in columns))
        taken.append(time.thread_time() - began)
    return statistics.median(taken) * 1e6


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer sessions (a few seconds)")
    sessions = 3 if parser.parse_args().quick else 20
    source = GeneratedBars(INSTRUMENTS, weekdays(date(2021, 1, 1), sessions), seed=5)
    held = Held(source.name, {day: source.read(day) for day in source.sessions})
    first = held.read(source.sessions[0])
    check_same(first)
    print(f"the kernels and pandas agree on {', '.join(PANDAS)}")
    ours: list[float] = []
    rows_of_all: list[float] = []
    theirs: list[float] = []
    into = np.zeros((len(first.close_at), MINUTES, INSTRUMENTS))
    began = time.thread_time()
    for bars, _rows in features_of(held):
        rows_of_all.append(bars.bars / (time.thread_time() - began))
        ours.append(bars.bars / cpu_s(lambda bars=bars: minute_features(bars, into)))
        theirs.append(bars.bars / cpu_s(lambda bars=bars: with_pandas(bars)))
        began = time.thread_time()
    best, slow = max(ours), max(theirs)
    per_value = (best * MINUTES) / (slow * len(PANDAS))
    close_us = close_cost_us(first)
    print(f"{sessions} sessions of {first.bars:,} bars, one core, CPU time")
    middle, slow_middle = statistics.median(ours), statistics.median(theirs)
    print(f"kernels, {MINUTES} features: {best:>12,.0f} bars/s best, {middle:,.0f} median")
    rows = statistics.median(rows_of_all)
    print(f"rows of {FEATURES} columns:   {max(rows_of_all):>12,.0f} bars/s best, {rows:,.0f} median")
    print(f"pandas, {len(PANDAS)} features:   {slow:>12,.0f} bars/s best, {slow_middle:,.0f} median")
    print(f"ratio: {best / slow:.1f} by bars, {per_value:.0f} by values")
    print(f"one live 1 m close of {INSTRUMENTS} instruments: {close_us:.0f} us")
    met = best >= AIM_BARS_PER_S
    print(f"aim, {AIM_BARS_PER_S:,} bars/s: {'met' if met else 'missed'}")
    figures = {
        "benchmark": "features",
        "features": MINUTES,
        "bars_per_s": round(best),
        "median_bars_per_s": round(statistics.median(ours)),
        "median_rows_per_s": round(rows),
        "pandas_bars_per_s": round(slow),
        "ratio": round(best / slow, 1),
        "ratio_by_value": round(per_value, 1),
        "close_us": round(close_us, 1),
        "aim_met": met,
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
