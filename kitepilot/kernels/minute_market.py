"""Features of an instrument among the others of its shard: ranks, beta, what is left of it, breadth.

The market is the mean 1 m return of the shard's instruments that are not indices and had a bar, equally
weighted; whether an index is subscribed changes nothing. So these depend on the shard's list.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from kitepilot.kernels import minute_layout as at
from kitepilot.kernels.compiled import kernel
from kitepilot.kernels.feature_docs import MARKET, FeatureDoc, bars
from kitepilot.kernels.minute_layout import M_MEAN, M_SQUARE, M_SUM, MARKET_AGE, MAX_RETURN, MILLI
from kitepilot.kernels.minute_ranks import rank
from kitepilot.kernels.minute_windows import back, whole

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
NAN = np.nan

DOCS: tuple[FeatureDoc, ...] = (
    bars("rank_ret_15m", "rank of ret_15m among the shard's: 0 lowest, 1 highest", "0..1", 16, MARKET),
    bars("rank_ret_60m", "the same of ret_60m", "0..1", 61, MARKET),
    bars("rank_volume_5_60", "the same of volume_ratio_5_60", "0..1", 60, MARKET),
    bars("market_ret_5m", "the market's summed 1 m returns, 5 min", "bps", 6, MARKET),
    bars("market_ret_30m", "the same over 30 min", "bps", 31, MARKET),
    bars("market_ret_60m", "the same over 60 min", "bps", 61, MARKET),
    bars("rel_ret_15m", "summed 1 m returns of 15 min less the market's", "bps", 16, MARKET),
    bars(
        "beta_60m", "slope of 1 m returns on the market's, 60 min; NaN if it stood still", "times", 61, MARKET
    ),
    bars("correlation_60m", "correlation of the same; 0 if the instrument stood still", "-1..1", 61, MARKET),
    bars(
        "residual_ret_15m", "summed 1 m returns of 15 min less beta_60m times the market's", "bps", 61, MARKET
    ),
    bars(
        "residual_vol_60m",
        "deviation of 1 m returns that beta_60m leaves, 60 min",
        "bps per root minute",
        61,
        MARKET,
    ),
    bars("dispersion_15m", "standard deviation of ret_15m across the shard", "bps", 16, MARKET),
    bars("breadth_15m", "share of the shard with ret_15m above 0; half of those at 0", "0..1", 16, MARKET),
    bars(
        "market_vol_60m", "root of the mean squared market return, 60 min", "bps per root minute", 61, MARKET
    ),
)


@kernel
def take_market(now: Floats, state: Floats, base: Floats, market: Floats, clock: Ints, step: int) -> float:
    """The market's return of the minute, thousandths of a basis point, remembered; 0 when nobody has one."""
    here, total, known = back(step, 0), 0.0, 0.0
    for row in range(now.shape[1]):
        counts = state[at.TRADABLE, row] if now[at.N_READY, row] >= 2.0 else 0.0
        total += base[here, at.B_RETURN, row] * counts
        known += counts
    mean = whole(total / known, MAX_RETURN) if known > 0.0 else 0.0
    if known > 0.0 or clock[MARKET_AGE] > 0:
        clock[MARKET_AGE] += 1
    market[M_MEAN, here] = mean
    return mean


@kernel
def sum_up_market(market: Floats, step: int) -> None:
    """The market's running sums at `step`."""
    here, last = back(step, 0), back(step, 1)
    market[M_SUM, here] = market[M_SUM, last] + market[M_MEAN, here]
    market[M_SQUARE, here] = market[M_SQUARE, last] + market[M_MEAN, here] * market[M_MEAN, here]


@kernel
def _of_tradable(state: Floats, value: Floats, out: Floats) -> None:
    for row in range(out.size):
        out[row] = value[row] if state[at.TRADABLE, row] > 0.0 else NAN


@kernel
def _window(market: Floats, line: int, step: int, minutes: int) -> float:
    return float(market[line, back(step, 0)] - market[line, back(step, minutes)])


@kernel
def _everyone(ready: Floats, least: int, value: float, out: Floats) -> None:
    for row in range(out.size):
        out[row] = value if ready[row] >= least else NAN


@kernel
def _market_returns(ready: Floats, market: Floats, age: int, step: int, out: Floats) -> None:
    moved_5, moved_30 = _window(market, M_SUM, step, 5), _window(market, M_SUM, step, 30)
    _everyone(ready, 6, moved_5 / MILLI if age >= 5 else NAN, out[0])
    _everyone(ready, 31, moved_30 / MILLI if age >= 30 else NAN, out[1])
    _everyone(ready, 61, _window(market, M_SUM, step, 60) / MILLI if age >= 60 else NAN, out[2])


@kernel
def _relative(ready: Floats, latest: Floats, then: Floats, moved: float, out: Floats) -> None:
    for row in range(out.size):
        out[row] = (latest[row] - then[row] - moved) / MILLI if ready[row] >= 16.0 else NAN


@kernel
def _beta(ready: Floats, latest: Floats, then: Floats, moved: float, variance: float, out: Floats) -> None:
    for row in range(out.size):
        together = latest[at.C_MARKET, row] - then[at.C_MARKET, row]
        own = latest[at.C_RETURN, row] - then[at.C_RETURN, row]
        value = (60.0 * together - own * moved) / 60.0 / variance
        out[row] = value if ready[row] >= 61.0 and variance > 0.0 else NAN


@kernel
def _left_over(
    ready: Floats, latest: Floats, then: Floats, variance: float, beta: Floats, out: Floats
) -> None:
    """correlation_60m into out[0], residual_vol_60m into out[2]."""
    for row in range(beta.size):
        own = latest[at.C_RETURN, row] - then[at.C_RETURN, row]
        energy = (60.0 * (latest[at.C_SQUARE, row] - then[at.C_SQUARE, row]) - own * own) / 60.0
        explained = beta[row] * beta[row] * variance
        value = beta[row] * np.sqrt(variance / energy) if energy > 0.0 else 0.0
        known = not np.isnan(beta[row])
        out[0, row] = min(max(value, -1.0), 1.0) if known else NAN
        out[2, row] = np.sqrt(max(energy - explained, 0.0) / 60.0) / MILLI if known else NAN


@kernel
def _residual(beta: Floats, latest: Floats, then: Floats, moved: float, out: Floats) -> None:
    for row in range(out.size):
        out[row] = (latest[row] - then[row] - beta[row] * moved) / MILLI


@kernel
def _spread_of(values: Floats) -> tuple[float, float]:
    """Standard deviation and share above 0 of the known values; NaN for fewer than two."""
    total, known, up = 0.0, 0.0, 0.0
    for row in range(values.size):
        value = values[row]
        if not np.isnan(value):
            total += value
            known += 1.0
            up += 1.0 if value > 0.0 else (0.5 if value == 0.0 else 0.0)
    if known < 2.0:
        return NAN, NAN
    mean, squares = total / known, 0.0
    for row in range(values.size):
        if not np.isnan(values[row]):
            squares += (values[row] - mean) * (values[row] - mean)
    return math.sqrt(squares / known), up / known


@kernel
def market_features(
    now: Floats,
    state: Floats,
    sums: Floats,
    market: Floats,
    age: int,
    step: int,
    returns: Floats,
    volume_ratio: Floats,
    scratch: Floats,
    room: Ints,
    out: Floats,
) -> None:
    """out float64[14, n] in the order of `DOCS`; `returns` and `volume_ratio` are features of this minute."""
    ready, latest = now[at.N_READY], sums[back(step, 0)]
    ago_15, ago_60 = sums[back(step, 15)], sums[back(step, 60)]
    values, spare = scratch[0], scratch[1]
    _of_tradable(state, returns[4], values)
    rank(values, spare, room, out[1])
    _of_tradable(state, volume_ratio, values)
    rank(values, spare, room, out[2])
    _of_tradable(state, returns[2], values)
    rank(values, spare, room, out[0])
    deviation, breadth = _spread_of(values)
    _market_returns(ready, market, age, step, out[3:6])
    moved_15, moved = _window(market, M_SUM, step, 15), _window(market, M_SUM, step, 60)
    energy = _window(market, M_SQUARE, step, 60)
    variance = (60.0 * energy - moved * moved) / 60.0 if age >= 60 else 0.0
    _relative(ready, latest[at.C_RETURN], ago_15[at.C_RETURN], moved_15 if age >= 15 else NAN, out[6])
    _beta(ready, latest, ago_60, moved, variance, out[7])
    _left_over(ready, latest, ago_60, variance, out[7], out[8:11])
    _residual(out[7], latest[at.C_RETURN], ago_15[at.C_RETURN], moved_15, out[9])
    _everyone(ready, 16, deviation, out[11])
    _everyone(ready, 16, breadth, out[12])
    _everyone(ready, 61, math.sqrt(energy / 60.0) / MILLI if age >= 60 else NAN, out[13])
