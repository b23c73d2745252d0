"""All features by name, and the kernel that fills a row for every instrument at a 1 s close.

The first 20, the second features, are computed at every 1 s close from ticks of that second and before. The
others, the minute features (`minutes`), are computed at every 1 m close and carried by the 1 s closes after
it. NaN while warming up, outside the continuous session, and where the packet has nothing to say (indices and
feeds without depth have no book features).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kitepilot.kernels.bars import close_bars
from kitepilot.kernels.book import book_features
from kitepilot.kernels.compiled import kernel
from kitepilot.kernels.feature_docs import (
    CLOCK,
    DEPTH,
    MARKET,
    MICROSTRUCTURE,
    RETURNS,
    TICKS,
    TIME,
    VOLATILITY,
    VOLUME,
    FeatureDoc,
)
from kitepilot.kernels.flow import flow_features, take_flow
from kitepilot.kernels.layout import (
    AGE,
    CLOSE_S,
    M_BOOKS,
    M_IMBALANCE,
    M_SIGNED,
    M_SPREAD,
    NEXT_S,
    OPEN_S,
    S_SIGNED,
    S_TICKS,
    SLOTS,
    STEP,
)
from kitepilot.kernels.minutes import MINUTE_DOCS, MINUTE_NAMES
from kitepilot.kernels.returns import relative_return, return_features, take_close

Ints = npt.NDArray[np.int64]
Ring = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]


SECOND_DOCS: tuple[FeatureDoc, ...] = (
    FeatureDoc("ret_1s", "close against the close 1 s ago", "bps", 2, RETURNS, TICKS),
    FeatureDoc("ret_10s", "close against the close 10 s ago", "bps", 11, RETURNS, TICKS),
    FeatureDoc("ret_60s", "close against the close 60 s ago", "bps", 61, RETURNS, TICKS),
    FeatureDoc("ret_300s", "close against the close 300 s ago", "bps", 301, RETURNS, TICKS),
    FeatureDoc(
        "vol_60s",
        "root of the summed squared 1 s returns of 60 s",
        "bps per root minute",
        61,
        VOLATILITY,
        TICKS,
    ),
    FeatureDoc("vol_300s", "the same over 300 s, per minute", "bps per root minute", 301, VOLATILITY, TICKS),
    FeatureDoc(
        "dist_high_300s",
        "close against the highest 1 s close of 300 s; at most 0",
        "bps",
        300,
        RETURNS,
        TICKS,
    ),
    FeatureDoc("spread", "best ask less best bid, over their middle", "bps", 1, MICROSTRUCTURE, DEPTH),
    FeatureDoc(
        "imbalance_l1",
        "(bid - ask) / (bid + ask) of the best level's quantities",
        "-1..1",
        1,
        MICROSTRUCTURE,
        DEPTH,
    ),
    FeatureDoc("imbalance_l5", "the same over five levels", "-1..1", 1, MICROSTRUCTURE, DEPTH),
    FeatureDoc(
        "microprice_dev", "quantity-weighted touch price against the middle", "bps", 1, MICROSTRUCTURE, DEPTH
    ),
    FeatureDoc("vwap_dev", "close against the session's VWAP of what we saw trade", "bps", 1, VOLUME, TICKS),
    FeatureDoc(
        "vwap_slope", "VWAP against its exponentially weighted mean, span 60 s", "bps", 60, VOLUME, TICKS
    ),
    FeatureDoc(
        "trade_imbalance_10s",
        "volume of buyers less sellers over all, 10 s; 0 if none",
        "-1..1",
        10,
        MICROSTRUCTURE,
        TICKS,
    ),
    FeatureDoc("trade_imbalance_60s", "the same over 60 s", "-1..1", 60, MICROSTRUCTURE, TICKS),
    FeatureDoc(
        "volume_ratio",
        "volume of 60 s over its mean, exponentially weighted, span 600 s",
        "times",
        300,
        VOLUME,
        TICKS,
    ),
    FeatureDoc(
        "tick_rate", "packets a second, exponentially weighted, span 10 s", "1/s", 10, MICROSTRUCTURE, TICKS
    ),
    FeatureDoc(
        "range_position", "close between the session's low (0) and high (1)", "0..1", 60, RETURNS, TICKS
    ),
    FeatureDoc("minutes_since_open", "minutes of the continuous session so far", "minutes", 1, TIME, CLOCK),
    FeatureDoc("rel_ret_60s", "ret_60s less its mean over the shard's instruments", "bps", 61, MARKET, TICKS),
)
SECOND_NAMES: tuple[str, ...] = tuple(doc.name for doc in SECOND_DOCS)
SECONDS = len(SECOND_NAMES)

FEATURE_DOCS: tuple[FeatureDoc, ...] = (*SECOND_DOCS, *MINUTE_DOCS)
FEATURE_NAMES: tuple[str, ...] = (*SECOND_NAMES, *MINUTE_NAMES)
FEATURES = len(FEATURE_NAMES)

_BOOK = SECOND_NAMES.index("spread")
_IMBALANCE = SECOND_NAMES.index("imbalance_l1")
_FLOW = SECOND_NAMES.index("vwap_dev")
_MINUTES = SECOND_NAMES.index("minutes_since_open")
_RET_60 = SECOND_NAMES.index("ret_60s")
_RELATIVE = SECOND_NAMES.index("rel_ret_60s")


@kernel
def _into_minute(inst: Ints, slot: Ints, sums: Floats, row: int, mine: Floats) -> None:
    """The second's signs and book into what the open minute tells the minute features."""
    inst[row, M_SIGNED] += slot[row, S_SIGNED]
    if not np.isnan(mine[_BOOK]):
        inst[row, M_BOOKS] += 1
        sums[row, M_SPREAD] += mine[_BOOK]
        sums[row, M_IMBALANCE] += mine[_IMBALANCE]


@kernel
def close_second(
    terms: Ints,
    inst: Ints,
    slots: Ints,
    closes: Ring,
    flows: Ring,
    sums: Floats,
    clock: Ints,
    held: Floats,
    out: Ints,
    features: Floats,
) -> tuple[int, int]:
    """Close the next open second: bars and quotes into `out`, features float64[n, F]; (1 s bars, 1 m bars).

    `held` float64[n, F - 20] are the minute features of the last 1 m close. Shapes: see `layout`. Everything
    but `terms` and `held` is changed in place; the slot is free again afterwards.
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
            for column in range(held.shape[1]):
                mine[SECONDS + column] = held[row, column]
            _into_minute(inst, slot, sums, row, mine)
        slot[row, S_TICKS] = 0
    relative_return(features, _RET_60, _RELATIVE)
    clock[NEXT_S] = second + 1
    clock[STEP] = step + 1
    return counted
