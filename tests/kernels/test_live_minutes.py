"""Ticks to seconds to minutes, live: the same bits as the same minute bars give in one batch."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_tape import INDEX, NS, OPEN, TOKENS, closes, messy_session, run, spec

from kitepilot.kernels.feature_docs import TICK_BARS
from kitepilot.kernels.features import SECOND_NAMES, SECONDS
from kitepilot.kernels.minute_layout import F_IMBALANCE, F_SPREAD, F_TICKS
from kitepilot.kernels.minutes import MINUTE_DOCS, MinuteShard
from kitepilot.kernels.shard import BarClose, Shard

N = len(TOKENS)
FROM_BARS = [column for column, doc in enumerate(MINUTE_DOCS) if doc.source != TICK_BARS]
FROM_TICKS = [
    column
    for column, doc in enumerate(MINUTE_DOCS)
    if doc.name in ("tick_ratio_5_60", "packet_size_5_60", "spread_5m", "imbalance_5m", "imbalance_30m")
]


def batch(minutes: list[BarClose], flow: np.ndarray) -> np.ndarray:
    """The recorded minute bars in one call; float64[k, n, F]."""
    shape = (len(minutes), N)
    columns = {name: np.zeros(shape, dtype=np.int64) for name in ("open", "high", "low", "close", "volume")}
    present = np.zeros(shape, dtype=bool)
    for line, out in enumerate(minutes):
        present[line, out.rows] = True
        for name, column in columns.items():
            column[line, out.rows] = getattr(out, name)
    shard, of = MinuteShard(N), spec()
    tradable = np.array([token != INDEX for token in TOKENS])
    shard.begin_session(of.open_at, of.close_at, tradable, np.full(N, 10_000))
    return shard.on_minutes(np.array([out.close_at for out in minutes]), *columns.values(), present, flow)


def flow_of(minutes: list[BarClose], seconds: list[BarClose]) -> np.ndarray:
    """What the 1 s closes of each minute say of books and packets; signs are not in them."""
    flow = np.full((len(minutes), 4, N), np.nan)
    flow[:, 0] = 0.0
    for line, out in enumerate(minutes):
        mine = [s.features for s in seconds if out.close_at - 60 * NS < s.close_at <= out.close_at]
        for row in out.rows.tolist():
            flow[line, F_TICKS, row] = out.tick_count[out.rows == row][0]
            for name, place in (("spread", F_SPREAD), ("imbalance_l1", F_IMBALANCE)):
                said = [float(values[row, SECOND_NAMES.index(name)]) for values in mine]
                known = [value for value in said if not np.isnan(value)]
                flow[line, place, row] = sum(known) / len(known) if known else np.nan
    return flow


@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_live_minutes_are_the_bits_of_the_same_bars_in_one_batch(seed: int) -> None:
    outputs = run(Shard(spec()), messy_session(seed, seconds=4_200, start=-90, clocks_may_leap=False))
    minutes = closes(outputs, 60)
    live = np.stack([out.features[:, SECONDS:] for out in minutes])
    known = batch(minutes, flow_of(minutes, closes(outputs)))
    assert len(minutes) > 65
    assert np.isfinite(live[-1][:, FROM_BARS]).any(axis=0).sum() == len(FROM_BARS)
    assert live[:, :, FROM_BARS].tobytes() == known[:, :, FROM_BARS].tobytes()
    np.testing.assert_allclose(live[:, :, FROM_TICKS], known[:, :, FROM_TICKS], rtol=1e-9)


def test_seconds_carry_the_minute_features_of_the_last_minute() -> None:
    outputs = run(Shard(spec()), messy_session(3, seconds=400, clocks_may_leap=False))
    held = np.full((N, len(MINUTE_DOCS)), np.nan)
    for out in closes(outputs):
        if (out.close_at // NS - OPEN) % 60 == 0:
            (minute,) = [m for m in closes(outputs, 60) if m.close_at == out.close_at] or [out]
            held = minute.features[:, SECONDS:]
        begun = ~np.isnan(out.features[:, SECOND_NAMES.index("minutes_since_open")])
        np.testing.assert_array_equal(out.features[begun, SECONDS:], held[begun])
