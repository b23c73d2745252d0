"""Two streams of ticks -> what one has and the other lacks, by instrument.

Packets are compared as the exchange sent them, when they were received left aside. A packet is remembered as
one 64-bit number: sixteen bytes a tick for both sides together, and two packets are taken for one with a
chance of one in 10^19.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kitepilot.market.ticks import PACKET_BYTES, PACKET_DTYPE
from research.ticks import Packets

WORDS = PACKET_BYTES // 8
_FACTORS = np.random.default_rng(1).integers(1, 2**63, WORDS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


@dataclass(frozen=True)
class TickDifference:
    """Packets that only one side has, for an instrument where there are any."""

    token: int
    only_left: int
    only_right: int


class TickStream:
    """The packets of one telling of the day."""

    def __init__(self) -> None:
        self._seen: dict[int, list[npt.NDArray[np.uint64]]] = defaultdict(list)
        self._digest = hashlib.sha256()
        self.packets = 0

    def add(self, packets: Packets) -> None:
        if not len(packets):
            return
        numbers = fingerprints(packets)
        self.packets += len(packets)
        self._digest.update(numbers.tobytes())
        tokens = packets["token"]
        for token in np.unique(tokens).tolist():
            self._seen[token].append(numbers[tokens == token])

    @property
    def hash(self) -> str:
        """Of all packets in order."""
        return self._digest.hexdigest()

    def against(self, other: TickStream) -> tuple[TickDifference, ...]:
        """By token; empty when both have the same packets."""
        found = []
        for token in sorted(self._seen.keys() | other._seen.keys()):
            left, right = self._counted(token), other._counted(token)
            only_left = sum(max(0, count - right.get(key, 0)) for key, count in left.items())
            only_right = sum(max(0, count - left.get(key, 0)) for key, count in right.items())
            if only_left or only_right:
                found.append(TickDifference(token, only_left, only_right))
        return tuple(found)

    def _counted(self, token: int) -> dict[int, int]:
        pieces = self._seen.get(token)
        if not pieces:
            return {}
        numbers, counts = np.unique(np.concatenate(pieces), return_counts=True)
        return dict(zip(numbers.tolist(), counts.tolist(), strict=True))


def fingerprints(packets: Packets) -> npt.NDArray[np.uint64]:
    """uint64[k]: one number per packet, from all of its bytes."""
    words = np.ascontiguousarray(packets, dtype=PACKET_DTYPE).view(np.uint64).reshape(len(packets), WORDS)
    mixed = (words ^ (words >> np.uint64(29))) * _FACTORS
    mixed ^= mixed >> np.uint64(32)
    summed: npt.NDArray[np.uint64] = (mixed * _FACTORS).sum(axis=1, dtype=np.uint64)
    return summed
