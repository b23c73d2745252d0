"""What is watched for drift in the stream: the error of every score, and the offline model's features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from kitepilot.models.card import FeatureReference
from kitepilot.models.error_drift import ErrorDrift
from kitepilot.models.feature_drift import FeatureDrift
from kitepilot.models.matured_scores import MaturedScores
from kitepilot.models.port import Floats

Act = Literal["tell", "refuse_entries", "reduce"]
ADWIN = "adwin"
#: Features that must look otherwise at once before more than a word follows: one alone may be a feed's whim.
SHARE_OF_FEATURES = 0.1
LEAST_FEATURES = 2
BLEND = "blend"  # the score that strategies follow


class Drift(NamedTuple):
    """One change: of `feature`'s distribution, or, "" there, of `model`'s error. `scores` rest on it."""

    model: str
    detector: str
    observed: float
    limit: float
    act: Act
    feature: str
    scores: tuple[str, ...]


class Watched(NamedTuple):
    """The offline model's features: its id, its card's reference, the names of all columns of the rows.

    `single`: the card rounds features to float32, and so do we, or a value on a bin's edge would change bins.
    """

    model: str
    reference: Mapping[str, FeatureReference]
    names: Sequence[str]
    single: bool = False


class DriftWatch:
    """The detectors of one shard; the act is the configuration's, for the blended score and for features."""

    def __init__(self, on_error: Act, on_features: Act, watched: Watched | None) -> None:
        self._on_error, self._on_features = on_error, on_features
        self._errors: dict[str, ErrorDrift] = {}
        self.follow(watched)

    def follow(self, watched: Watched | None) -> None:
        """Another offline model is followed: its features are looked at from now on, from nothing."""
        self._model = watched.model if watched else ""
        self._single = watched.single if watched else False
        self._features = FeatureDrift(watched.reference, watched.names) if watched else FeatureDrift({}, ())

    def on_matured(self, matured: MaturedScores) -> list[Drift]:
        """Scores whose labels are known. Only the blended score's error may cause more than a word."""
        found = []
        for name, scores in matured.scores.items():
            worse = self._errors.setdefault(name, ErrorDrift()).on_matured(scores, matured.y)
            if worse:
                act: Act = self._on_error if name == BLEND else "tell"
                found.append(Drift(name, ADWIN, worse.now, worse.before, act, "", (name,)))
        return found

    def on_rows(self, x: Floats, scores: Mapping[str, Floats]) -> list[Drift]:
        """A close's rows, float64[n, F]; those count that the offline model scored."""
        if not self._features.watched:
            return []
        if self._single:
            x = x.astype(np.float32).astype(np.float64)
        shifted = self._features.on_close(x, np.isfinite(scores[self._model]))
        many = max(LEAST_FEATURES, SHARE_OF_FEATURES * self._features.watched)
        act: Act = self._on_features if self._features.shifted >= many else "tell"
        rests = (self._model, BLEND)
        return [
            Drift(self._model, each.detector, each.observed, each.limit, act, each.feature, rests)
            for each in shifted
        ]

    def snapshot(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "errors": {name: each.snapshot() for name, each in self._errors.items()},
            "features": self._features.snapshot(),
        }

    def restore(self, saved: dict[str, Any]) -> None:
        self._errors = {}
        for name, each in saved["errors"].items():
            self._errors[name] = ErrorDrift()
            self._errors[name].restore(each)
        self._features.restore(saved["features"])
