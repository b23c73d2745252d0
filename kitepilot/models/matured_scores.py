"""Scores that wait for their label: what was said one horizon ago, and what became true of it.

Everything that judges scores (fitness, the weights of the blend, drift) reads the same matured closes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kitepilot.models.labels import HORIZON_S, NS, label
from kitepilot.models.port import Booleans, Floats, Integers

MINUTE_S = 60


class MaturedScores(NamedTuple):
    """One close whose labels are known: y bool[m], and float64[m] by model id, NaN where it had no score."""

    close_at: int  # when the scores were made
    y: Booleans
    scores: dict[str, Floats]


class ScoreQueue:
    """At most one entry per minute of the horizon. A close that never came leaves its scores unjudged."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, dict[str, Floats], Integers]] = deque(
            maxlen=HORIZON_S // MINUTE_S + 1
        )

    def mature(self, close_at: int, last_paise: Integers) -> MaturedScores | None:
        """What was said exactly one horizon before this close, against its prices (int64[n]).

        Instruments without a price then or now are left out.
        """
        due, found = close_at - HORIZON_S * NS, None
        while self._waiting and self._waiting[0][0] <= due:
            seen_at, then, then_paise = self._waiting.popleft()
            if seen_at == due:
                rows = np.flatnonzero((then_paise > 0) & (last_paise > 0))
                y = label(then_paise[rows], last_paise[rows])
                found = MaturedScores(seen_at, y, {name: said[rows] for name, said in then.items()})
        return found

    def wait(self, close_at: int, scores: Mapping[str, Floats], last_paise: Integers) -> None:
        """Take this close's scores (float64[n] each) and prices, as copies."""
        copies = {name: said.copy() for name, said in scores.items()}
        self._waiting.append((close_at, copies, last_paise.copy()))

    def snapshot(self) -> list[Any]:
        """Plain data."""
        return [
            [at, {name: said.tobytes() for name, said in scores.items()}, last.tobytes()]
            for at, scores, last in self._waiting
        ]

    def restore(self, saved: list[Any]) -> None:
        self._waiting.clear()
        for at, scores, last in saved:
            read = {name: np.frombuffer(said, np.float64) for name, said in scores.items()}
            self._waiting.append((at, read, np.frombuffer(last, np.int64)))
