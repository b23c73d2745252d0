"""From scores to acting: calibration and threshold, both fitted on held-out rows of the fold alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kitepilot.models.calibration import logit
from kitepilot.models.card import Calibration, Method
from kitepilot.models.port import ModelError
from research.walkforward.measures import Scored, acting

Floats = npt.NDArray[np.float64]

METHODS: tuple[Method, ...] = ("platt", "isotonic", "none")
#: Shares of the held-out rows below the thresholds that are tried.
TRIED = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995)
MIN_ACTIONS = 20  # a threshold chosen on fewer trades is chosen by luck


def fit_calibration(method: Method, scores: Floats, y: Floats, weight: Floats) -> Calibration:
    """Held-out scores float64[r] in 0..1, their labels and weights -> the numbers for a card.

    Raises:
        ModelError: no rows, or labels that are all the same.
    """
    if method == "none":
        return Calibration()
    if not len(y) or y.min() == y.max():
        raise ModelError(f"the {len(y)} held-out rows have one kind of label: nothing to calibrate on")
    return _platt(scores, y, weight) if method == "platt" else _isotonic(scores, y, weight)


def _platt(scores: Floats, y: Floats, weight: Floats) -> Calibration:
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=1e6, max_iter=1_000).fit(logit(scores)[:, None], y > 0.5, weight)
    # a score that misleads on the held-out rows is flattened, never turned over: its order stays its own
    slope = max(0.0, float(fitted.coef_[0, 0]))
    intercept = (
        float(fitted.intercept_[0]) if slope else float(logit(np.array([np.average(y, weights=weight)]))[0])
    )
    return Calibration(method="platt", slope=slope, intercept=intercept, rows=len(y))


def _isotonic(scores: Floats, y: Floats, weight: Floats) -> Calibration:
    """Held half a row away from 0 and 1: never seen is not impossible."""
    from sklearn.isotonic import IsotonicRegression

    edge = 0.5 / len(y)
    fitted = IsotonicRegression(y_min=edge, y_max=1.0 - edge).fit(scores, y, weight)
    return Calibration(
        method="isotonic",
        scores=tuple(fitted.X_thresholds_.tolist()),
        probabilities=tuple(fitted.y_thresholds_.tolist()),
        rows=len(y),
    )


def choose_threshold(held: Scored) -> float | None:
    """The tried threshold whose actions on the held-out rows earn most after costs; None when none earns.

    To act nowhere is a result, and on liquid shares a common one: the spread and charges of a round trip are
    larger than what most scores know.
    """
    best, chosen = 0.0, None
    for threshold in np.unique(np.quantile(held.score, TRIED)):
        acts = acting(held, float(threshold))
        earned = float(held.outcome_bps[acts].sum())
        if acts.sum() >= MIN_ACTIONS and earned > best:
            best, chosen = earned, float(threshold)
    return chosen
