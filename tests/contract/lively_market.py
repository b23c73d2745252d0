"""A market for four hours: one stock stands still, one swings through resting orders, one is thin."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sandbox"))

from small_market import ALPHA, BETA, OPEN, S, SmallMarket, packet

from broker_adapter.sandbox.feed.port import SLICE_NS, FeedInstrument, Slice

THIN = FeedInstrument(1003 * 256 + 1, 1003, "KPTHIN", "THIN", 5, 1, 100_00, False, 90_00, 110_00)
SWING_S = 2
THIN_EVERY_S = 20


@dataclass
class LivelyMarket(SmallMarket):
    """Made slice by slice; ALPHA 499.95/500.05, BETA 2000 or 2005, THIN ten shares each way."""

    begins_at: int = OPEN - S
    ends_at: int = OPEN + 4 * 3_600 * S
    instruments: tuple[FeedInstrument, ...] = (ALPHA, BETA, THIN)

    def slices(self, start_at: int | None = None) -> Iterator[Slice]:
        until = self.begins_at
        while until < self.ends_at:
            at, until = until, until + SLICE_NS
            rows = [self._alpha(at), self._beta(at)]
            if at % (THIN_EVERY_S * S) == 0:
                rows.append(packet(THIN, 100_00, [(99_95, 10)], [(100_05, 10)], at=at))
            yield Slice(until, np.concatenate(rows), np.array([at] * len(rows), dtype=np.int64), [])

    @staticmethod
    def _alpha(at: int) -> np.ndarray:
        bids, asks = [(499_95, 100), (499_90, 200)], [(500_05, 100), (500_10, 200)]
        return packet(ALPHA, 500_00, bids, asks, at=at)

    @staticmethod
    def _beta(at: int) -> np.ndarray:
        last = 2000_00 if (at - OPEN) // (SWING_S * S) % 2 == 0 else 2005_00
        return packet(BETA, last, [(last - 10, 50)], [(last + 10, 50)], at=at)
