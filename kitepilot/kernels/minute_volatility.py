"""Features of how much 1 m bars move: realised volatility, its halves, ranges and jumps.

Variances of bars use relative ranges and bodies in place of logarithms: for a minute's few basis points the
difference is below one part in a thousand, and the bits are the same on every machine.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kitepilot.kernels import minute_layout as at
from kitepilot.kernels.compiled import kernel
from kitepilot.kernels.feature_docs import VOLATILITY, FeatureDoc, bars
from kitepilot.kernels.minute_layout import MILLI
from kitepilot.kernels.minute_windows import back

Floats = npt.NDArray[np.float64]
BPS = 10_000.0
NAN = np.nan
FOUR_LN_2 = 2.772588722239781
TWO_LN_2_LESS_1 = 0.3862943611198906
HALF_PI = 1.5707963267948966
_ROOT_MINUTE = "bps per root minute"

DOCS: tuple[FeatureDoc, ...] = (
    bars("vol_15m", "root of the mean squared 1 m return of 15 min", _ROOT_MINUTE, 16, VOLATILITY),
    bars("vol_60m", "the same over 60 min", _ROOT_MINUTE, 61, VOLATILITY),
    bars("vol_ratio_15_60", "vol_15m over vol_60m; 1 if still", "times", 61, VOLATILITY),
    bars(
        "semivol_up_60m", "root of the summed squared gains of 60 min over 60", _ROOT_MINUTE, 61, VOLATILITY
    ),
    bars("semivol_down_60m", "the same of the losses", _ROOT_MINUTE, 61, VOLATILITY),
    bars("atr_14", "true range, Wilder's mean of 14, over the close", "bps", 14, VOLATILITY),
    bars(
        "parkinson_30m",
        "volatility from the ranges of 30 bars (Parkinson 1980)",
        _ROOT_MINUTE,
        30,
        VOLATILITY,
    ),
    bars(
        "garman_klass_30m",
        "volatility from ranges and bodies of 30 bars (Garman and Klass 1980)",
        _ROOT_MINUTE,
        30,
        VOLATILITY,
    ),
    bars("range_1m", "high less low of the bar, over the close", "bps", 1, VOLATILITY),
    bars(
        "jump_share_60m",
        "share of 60 min variance that bipower variation leaves out; 0 if still",
        "0..1",
        62,
        VOLATILITY,
    ),
)


@kernel
def _root_mean(ready: Floats, minutes: int, squares: Floats, then: Floats, out: Floats) -> None:
    for row in range(out.size):
        value = np.sqrt((squares[row] - then[row]) / minutes) / MILLI
        out[row] = value if ready[row] > minutes else NAN


@kernel
def _ratio(ready: Floats, short: Floats, long: Floats, out: Floats) -> None:
    for row in range(out.size):
        value = short[row] / long[row] if long[row] > 0.0 else 1.0
        out[row] = value if ready[row] >= 61.0 else NAN


@kernel
def _losses(
    ready: Floats, squares: Floats, then: Floats, gains: Floats, gains_then: Floats, out: Floats
) -> None:
    for row in range(out.size):
        value = np.sqrt((squares[row] - then[row] - (gains[row] - gains_then[row])) / 60.0) / MILLI
        out[row] = value if ready[row] >= 61.0 else NAN


@kernel
def true_range(now: Floats, row: int) -> float:
    """Of the row's bar and the close before it, paise."""
    high = max(now[at.N_HIGH, row], now[at.N_BEFORE, row])
    return float(high - min(now[at.N_LOW, row], now[at.N_BEFORE, row]))


@kernel
def _average_range(now: Floats, state: Floats, out: Floats) -> None:
    """The first bar has no close before it: its own stands in, so the range is the bar's."""
    for row in range(out.size):
        width = true_range(now, row)
        later = state[at.ATR, row] + (width - state[at.ATR, row]) / 14.0
        mean = later if state[at.AGE, row] > 1.0 else width
        state[at.ATR, row] = mean
        out[row] = mean / now[at.N_CLOSE, row] * BPS if now[at.N_READY, row] >= 14.0 else NAN


@kernel
def _parkinson(ready: Floats, ranges: Floats, then: Floats, out: Floats) -> None:
    for row in range(out.size):
        value = np.sqrt((ranges[row] - then[row]) / (30.0 * FOUR_LN_2)) / MILLI
        out[row] = value if ready[row] >= 30.0 else NAN


@kernel
def _garman_klass(
    ready: Floats, ranges: Floats, then: Floats, bodies: Floats, bodies_then: Floats, out: Floats
) -> None:
    for row in range(out.size):
        wide = 0.5 * (ranges[row] - then[row]) - TWO_LN_2_LESS_1 * (bodies[row] - bodies_then[row])
        value = np.sqrt(max(wide, 0.0) / 30.0) / MILLI
        out[row] = value if ready[row] >= 30.0 else NAN


@kernel
def _width(now: Floats, out: Floats) -> None:
    for row in range(out.size):
        value = (now[at.N_HIGH, row] - now[at.N_LOW, row]) / now[at.N_CLOSE, row] * BPS
        out[row] = value if now[at.N_READY, row] >= 1.0 else NAN


@kernel
def _jumps(
    ready: Floats, squares: Floats, then: Floats, bipower: Floats, bipower_then: Floats, out: Floats
) -> None:
    for row in range(out.size):
        variance = squares[row] - then[row]
        smooth = HALF_PI * (bipower[row] - bipower_then[row])
        value = max(1.0 - smooth / variance, 0.0) if variance > 0.0 else 0.0
        out[row] = value if ready[row] >= 62.0 else NAN


@kernel
def volatility_features(now: Floats, state: Floats, sums: Floats, step: int, out: Floats) -> None:
    """out float64[10, n] in the order of `DOCS`."""
    ready, latest = now[at.N_READY], sums[back(step, 0)]
    ago_15, ago_30, ago_60 = sums[back(step, 15)], sums[back(step, 30)], sums[back(step, 60)]
    _root_mean(ready, 15, latest[at.C_SQUARE], ago_15[at.C_SQUARE], out[0])
    _root_mean(ready, 60, latest[at.C_SQUARE], ago_60[at.C_SQUARE], out[1])
    _ratio(ready, out[0], out[1], out[2])
    _root_mean(ready, 60, latest[at.C_UP], ago_60[at.C_UP], out[3])
    _losses(ready, latest[at.C_SQUARE], ago_60[at.C_SQUARE], latest[at.C_UP], ago_60[at.C_UP], out[4])
    _average_range(now, state, out[5])
    _parkinson(ready, latest[at.C_RANGE], ago_30[at.C_RANGE], out[6])
    _garman_klass(ready, latest[at.C_RANGE], ago_30[at.C_RANGE], latest[at.C_BODY], ago_30[at.C_BODY], out[7])
    _width(now, out[8])
    _jumps(
        ready,
        latest[at.C_SQUARE],
        ago_60[at.C_SQUARE],
        latest[at.C_BIPOWER],
        ago_60[at.C_BIPOWER],
        out[9],
    )
