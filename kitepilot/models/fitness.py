"""Is the score still worth following? It is judged by its own labels as they mature, in tick order.

A score that says less than the share of true labels in the same window would say has drifted. Measure: Brier
score (mean squared error of the probability) over the last hour of matured closes, against that of always
saying the window's own base rate. Sums of one close are kept, never rows, so the size does not grow.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from kitepilot.models.port import Booleans, Floats

CLOSES = 60  # of a minute each
MIN_ROWS = 600  # no verdict before: twelve closes of fifty instruments
WORSE = 1.10  # drifted above this times the base rate's Brier score ...
RECOVERED = 1.05  # ... and fit again only below this

FRESH, STALE, DRIFTED = "fresh", "stale", "drifted"


class Fitness:
    """One score's standing. `stale`: why its model is too old, empty when it is not."""

    def __init__(self, stale: str = "") -> None:
        self._stale = stale
        self._closes: deque[tuple[int, float, int]] = deque(maxlen=CLOSES)
        self._told = FRESH

    def on_close(self, scores: Floats | None, y: Booleans | None) -> tuple[str, str] | None:
        """A minute's close; a new verdict as (state, why), or None when nothing changed.

        `scores` float64[m] (NaN without one) and `y` bool[m] are those that matured at it; None: none did.
        """
        if scores is not None and y is not None:
            self._count(scores, y)
        state, why = self._verdict()
        if state == self._told:
            return None
        self._told = state
        return state, why

    def follow(self, stale: str) -> None:
        """Another model stands behind the score: its own labels will judge it, the verdict stands so far."""
        self._stale = stale
        self._closes.clear()

    def _count(self, scores: Floats, y: Booleans) -> None:
        rows = np.isfinite(scores)
        if rows.any():
            errors = (scores[rows] - y[rows]) ** 2
            self._closes.append((int(rows.sum()), float(errors.sum()), int(y[rows].sum())))

    def _verdict(self) -> tuple[str, str]:
        if self._stale:
            return STALE, self._stale
        rows = sum(each[0] for each in self._closes)
        if rows < MIN_ROWS:
            return self._told, ""
        brier = sum(each[1] for each in self._closes) / rows
        share = sum(each[2] for each in self._closes) / rows
        base = share * (1.0 - share)
        allowed = base * (RECOVERED if self._told == DRIFTED else WORSE)
        why = f"Brier score {brier:.4f} over {rows} labels, base rate's {base:.4f}"
        return (DRIFTED if brier > allowed else FRESH), why

    def snapshot(self) -> list[Any]:
        """Plain data."""
        return [list(self._closes), self._told]

    def restore(self, saved: list[Any]) -> None:
        closes, self._told = saved
        self._closes.clear()
        self._closes.extend((rows, errors, true) for rows, errors, true in closes)
