"""No built-in feature knows the future: on generated bars, on hard ones, on real ones, and on ticks."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from broker_adapter.sandbox.feed.synthetic import SyntheticMarket
from kitepilot.kernels.features import FEATURE_NAMES
from kitepilot.market.calendar import ist_ns
from research.bars import MINUTE_NS, SessionBars
from research.generated_bars import GeneratedBars, weekdays
from research.labels import ChargedCost, FixedHorizon, TripleBarrier
from research.leaks.built_in import bar_features, tick_features
from research.leaks.gate import Trial, judge
from research.leaks.proving_ground import proving_sessions
from research.leaks.report import PASS
from research.leaks.tick_checks import batches_of, by_shard, shard_spec

DAY = date(2026, 11, 20)
SHARED = Path(os.environ.get("KITEPILOT_SHARED", Path(__file__).resolve().parents[3] / "shared"))
REAL = SHARED / "data" / "nse_1m"
REAL_SYMBOLS = ("RELIANCE", "INFY", "SBIN", "TCS", "ITC", "AXISBANK", "TATASTEEL", "LUPIN")


def generated(seed: int) -> tuple[SessionBars, ...]:
    source = GeneratedBars(5, weekdays(DAY, 2), seed=seed, minutes=150, missing=0.1)
    return tuple(source.read(day) for day in source.sessions)


@pytest.mark.parametrize("sessions", [generated(3), proving_sessions(3, 2)], ids=["generated", "hard"])
def test_no_built_in_feature_of_bars_leaks(sessions: tuple[SessionBars, ...]) -> None:
    features = bar_features()
    assert features is not None
    report = judge(Trial(sessions, features, FixedHorizon(5, ChargedCost())), 3)
    assert [str(found) for found in report.leaks] == []
    judged = {found.subject for found in report.findings if found.check == "truncation"}
    assert judged == set(features.names) and len(judged) >= 45


def test_no_built_in_feature_of_ticks_leaks_and_each_warms_up_as_it_says() -> None:
    trial = tick_features(SyntheticMarket(DAY, 5, 3, 1.0), DAY)
    report = judge(Trial(ticks=trial), 5)
    assert [str(found) for found in report.leaks] == []
    judged = {found.subject for found in report.findings if found.status == PASS}
    bars = bar_features()
    assert bars is not None
    assert judged | set(bars.names) == set(FEATURE_NAMES)


def test_a_feature_that_nobody_knows_is_no_feature_of_bars() -> None:
    assert bar_features(("spread", "imbalance_l1")) is None


def test_the_ticks_on_trial_are_those_of_the_days_first_minutes() -> None:
    feed = SyntheticMarket(DAY, 5, 2, 1.0)
    closes = sorted(by_shard(shard_spec(feed, DAY))(batches_of(feed, DAY, 90)))
    assert closes[-1] <= ist_ns(DAY, "09:16") + 31_000_000_000
    assert np.all(np.diff(closes) == 1_000_000_000)


def real_sessions(count: int) -> tuple[SessionBars, ...]:
    table = pq.read_table(REAL / "2016-08.parquet", filters=[("symbol", "in", REAL_SYMBOLS)])
    at = pc.cast(table["ts_ist_minute"], "timestamp[ns]").cast("int64").to_numpy()
    symbols = table["symbol"].to_numpy(zero_copy_only=False)
    names = tuple(sorted(set(symbols)))
    days = np.unique(at // 86_400_000_000_000)[:count]
    made = []
    for day in days.tolist():
        mine = at // 86_400_000_000_000 == day
        session = date.fromordinal(date(1970, 1, 1).toordinal() + day)
        row = (at[mine] - day * 86_400_000_000_000) // MINUTE_NS - (9 * 60 + 15)
        column = np.searchsorted(names, symbols[mine].astype(str))
        grids = {}
        for name in ("open", "high", "low", "close", "volume"):
            values = table[name].to_numpy()[mine]
            grid = np.zeros((375, len(names)), dtype=np.int64)
            grid[row, column] = values if name == "volume" else np.round(values * 100)
            grids[name] = grid
        made.append(
            SessionBars(
                session=session,
                symbols=names,
                tokens=(np.arange(len(names), dtype=np.int64) + 1) * 256 + 1,
                close_at=ist_ns(session, "09:16") + np.arange(375, dtype=np.int64) * MINUTE_NS,
                present=grids["close"] > 0,
                tick_size_paise=np.full(len(names), 5, dtype=np.int64),
                previous_close_paise=made[-1].close[-1] if made else grids["open"][0],
                **grids,
            )
        )
    return tuple(made)


@pytest.mark.shared_data
@pytest.mark.skipif(not REAL.exists(), reason="no shared market data beside the checkout")
def test_real_bars_give_no_false_alarm() -> None:
    sessions = real_sessions(4)
    assert len(sessions[0].symbols) >= 6
    for label in (FixedHorizon(5, ChargedCost()), TripleBarrier(30, 20, 30, cost=ChargedCost())):
        report = judge(Trial(sessions, bar_features(), label), 1)
        assert [str(found) for found in report.leaks] == []


@pytest.mark.shared_data
@pytest.mark.skipif(not REAL.exists(), reason="no shared market data beside the checkout")
def test_real_bars_a_minute_early_are_noticed() -> None:
    from dataclasses import replace

    sessions = tuple(replace(bars, close_at=bars.close_at - MINUTE_NS) for bars in real_sessions(2))
    assert {found.check for found in judge(Trial(sessions), 1).leaks} == {"bar_label"}
