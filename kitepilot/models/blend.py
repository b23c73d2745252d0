"""One score out of two: the offline model's and the online one's, weighed by how they have done lately."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kitepilot.models.port import Booleans, Floats

#: Share of the offline score before anything is known of the day: the online model is young every morning.
OFFLINE_WEIGHT = 0.7
#: Neither model is ever silenced: one that is wrong today must be heard when it is right again.
FLOOR = 0.1
HALF_LIFE_CLOSES = 60.0
#: Log-odds that a close adds at the most. A close counts as one observation however many instruments it has,
#: because they share the market's move.
RATE = 0.5


def blend(offline: Floats, online: Floats, offline_weight: float = OFFLINE_WEIGHT) -> Floats:
    """float64[n], float64[n] -> float64[n]: the weighted mean; where one is NaN, the other.

    >>> nan = float("nan")
    >>> blend(np.array([0.2, nan, nan]), np.array([0.4, 0.4, nan]), 0.5).tolist()
    [0.30000000000000004, 0.4, nan]
    """
    both = offline_weight * offline + (1.0 - offline_weight) * online
    return np.where(np.isnan(offline), online, np.where(np.isnan(online), offline, both))


class BlendWeight:
    """The offline model's share, from the squared errors (Brier) of rows that both models scored.

    Errors and closes are summed with a half life. The log-odds of the share are those of the prior plus
    `RATE` a close times the relative difference of the errors: equal errors leave the prior, a model whose
    errors are 10 % smaller for an hour moves 0.7 to 0.88. Always within [FLOOR, 1 - FLOOR].
    """

    def __init__(self, prior: float = OFFLINE_WEIGHT, half_life_closes: float = HALF_LIFE_CLOSES) -> None:
        """A half life of 0 keeps the prior for good."""
        if not FLOOR <= prior <= 1.0 - FLOOR:
            raise ValueError(f"the offline model's share {prior} must be {FLOOR} to {1.0 - FLOOR}")
        self._prior = math.log(prior / (1.0 - prior))
        self._share = prior
        self._keep = 0.5 ** (1.0 / half_life_closes) if half_life_closes else 0.0
        self._errors = [0.0, 0.0]  # offline, online
        self._closes = 0.0

    @property
    def offline(self) -> float:
        total = self._errors[0] + self._errors[1]
        if not (self._keep and total):
            return self._share
        ahead = (self._errors[1] - self._errors[0]) / total
        odds = self._prior + RATE * self._closes * ahead
        return min(max(1.0 / (1.0 + math.exp(-odds)), FLOOR), 1.0 - FLOOR)

    def on_matured(self, offline: Floats, online: Floats, y: Booleans) -> None:
        """One close, float64[m] each and bool[m]. One without a row that both scored changes nothing."""
        both = np.isfinite(offline) & np.isfinite(online)
        if not both.any():
            return
        for model, scores in enumerate((offline, online)):
            error = float(((scores[both] - y[both]) ** 2).sum())
            self._errors[model] = self._errors[model] * self._keep + error
        self._closes = self._closes * self._keep + 1.0

    def snapshot(self) -> list[Any]:
        """Plain data."""
        return [self._closes, *self._errors]

    def restore(self, saved: list[Any]) -> None:
        self._closes, *self._errors = saved
