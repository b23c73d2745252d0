"""Features of the path of closes: returns, realised volatility, distance from the high, relative return.

Simple returns in basis points of 1 s closes. The sums of squares are whole numbers: the newest
return goes in and the oldest, recomputed from the same two closes, comes out without a trace.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from kitepilot.kernels.compiled import kernel
from kitepilot.kernels.layout import (
    AGE,
    CLOSE,
    CLOSES,
    HIGH_300,
    MAX_RETURN_BPS,
    SQUARE_UNIT,
    SQUARES_60,
    SQUARES_300,
    WINDOW_S,
)

Ints = npt.NDArray[np.int64]
Ring = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
BPS = 10_000.0


@kernel
def _return_bps(closes: Ring, row: int, newer: int, older: int) -> float:
    before = float(closes[older % CLOSES, row])
    return (float(closes[newer % CLOSES, row]) - before) / before * BPS


@kernel
def _highest(closes: Ring, row: int, step: int) -> int:
    best = 0
    for back in range(WINDOW_S):
        best = max(best, int(closes[(step - back) % CLOSES, row]))
    return best


@kernel
def _square(closes: Ring, row: int, step: int) -> int:
    change = _return_bps(closes, row, step, step - 1)
    change = min(max(change, -MAX_RETURN_BPS), MAX_RETURN_BPS)
    return int(change * change * SQUARE_UNIT)


@kernel
def take_close(inst: Ints, closes: Ring, row: int, step: int) -> None:
    """Put the row's newest close into the ring (place `step`) and bring its running values up to date."""
    close = inst[row, CLOSE]
    age = inst[row, AGE]
    closes[step % CLOSES, row] = close
    if age > 1:
        newest = _square(closes, row, step)
        inst[row, SQUARES_60] += newest
        inst[row, SQUARES_300] += newest
    if age > 61:
        inst[row, SQUARES_60] -= _square(closes, row, step - 60)
    if age > WINDOW_S + 1:
        inst[row, SQUARES_300] -= _square(closes, row, step - WINDOW_S)
    if close >= inst[row, HIGH_300]:
        inst[row, HIGH_300] = close
    elif age > WINDOW_S and closes[(step - WINDOW_S) % CLOSES, row] >= inst[row, HIGH_300]:
        inst[row, HIGH_300] = _highest(closes, row, step)


@kernel
def return_features(inst: Ints, closes: Ring, row: int, step: int, out: Floats) -> None:
    """ret_1s, ret_10s, ret_60s, ret_300s, vol_60s, vol_300s, dist_high_300s into out[0:7]."""
    age = inst[row, AGE]
    if age > 1:
        out[0] = _return_bps(closes, row, step, step - 1)
    if age > 10:
        out[1] = _return_bps(closes, row, step, step - 10)
    if age > 60:
        out[2] = _return_bps(closes, row, step, step - 60)
        out[4] = math.sqrt(float(inst[row, SQUARES_60]) / SQUARE_UNIT)
    if age > WINDOW_S:
        out[3] = _return_bps(closes, row, step, step - WINDOW_S)
        out[5] = math.sqrt(float(inst[row, SQUARES_300]) / SQUARE_UNIT / 5.0)
    if age >= WINDOW_S:
        high = float(inst[row, HIGH_300])
        out[6] = (float(inst[row, CLOSE]) - high) / high * BPS


@kernel
def relative_return(out: Floats, source: int, target: int) -> None:
    """Each row's return less the mean of all rows that have one, summed in row order."""
    total = 0.0
    known = 0
    for row in range(out.shape[0]):
        if not math.isnan(out[row, source]):
            total += out[row, source]
            known += 1
    if known == 0:
        return
    mean = total / known
    for row in range(out.shape[0]):
        if not math.isnan(out[row, source]):
            out[row, target] = out[row, source] - mean
