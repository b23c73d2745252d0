"""Features of what kind of market it is: does it trend, does it turn back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kitepilot.kernels import minute_layout as at
from kitepilot.kernels.compiled import kernel
from kitepilot.kernels.feature_docs import REGIME, FeatureDoc, bars
from kitepilot.kernels.minute_layout import ADX, AGE, DM_DOWN, DM_UP
from kitepilot.kernels.minute_windows import back

Floats = npt.NDArray[np.float64]
NAN = np.nan

DOCS: tuple[FeatureDoc, ...] = (
    bars(
        "efficiency_30m",
        "way from the close 30 min ago over the path since (Kaufman); 0 if still",
        "0..1",
        31,
        REGIME,
    ),
    bars(
        "variance_ratio_5_60",
        "mean squared 5 min return over 5 times that of 1 min, 60 min; 1 if still",
        "times",
        65,
        REGIME,
    ),
    bars(
        "autocorrelation_60m", "of 1 m returns with the one before, 60 min; 0 if still", "-1..1", 62, REGIME
    ),
    bars("adx_14", "average directional index, Wilder's means of 14", "0..100", 28, REGIME),
    bars(
        "direction_14", "rising less falling directional movement over both; 0 if none", "-1..1", 15, REGIME
    ),
)


@kernel
def _efficiency(
    ready: Floats, now: Floats, then: Floats, path: Floats, path_then: Floats, out: Floats
) -> None:
    for row in range(out.size):
        travelled = path[row] - path_then[row]
        value = abs(now[row] - then[row]) / travelled
        value = value if travelled > 0.0 else 0.0
        out[row] = value if ready[row] >= 31.0 else NAN


@kernel
def _variance_ratio(
    ready: Floats, fives: Floats, fives_then: Floats, squares: Floats, squares_then: Floats, out: Floats
) -> None:
    for row in range(out.size):
        energy = squares[row] - squares_then[row]
        value = (fives[row] - fives_then[row]) / (5.0 * energy)
        value = value if energy > 0.0 else 1.0
        out[row] = value if ready[row] >= 65.0 else NAN


@kernel
def _autocorrelation(
    ready: Floats, lagged: Floats, lagged_then: Floats, squares: Floats, squares_then: Floats, out: Floats
) -> None:
    for row in range(out.size):
        energy = squares[row] - squares_then[row]
        value = (lagged[row] - lagged_then[row]) / energy
        value = min(max(value, -1.0), 1.0) if energy > 0.0 else 0.0
        out[row] = value if ready[row] >= 62.0 else NAN


@kernel
def _movement(now: Floats, state: Floats, high_before: Floats, low_before: Floats) -> None:
    for row in range(now.shape[1]):
        up = now[at.N_HIGH, row] - high_before[row]
        down = low_before[row] - now[at.N_LOW, row]
        rose = up if up > down and up > 0.0 else 0.0
        fell = down if down > up and down > 0.0 else 0.0
        later_up = state[DM_UP, row] + (rose - state[DM_UP, row]) / 14.0
        later_down = state[DM_DOWN, row] + (fell - state[DM_DOWN, row]) / 14.0
        age = state[AGE, row]
        state[DM_UP, row] = later_up if age > 2.0 else (rose if age == 2.0 else 0.0)
        state[DM_DOWN, row] = later_down if age > 2.0 else (fell if age == 2.0 else 0.0)


@kernel
def _direction(ready: Floats, state: Floats, adx: Floats, direction: Floats) -> None:
    for row in range(adx.size):
        both = state[DM_UP, row] + state[DM_DOWN, row]
        lean = (state[DM_UP, row] - state[DM_DOWN, row]) / both if both > 0.0 else 0.0
        index = abs(lean) * 100.0
        later = state[ADX, row] + (index - state[ADX, row]) / 14.0
        strength = later if state[AGE, row] > 2.0 else index
        state[ADX, row] = strength
        adx[row] = strength if ready[row] >= 28.0 else NAN
        direction[row] = lean if ready[row] >= 15.0 else NAN


@kernel
def regime_features(now: Floats, state: Floats, base: Floats, sums: Floats, step: int, out: Floats) -> None:
    """out float64[5, n] in the order of `DOCS`."""
    ready, latest = now[at.N_READY], sums[back(step, 0)]
    ago_30, ago_60 = sums[back(step, 30)], sums[back(step, 60)]
    close_30 = base[back(step, 30), at.B_CLOSE]
    _efficiency(ready, now[at.N_CLOSE], close_30, latest[at.C_PATH], ago_30[at.C_PATH], out[0])
    squares, squares_then = latest[at.C_SQUARE], ago_60[at.C_SQUARE]
    _variance_ratio(ready, latest[at.C_RET5], ago_60[at.C_RET5], squares, squares_then, out[1])
    _autocorrelation(ready, latest[at.C_LAG], ago_60[at.C_LAG], squares, squares_then, out[2])
    last = back(step, 1)
    _movement(now, state, base[last, at.B_HIGH], base[last, at.B_LOW])
    _direction(ready, state, out[3], out[4])
