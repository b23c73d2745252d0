"""Features of the path of 1 m closes and its range: returns, oscillators, breakouts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kitepilot.kernels import minute_layout as at
from kitepilot.kernels.compiled import kernel
from kitepilot.kernels.feature_docs import RETURNS, FeatureDoc, bars
from kitepilot.kernels.minute_windows import back

Floats = npt.NDArray[np.float64]
BPS = 10_000.0
NAN = np.nan

DOCS: tuple[FeatureDoc, ...] = (
    bars("ret_1m", "close against the close 1 min ago", "bps", 2, RETURNS),
    bars("ret_5m", "close against the close 5 min ago", "bps", 6, RETURNS),
    bars("ret_15m", "close against the close 15 min ago", "bps", 16, RETURNS),
    bars("ret_30m", "close against the close 30 min ago", "bps", 31, RETURNS),
    bars("ret_60m", "close against the close 60 min ago", "bps", 61, RETURNS),
    bars("ret_open", "close against the session's first price", "bps", 1, RETURNS),
    bars("ret_day", "close against the previous session's close", "bps", 1, RETURNS),
    bars("gap", "the session's first price against the previous session's close", "bps", 1, RETURNS),
    bars(
        "momentum_30m",
        "summed 1 m returns of 30 min over the root of their summed squares; 0 if still",
        "standard deviations",
        31,
        RETURNS,
    ),
    bars(
        "rsi_14", "relative strength of 1 m changes, Wilder's mean of 14; 50 if still", "0..100", 15, RETURNS
    ),
    bars("ema_gap_10_20", "mean close of span 10 less that of span 20, over the close", "bps", 20, RETURNS),
    bars(
        "macd_12_26_9",
        "mean close of span 12 less 26, less its own mean of span 9",
        "bps of close",
        34,
        RETURNS,
    ),
    bars(
        "bollinger_20",
        "close against the mean of 20 closes; 0 if all are equal",
        "standard deviations",
        20,
        RETURNS,
    ),
    bars("dist_high_30m", "close against the highest price of 30 min; at most 0", "bps", 30, RETURNS),
    bars("dist_low_30m", "close against the lowest price of 30 min; at least 0", "bps", 30, RETURNS),
    bars("channel_30m", "close between the low (0) and high (1) of 30 min; 0.5 if flat", "0..1", 30, RETURNS),
    bars(
        "opening_range_15m",
        "close between the low (0) and high (1) of the session's first 15 min; 0.5 if flat",
        "ranges",
        15,
        RETURNS,
    ),
    bars("opening_range_30m", "the same of its first 30 min", "ranges", 30, RETURNS),
)


@kernel
def _change(ready: Floats, least: int, now: Floats, then: Floats, out: Floats) -> None:
    for row in range(out.size):
        moved = (now[row] - then[row]) / then[row] * BPS
        out[row] = moved if ready[row] >= least and then[row] > 0.0 else NAN


@kernel
def _momentum(
    ready: Floats, moved: Floats, moved_then: Floats, squares: Floats, squares_then: Floats, out: Floats
) -> None:
    for row in range(out.size):
        energy = squares[row] - squares_then[row]
        value = (moved[row] - moved_then[row]) / np.sqrt(energy)
        value = value if energy > 0.0 else 0.0
        out[row] = value if ready[row] >= 31.0 else NAN


@kernel
def weighted(age: Floats, first_age: float, weight: float, value: Floats, mean: Floats) -> None:
    """Exponentially weighted mean in place; it starts at the value of `first_age`."""
    for row in range(mean.size):
        later = mean[row] + weight * (value[row] - mean[row])
        mean[row] = later if age[row] > first_age else value[row]


@kernel
def _weighted_gains(age: Floats, sign: float, now: Floats, then: Floats, mean: Floats) -> None:
    for row in range(mean.size):
        gain = max(sign * (now[row] - then[row]), 0.0)
        later = mean[row] + (gain - mean[row]) / 14.0
        mean[row] = later if age[row] > 2.0 else gain


@kernel
def _strength(ready: Floats, up: Floats, down: Floats, out: Floats) -> None:
    for row in range(out.size):
        both = up[row] + down[row]
        value = up[row] / both * 100.0 if both > 0.0 else 50.0
        out[row] = value if ready[row] >= 15.0 else NAN


@kernel
def _gap(ready: Floats, least: int, one: Floats, other: Floats, close: Floats, out: Floats) -> None:
    for row in range(out.size):
        value = (one[row] - other[row]) / close[row] * BPS
        out[row] = value if ready[row] >= least else NAN


@kernel
def _macd(ready: Floats, state: Floats, out: Floats) -> None:
    """`out` holds EMA 12 less EMA 26 and is turned into its distance from its own mean."""
    for row in range(out.size):
        gap = out[row]
        later = state[at.EMA_MACD, row] + 0.2 * (gap - state[at.EMA_MACD, row])
        mean = later if state[at.AGE, row] > 1.0 else gap
        state[at.EMA_MACD, row] = mean
        out[row] = (gap - mean) / state[at.CLOSE, row] * BPS if ready[row] >= 34.0 else NAN


@kernel
def _difference(one: Floats, other: Floats, out: Floats) -> None:
    for row in range(out.size):
        out[row] = one[row] - other[row]


@kernel
def _bollinger(
    ready: Floats,
    place: Floats,
    total: Floats,
    total_then: Floats,
    squares: Floats,
    squares_then: Floats,
    out: Floats,
) -> None:
    for row in range(out.size):
        sum_of_20 = total[row] - total_then[row]
        spread = 20.0 * (squares[row] - squares_then[row]) - sum_of_20 * sum_of_20
        value = (20.0 * place[row] - sum_of_20) / np.sqrt(spread)
        value = value if spread > 0.0 else 0.0
        out[row] = value if ready[row] >= 20.0 else NAN


@kernel
def _highest(high: Floats, out: Floats) -> None:
    for row in range(out.size):
        out[row] = max(out[row], high[row])


@kernel
def _lowest(low: Floats, out: Floats) -> None:
    for row in range(out.size):
        out[row] = min(out[row], low[row])


@kernel
def _inside(ready: Floats, close: Floats, low: Floats, high: Floats, out: Floats) -> None:
    for row in range(out.size):
        width = high[row] - low[row]
        value = (close[row] - low[row]) / width if width > 0.0 else 0.5
        out[row] = value if ready[row] >= 30.0 else NAN


@kernel
def _channel(now: Floats, base: Floats, step: int, out: Floats) -> None:
    """dist_high_30m, dist_low_30m, channel_30m into out[0:3]."""
    ready, close = now[at.N_READY], now[at.N_CLOSE]
    high, low, inside = out[0], out[1], out[2]
    for row in range(high.size):
        high[row] = now[at.N_HIGH, row]
        low[row] = now[at.N_LOW, row]
    for minutes in range(1, 30):
        _highest(base[back(step, minutes), at.B_HIGH], high)
        _lowest(base[back(step, minutes), at.B_LOW], low)
    _inside(ready, close, low, high, inside)
    _change(ready, 30, close, high, high)
    _change(ready, 30, close, low, low)


@kernel
def _opening_range(now: Floats, minutes: int, high: Floats, low: Floats, out: Floats) -> None:
    """`high` and `low` are 0 until the opening has a bar."""
    for row in range(out.size):
        since, shown = now[at.N_SINCE_OPEN, row], now[at.N_READY, row] > 0.0
        if shown and since <= minutes:
            high[row] = max(high[row], now[at.N_HIGH, row])
            low[row] = min(low[row], now[at.N_LOW, row]) if low[row] > 0.0 else now[at.N_LOW, row]
        width = high[row] - low[row]
        value = (now[at.N_CLOSE, row] - low[row]) / width if width > 0.0 else 0.5
        out[row] = value if shown and since >= minutes and high[row] > 0.0 else NAN


@kernel
def return_features(now: Floats, state: Floats, base: Floats, sums: Floats, step: int, out: Floats) -> None:
    """out float64[18, n] in the order of `DOCS`."""
    here, ready, close = back(step, 0), now[at.N_READY], now[at.N_CLOSE]
    _change(ready, 2, close, base[back(step, 1), at.B_CLOSE], out[0])
    _change(ready, 6, close, base[back(step, 5), at.B_CLOSE], out[1])
    _change(ready, 16, close, base[back(step, 15), at.B_CLOSE], out[2])
    _change(ready, 31, close, base[back(step, 30), at.B_CLOSE], out[3])
    _change(ready, 61, close, base[back(step, 60), at.B_CLOSE], out[4])
    _change(ready, 1, close, state[at.FIRST_OPEN], out[5])
    _change(ready, 1, close, state[at.PREVIOUS_CLOSE], out[6])
    _change(ready, 1, state[at.FIRST_OPEN], state[at.PREVIOUS_CLOSE], out[7])
    latest, then = sums[here], sums[back(step, 30)]
    _momentum(ready, latest[at.C_RETURN], then[at.C_RETURN], latest[at.C_SQUARE], then[at.C_SQUARE], out[8])
    age, before = state[at.AGE], now[at.N_BEFORE]
    _weighted_gains(age, 1.0, close, before, state[at.RSI_UP])
    _weighted_gains(age, -1.0, close, before, state[at.RSI_DOWN])
    _strength(ready, state[at.RSI_UP], state[at.RSI_DOWN], out[9])
    weighted(age, 1.0, 2.0 / 11.0, close, state[at.EMA_10])
    weighted(age, 1.0, 2.0 / 13.0, close, state[at.EMA_12])
    weighted(age, 1.0, 2.0 / 21.0, close, state[at.EMA_20])
    weighted(age, 1.0, 2.0 / 27.0, close, state[at.EMA_26])
    _gap(ready, 20, state[at.EMA_10], state[at.EMA_20], close, out[10])
    _difference(state[at.EMA_12], state[at.EMA_26], out[11])
    _macd(ready, state, out[11])
    place, then = base[here, at.B_PLACE], sums[back(step, 20)]
    _bollinger(
        ready, place, latest[at.C_PLACE], then[at.C_PLACE], latest[at.C_PLACE2], then[at.C_PLACE2], out[12]
    )
    _channel(now, base, step, out[13:16])
    _opening_range(now, 15, state[at.HIGH_15], state[at.LOW_15], out[16])
    _opening_range(now, 30, state[at.HIGH_30], state[at.LOW_30], out[17])
