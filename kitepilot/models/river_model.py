"""The online model: a scaler and a logistic regression that learn row by row as labels mature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from kitepilot.models.port import Booleans, Floats, ModelError

#: No opinion before this many labelled rows: six closes of a 50-instrument shard.
MIN_ROWS = 300
LEARNING_RATE = 0.005
#: Features are held inside this many standard deviations once `SETTLED_ROWS` told what those are: one jump
#: must throw neither the weights nor the scale.
MAX_DEVIATIONS = 6.0
SETTLED_ROWS = 100
VERSION = 1


class RiverLogistic:
    """River's StandardScaler | LogisticRegression. Predict 5 us, learn 19 us a row; 2 KB of state."""

    def __init__(self, features: Sequence[str]) -> None:
        self._features = tuple(features)
        self._rows = 0
        self._begin()

    @property
    def model_id(self) -> str:
        return "river_logistic"

    @property
    def rows(self) -> int:
        """How many labelled rows it has learned from."""
        return self._rows

    def score(self, x: Floats) -> Floats:
        scores = np.full(len(x), np.nan)
        if self._rows < MIN_ROWS:
            return scores
        for row in np.flatnonzero(np.isfinite(x).all(axis=1)):
            scaled = self._scaled(self._named(x[row]))
            scores[row] = self._regression.predict_proba_one(scaled).get(True, 0.0)
        return scores

    def learn(self, x: Floats, y: Booleans) -> None:
        for values, outcome in zip(x, y, strict=True):
            named = self._held(self._named(values))
            self._scaler.learn_one(named)
            self._regression.learn_one(self._scaled(named), bool(outcome))
            self._rows += 1

    def snapshot(self) -> bytes:
        """Counts, means, variances and weights as plain numbers (msgpack); equal models give equal bytes."""
        scaler, regression = self._scaler, self._regression
        learned = self._features if self._rows else ()
        return msgspec.msgpack.encode(
            {
                "version": VERSION,
                "features": self._features,
                "rows": self._rows,
                "intercept": float(regression.intercept),
                "scaled": [[scaler.counts[f], scaler.means[f], scaler.vars[f]] for f in learned],
                "weights": [float(regression.weights[f]) for f in learned],
            }
        )

    def restore(self, blob: bytes) -> None:
        """Raises `ModelError` for a snapshot of another version or of other features."""
        state: dict[str, Any] = msgspec.msgpack.decode(blob)
        if state["version"] != VERSION or tuple(state["features"]) != self._features:
            raise ModelError("the online model's snapshot has another version or other features; start anew")
        self._begin()
        self._rows = int(state["rows"])
        self._regression.intercept = state["intercept"]
        self._regression.optimizer.n_iterations = self._rows
        for feature, (count, mean, variance) in zip(self._features, state["scaled"], strict=False):
            self._scaler.counts[feature] = count
            self._scaler.means[feature] = mean
            self._scaler.vars[feature] = variance
        for feature, weight in zip(self._features, state["weights"], strict=False):
            self._regression._weights[feature] = weight  # its public `weights` is a copy

    def _begin(self) -> None:
        from river import linear_model, optim, preprocessing

        self._scaler: Any = preprocessing.StandardScaler()
        self._regression: Any = linear_model.LogisticRegression(optimizer=optim.SGD(LEARNING_RATE))

    def _named(self, values: Floats) -> dict[str, float]:
        return dict(zip(self._features, values.tolist(), strict=True))

    def _held(self, named: dict[str, float]) -> dict[str, float]:
        if self._rows < SETTLED_ROWS:
            return named
        means, variances = self._scaler.means, self._scaler.vars
        held = {}
        for name, value in named.items():
            reach = MAX_DEVIATIONS * variances[name] ** 0.5
            held[name] = min(max(value, means[name] - reach), means[name] + reach)
        return held

    def _scaled(self, named: dict[str, float]) -> dict[str, float]:
        scaled: dict[str, float] = self._scaler.transform_one(named)
        return {name: min(max(value, -MAX_DEVIATIONS), MAX_DEVIATIONS) for name, value in scaled.items()}
