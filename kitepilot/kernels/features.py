"""The first 20 features: their names, what they mean, and the kernel that fills a row for every instrument.

Computed at every 1 s close from ticks of that second and before. NaN while warming up, outside the continuous
session, and where the packet has nothing to say (indices and feeds without depth have no book features).
`warmup_s` counts seconds since the instrument's first trade of the session.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kitepilot.kernels.bars import close_bars
from kitepilot.kernels.book import book_features
from kitepilot.kernels.compiled import kernel
from kitepilot.kernels.flow import flow_features, take_flow
from kitepilot.kernels.layout import AGE, CLOSE_S, NEXT_S, OPEN_S, S_TICKS, SLOTS, STEP
from kitepilot.kernels.returns import relative_return, return_features, take_close

Ints = npt.NDArray[np.int64]
Ring = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]


class FeatureDoc(NamedTuple):
    """One feature for people: `unit` is what 1.0 means."""

    name: str
    meaning: str
    unit: str
    warmup_s: int


FEATURE_DOCS: tuple[FeatureDoc, ...] = (
    FeatureDoc("ret_1s", "close against the close 1 s ago", "bps", 2),
    FeatureDoc("ret_10s", "close against the close 10 s ago", "bps", 11),
    FeatureDoc("ret_60s", "close against the close 60 s ago", "bps", 61),
    FeatureDoc("ret_300s", "close against the close 300 s ago", "bps", 301),
    FeatureDoc("vol_60s", "root of the summed squared 1 s returns of 60 s", "bps per root minute", 61),
    FeatureDoc("vol_300s", "the same over 300 s, per minute", "bps per root minute", 301),
    FeatureDoc("dist_high_300s", "close against the highest 1 s close of 300 s; at most 0", "bps", 300),
    FeatureDoc("spread", "best ask less best bid, over their middle", "bps", 1),
    FeatureDoc("imbalance_l1", "(bid - ask) / (bid + ask) of the best level's quantities", "-1..1", 1),
    FeatureDoc("imbalance_l5", "the same over five levels", "-1..1", 1),
    FeatureDoc("microprice_dev", "quantity-weighted touch price against the middle", "bps", 1),
    FeatureDoc("vwap_dev", "close against the session's VWAP of what we saw trade", "bps", 1),
    FeatureDoc("vwap_slope", "VWAP against its exponentially weighted mean, span 60 s", "bps", 60),
    FeatureDoc("trade_imbalance_10s", "volume of buyers less sellers over all, 10 s; 0 if none", "-1..1", 10),
    FeatureDoc("trade_imbalance_60s", "the same over 60 s", "-1..1", 60),
    FeatureDoc(
        "volume_ratio", "volume of 60 s over its mean, exponentially weighted, span 600 s", "times", 300
    ),
    FeatureDoc("tick_rate", "packets a second, exponentially weighted, span 10 s", "1/s", 10),
    FeatureDoc("range_position", "close between the session's low (0) and high (1)", "0..1", 60),
    FeatureDoc("minutes_since_open", "minutes of the continuous session so far", "minutes", 1),
    FeatureDoc("rel_ret_60s", "ret_60s less its mean over the shard's instruments", "bps", 61),
)
FEATURE_NAMES: tuple[str, ...] = tuple(doc.name for doc in FEATURE_DOCS)
FEATURES = len(FEATURE_NAMES)

_BOOK = FEATURE_NAMES.index("spread")
_FLOW = FEATURE_NAMES.index("vwap_dev")
_MINUTES = FEATURE_NAMES.index("minutes_since_open")
_RET_60 = FEATURE_NAMES.index("ret_60s")
_RELATIVE = FEATURE_NAMES.index("rel_ret_60s")


@kernel
def close_second(
    terms: Ints,
    inst: Ints,
    slots: Ints,
    closes: Ring,
    flows: Ring,
    sums: Floats,
    clock: Ints,
    out: Ints,
    features: Floats,
) -> tuple[int, int]:
    """Close the next open second: bars and quotes into `out`, features float64[n, F]; (1 s bars, 1 m bars).

    Shapes: see `layout`. Everything but `terms` is changed in place; the slot is free again afterwards.
    """
    second = clock[NEXT_S]
    step = clock[STEP]
    slot = slots[second & (SLOTS - 1)]
    counted = close_bars(second, terms, inst, slot, out)
    features[:, :] = np.nan
    for row in range(inst.shape[0]):
        if inst[row, AGE] > 0 and terms[row, OPEN_S] <= second < terms[row, CLOSE_S]:
            take_close(inst, closes, row, step)
            take_flow(inst, slot, flows, sums, row, step)
            mine = features[row]
            return_features(inst, closes, row, step, mine)
            book_features(inst[row], mine[_BOOK:])
            flow_features(inst[row], sums[row], mine[_FLOW:])
            mine[_MINUTES] = float(second + 1 - terms[row, OPEN_S]) / 60.0
        slot[row, S_TICKS] = 0
    relative_return(features, _RET_60, _RELATIVE)
    clock[NEXT_S] = second + 1
    clock[STEP] = step + 1
    return counted
