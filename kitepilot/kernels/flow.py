"""Features of what traded: signed volume, VWAP, volume against its mean, tick rate, place in the day's range.

Windows of volume are whole numbers, so their sums are exact. Exponentially weighted means use a weight of
2 / (span + 1) and start at the first value.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kitepilot.kernels.compiled import kernel
from kitepilot.kernels.layout import (
    AGE,
    CLOSE,
    EW_TICKS,
    EW_VOLUME,
    EW_VWAP,
    FLOWS,
    HIGH,
    LOW,
    MAX_FLOW,
    NOTIONAL,
    S_SIGNED,
    S_TICKS,
    S_VOLUME,
    SIGNED_10,
    SIGNED_60,
    TRADED,
    VOLUME_10,
    VOLUME_60,
)

Ints = npt.NDArray[np.int64]
Ring = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
BPS = 10_000.0
WEIGHT_10 = 2.0 / 11.0
WEIGHT_60 = 2.0 / 61.0
WEIGHT_600 = 2.0 / 601.0


@kernel
def _weighted(before: float, value: float, weight: float, first: bool) -> float:
    return value if first else before + weight * (value - before)


@kernel
def _vwap(inst: Ints) -> float:
    return float(inst[NOTIONAL]) / float(inst[TRADED])


@kernel
def take_flow(inst: Ints, slot: Ints, flows: Ring, sums: Floats, row: int, step: int) -> None:
    """The second's volume, signed volume and ticks into the rings (place `step`) and running sums."""
    mine = inst[row]
    volume = min(slot[row, S_VOLUME], MAX_FLOW)
    signed = max(min(slot[row, S_SIGNED], MAX_FLOW), -MAX_FLOW)
    first = mine[AGE] == 1
    flows[0, step % FLOWS, row] = volume
    flows[1, step % FLOWS, row] = signed
    mine[VOLUME_10] += volume
    mine[VOLUME_60] += volume
    mine[SIGNED_10] += signed
    mine[SIGNED_60] += signed
    if mine[AGE] > 10:
        mine[VOLUME_10] -= flows[0, (step - 10) % FLOWS, row]
        mine[SIGNED_10] -= flows[1, (step - 10) % FLOWS, row]
    if mine[AGE] > 60:
        mine[VOLUME_60] -= flows[0, (step - 60) % FLOWS, row]
        mine[SIGNED_60] -= flows[1, (step - 60) % FLOWS, row]
    ticks = float(slot[row, S_TICKS])
    sums[row, EW_VOLUME] = _weighted(sums[row, EW_VOLUME], float(volume), WEIGHT_600, first)
    sums[row, EW_TICKS] = _weighted(sums[row, EW_TICKS], ticks, WEIGHT_10, first)
    if mine[TRADED] > 0:
        sums[row, EW_VWAP] = _weighted(sums[row, EW_VWAP], _vwap(mine), WEIGHT_60, sums[row, EW_VWAP] == 0.0)


@kernel
def flow_features(inst: Ints, sums: Floats, out: Floats) -> None:
    """vwap_dev, vwap_slope, trade_imbalance_10s, _60s, volume_ratio, tick_rate, range_position: out[0:7]."""
    age = inst[AGE]
    if inst[TRADED] > 0:
        vwap = _vwap(inst)
        out[0] = (float(inst[CLOSE]) - vwap) / vwap * BPS
        if age >= 60:
            out[1] = (vwap - sums[EW_VWAP]) / vwap * BPS
    if age >= 10:
        out[2] = float(inst[SIGNED_10]) / float(max(inst[VOLUME_10], 1))
        out[5] = sums[EW_TICKS]
    if age >= 60:
        out[3] = float(inst[SIGNED_60]) / float(max(inst[VOLUME_60], 1))
        spread = float(inst[HIGH] - inst[LOW])
        out[6] = (float(inst[CLOSE]) - float(inst[LOW])) / spread if spread > 0.0 else 0.5
    if age >= 300 and sums[EW_VOLUME] > 0.0:
        out[4] = float(inst[VOLUME_60]) / (60.0 * sums[EW_VOLUME])
