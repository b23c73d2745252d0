"""A learner's scores into probabilities, by the few numbers that a card holds."""

from __future__ import annotations

import numpy as np

from kitepilot.models.card import Calibration
from kitepilot.models.port import Floats

#: Scores are held this far from 0 and 1: their logit stays finite.
EDGE = 1e-9


def calibrated(scores: Floats, by: Calibration) -> Floats:
    """float64[n] in 0..1, NaN allowed -> float64[n] in 0..1; never changes the order of two scores.

    >>> calibrated(np.array([0.2, 0.6]), Calibration(method="isotonic", scores=(0.0, 0.4, 1.0),
    ...     probabilities=(0.1, 0.2, 0.8))).round(3).tolist()
    [0.15, 0.4]
    """
    if by.method == "platt":
        return 1.0 / (1.0 + np.exp(-(by.slope * logit(scores) + by.intercept)))
    if by.method == "isotonic":
        return np.where(np.isnan(scores), np.nan, np.interp(scores, by.scores, by.probabilities))
    return scores


def logit(scores: Floats) -> Floats:
    """float64[n] in 0..1 -> float64[n], finite but for NaN."""
    held = np.clip(scores, EDGE, 1.0 - EDGE)
    return np.log(held / (1.0 - held))
