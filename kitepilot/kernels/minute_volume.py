"""Features of what 1 m bars traded: VWAP, unusual volume, turnover, and on which side of the bar."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kitepilot.kernels import minute_layout as at
from kitepilot.kernels.compiled import kernel
from kitepilot.kernels.feature_docs import VOLUME, FeatureDoc, bars
from kitepilot.kernels.minute_layout import MILLI, NOTIONAL_TOTAL, VOLUME_MEAN, VOLUME_TOTAL, VOLUME_VARIANCE
from kitepilot.kernels.minute_windows import back

Floats = npt.NDArray[np.float64]
BPS = 10_000.0
NAN = np.nan
WEIGHT_30 = 2.0 / 31.0
THIRD_PAISE_PER_LAKH = 3.0e7  # notionals are kept threefold
THIRD_PAISE_PER_CRORE = 3.0e9

DOCS: tuple[FeatureDoc, ...] = (
    bars("bar_vwap_dev", "close against the session's VWAP of (high + low + close) / 3", "bps", 1, VOLUME),
    bars("bar_vwap_slope_15m", "that VWAP against itself 15 min ago", "bps", 16, VOLUME),
    bars(
        "volume_z",
        "the minute's volume against weighted mean and deviation before it, span 30; 0 if even",
        "standard deviations",
        30,
        VOLUME,
    ),
    bars("volume_ratio_5_60", "volume a minute of 5 min over that of 60 min", "times", 60, VOLUME),
    bars("turnover_15m", "turnover a minute, mean of 15 min", "lakh rupees", 15, VOLUME),
    bars(
        "amihud_30m",
        "summed size of 1 m returns over turnover, 30 min (Amihud 2002)",
        "bps per crore",
        31,
        VOLUME,
    ),
    bars("volume_side_30m", "volume of rising less falling minutes over all, 30 min", "-1..1", 31, VOLUME),
    bars("close_location", "close between the bar's low (-1) and high (1); 0 if flat", "-1..1", 1, VOLUME),
    bars(
        "accumulation_30m",
        "volume times close_location over volume, 30 min (Chaikin's money flow)",
        "-1..1",
        30,
        VOLUME,
    ),
)


@kernel
def _vwap_dev(now: Floats, state: Floats, out: Floats) -> None:
    for row in range(out.size):
        vwap = state[NOTIONAL_TOTAL, row] / (3.0 * state[VOLUME_TOTAL, row])
        value = (now[at.N_CLOSE, row] - vwap) / vwap * BPS
        known = now[at.N_READY, row] >= 1.0 and state[NOTIONAL_TOTAL, row] > 0.0
        out[row] = value if known else NAN


@kernel
def _vwap_slope(ready: Floats, state: Floats, latest: Floats, then: Floats, out: Floats) -> None:
    for row in range(out.size):
        notional, volume = state[NOTIONAL_TOTAL, row], state[VOLUME_TOTAL, row]
        notional_then = notional - (latest[at.C_NOTIONAL, row] - then[at.C_NOTIONAL, row])
        volume_then = volume - (latest[at.C_VOLUME, row] - then[at.C_VOLUME, row])
        value = (notional / volume / (notional_then / volume_then) - 1.0) * BPS
        known = ready[row] >= 16.0 and volume_then > 0.0 and notional_then > 0.0
        out[row] = value if known else NAN


@kernel
def _surprise(now: Floats, state: Floats, out: Floats) -> None:
    for row in range(out.size):
        volume, mean, variance = now[at.N_VOLUME, row], state[VOLUME_MEAN, row], state[VOLUME_VARIANCE, row]
        above = volume - mean
        value = above / np.sqrt(variance) if variance > 0.0 else 0.0
        first = state[at.AGE, row] <= 1.0
        known = now[at.N_READY, row] >= 30.0 and state[VOLUME_TOTAL, row] > 0.0
        out[row] = value if known else NAN
        state[VOLUME_MEAN, row] = volume if first else mean + WEIGHT_30 * above
        spread = (1.0 - WEIGHT_30) * (variance + WEIGHT_30 * above * above)
        state[VOLUME_VARIANCE, row] = 0.0 if first else spread


@kernel
def rate_ratio(ready: Floats, least: int, latest: Floats, ago_5: Floats, ago_60: Floats, out: Floats) -> None:
    """Mean a minute of 5 min over that of 60 min; NaN if nothing happened in 60."""
    for row in range(out.size):
        long = latest[row] - ago_60[row]
        value = (latest[row] - ago_5[row]) * 12.0 / long
        out[row] = value if ready[row] >= least and long > 0.0 else NAN


@kernel
def _turnover(ready: Floats, volume: Floats, latest: Floats, then: Floats, out: Floats) -> None:
    for row in range(out.size):
        value = (latest[row] - then[row]) / (15.0 * THIRD_PAISE_PER_LAKH)
        out[row] = value if ready[row] >= 15.0 and volume[row] > 0.0 else NAN


@kernel
def _amihud(
    ready: Floats, moved: Floats, moved_then: Floats, latest: Floats, then: Floats, out: Floats
) -> None:
    for row in range(out.size):
        turnover = (latest[row] - then[row]) / THIRD_PAISE_PER_CRORE
        value = (moved[row] - moved_then[row]) / MILLI / turnover
        out[row] = value if ready[row] >= 31.0 and turnover > 0.0 else NAN


@kernel
def share(
    ready: Floats, least: int, part: Floats, part_then: Floats, all_: Floats, all_then: Floats, out: Floats
) -> None:
    """A window's part over its whole; NaN if the whole is nothing."""
    for row in range(out.size):
        total = all_[row] - all_then[row]
        value = (part[row] - part_then[row]) / total
        out[row] = value if ready[row] >= least and total > 0.0 else NAN


@kernel
def _location(now: Floats, out: Floats) -> None:
    for row in range(out.size):
        width = now[at.N_HIGH, row] - now[at.N_LOW, row]
        side = (2.0 * now[at.N_CLOSE, row] - now[at.N_HIGH, row] - now[at.N_LOW, row]) / width
        side = side if width > 0.0 else 0.0
        out[row] = side if now[at.N_READY, row] >= 1.0 else NAN


@kernel
def volume_features(now: Floats, state: Floats, sums: Floats, step: int, out: Floats) -> None:
    """out float64[9, n] in the order of `DOCS`."""
    ready, latest = now[at.N_READY], sums[back(step, 0)]
    ago_5, ago_15, ago_30 = sums[back(step, 5)], sums[back(step, 15)], sums[back(step, 30)]
    ago_60 = sums[back(step, 60)]
    _vwap_dev(now, state, out[0])
    _vwap_slope(ready, state, latest, ago_15, out[1])
    _surprise(now, state, out[2])
    rate_ratio(ready, 60, latest[at.C_VOLUME], ago_5[at.C_VOLUME], ago_60[at.C_VOLUME], out[3])
    _turnover(ready, state[VOLUME_TOTAL], latest[at.C_NOTIONAL], ago_15[at.C_NOTIONAL], out[4])
    _amihud(ready, latest[at.C_ABS], ago_30[at.C_ABS], latest[at.C_NOTIONAL], ago_30[at.C_NOTIONAL], out[5])
    volume, volume_then = latest[at.C_VOLUME], ago_30[at.C_VOLUME]
    share(ready, 31, latest[at.C_SIDED], ago_30[at.C_SIDED], volume, volume_then, out[6])
    _location(now, out[7])
    share(ready, 30, latest[at.C_PUSH], ago_30[at.C_PUSH], volume, volume_then, out[8])
