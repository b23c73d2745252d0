"""Silence per instrument after a wish, so that one situation is not asked for again every second."""

from __future__ import annotations

import msgspec
import numpy as np

from kitepilot.strategies.port import Integers

NS = 1_000_000_000


class Cooldown:
    """Remembers per token when it last spoke (ns UTC of the bar close). Bounded by the number of tokens.

    >>> calm = Cooldown(seconds=60)
    >>> calm.start(7, 0)
    >>> calm.ready(7, 59 * NS), calm.ready(7, 60 * NS), calm.ready(8, 0)
    (False, True, True)
    """

    def __init__(self, seconds: float) -> None:
        self._silence_ns = round(seconds) * NS
        self._spoke_at: dict[int, int] = {}

    def start(self, token: int, at: int) -> None:
        self._spoke_at[token] = at

    def ready(self, token: int, at: int) -> bool:
        spoke_at = self._spoke_at.get(token)
        return spoke_at is None or at - spoke_at >= self._silence_ns

    def choose(self, rows: Integers, tokens: Integers, at: int) -> list[int]:
        """Those of `rows` whose token may speak at `at`; each of them begins its silence."""
        chosen = [int(row) for row in rows if self.ready(int(tokens[row]), at)]
        for row in chosen:
            self.start(int(tokens[row]), at)
        return chosen

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(sorted(self._spoke_at.items()))

    def restore(self, blob: bytes) -> None:
        pairs = msgspec.msgpack.decode(blob, type=list[tuple[int, int]]) if blob else []
        self._spoke_at = dict(pairs)


def strengths(excess: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float]:
    """How far past a threshold (0 at it) -> 0.5..1, saturating at twice the threshold."""
    return [float(value) for value in 0.5 + 0.5 * np.clip(excess, 0.0, 1.0)]
