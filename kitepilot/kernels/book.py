"""Features of the order book at the last tick of the second (or of the last second that had one)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kitepilot.kernels.compiled import kernel
from kitepilot.kernels.layout import BOOK_ASK, BOOK_ASK_1, BOOK_ASK_5, BOOK_BID, BOOK_BID_1, BOOK_BID_5

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
BPS = 10_000.0


@kernel
def _imbalance(bid: float, ask: float) -> float:
    return (bid - ask) / (bid + ask)


@kernel
def book_features(inst: Ints, out: Floats) -> None:
    """spread, imbalance_l1, imbalance_l5, microprice_dev into out[0:4]; nothing for a one-sided book."""
    bid = float(inst[BOOK_BID])
    ask = float(inst[BOOK_ASK])
    bid_1 = float(inst[BOOK_BID_1])
    ask_1 = float(inst[BOOK_ASK_1])
    if bid <= 0.0 or ask <= 0.0 or bid_1 + ask_1 <= 0.0:
        return
    mid = (bid + ask) / 2.0
    micro = (bid * ask_1 + ask * bid_1) / (bid_1 + ask_1)
    out[0] = (ask - bid) / mid * BPS
    out[1] = _imbalance(bid_1, ask_1)
    out[2] = _imbalance(float(inst[BOOK_BID_5]), float(inst[BOOK_ASK_5]))
    out[3] = (micro - mid) / mid * BPS
