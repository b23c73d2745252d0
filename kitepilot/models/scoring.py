"""An offline model as its card says it is to be read: columns by name, precision, NaN policy, calibration.

    features float64[n, F of the kernels] -> the card's columns -> rows it may score -> learner -> probability

Every offline model is scored through here, in the live flow, in a shadow and in the walk-forward, so what was
measured is what is followed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kitepilot.models.artifact import require_own
from kitepilot.models.calibration import calibrated
from kitepilot.models.card import ModelCard
from kitepilot.models.port import Booleans, Floats, Integers, ModelError, OfflineModel, Scorer


class CardScorer:
    """A `Scorer` over rows whose columns are `features`; the learner sees its own columns of ready rows.

    A score that is not a number within 0..1 is no score: the row gets NaN.

    Raises:
        ModelError: the card names a feature that is not among `features`.
    """

    def __init__(self, model: Scorer, card: ModelCard, features: Sequence[str]) -> None:
        self._model, self._card = model, card
        self._columns = columns_of(card, features)

    @property
    def model_id(self) -> str:
        return self._card.model_id

    @property
    def card(self) -> ModelCard:
        return self._card

    def score(self, x: Floats) -> Floats:
        scores = np.full(len(x), np.nan)
        chosen = x[:, self._columns]
        if self._card.precision == "float32":
            chosen = chosen.astype(np.float32).astype(np.float64)
        ready = np.flatnonzero(scorable(chosen, self._card))
        if ready.size:
            said = self._model.score(chosen[ready])
            held = np.where((said >= 0.0) & (said <= 1.0), said, np.nan)
            scores[ready] = calibrated(held, self._card.calibration)
        return scores


def scorer_of(
    model: type[OfflineModel], artifact: bytes, card: ModelCard, features: Sequence[str]
) -> CardScorer:
    """The artifact of `card`, ready to score rows whose columns are `features`. Raises `ModelError`."""
    require_own(artifact, card)
    return CardScorer(model.from_artifact(artifact, card), card, features)


def columns_of(card: ModelCard, features: Sequence[str]) -> Integers:
    """Where the card's features stand among `features`. Raises `ModelError` naming those that do not."""
    places = {name: place for place, name in enumerate(features)}
    missing = [name for name in card.features if name not in places]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise ModelError(
            f"model {card.model_id} was trained on other features than the kernels compute now: there is no "
            f"{', '.join(missing[:3])}{more}; train it anew (`kitepilot seed`, `kitepilot train`)"
        )
    return np.array([places[name] for name in card.features], dtype=np.int64)


def scorable(x: Floats, card: ModelCard) -> Booleans:
    """Which rows of the card's columns get a score: all finite; `nan: native` takes NaN beside a number."""
    finite, missing = np.isfinite(x), np.isnan(x)
    if card.nan == "refuse":
        return np.asarray(finite.all(axis=1), dtype=bool)
    return np.asarray((finite | missing).all(axis=1) & finite.any(axis=1), dtype=bool)
