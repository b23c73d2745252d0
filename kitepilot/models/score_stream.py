"""A minute's rows -> scores, and what has become known of earlier ones: the models' part of the market flow.

Order within a close: labels that matured are counted and set aside to be learned, the weights of the blend
take the scores that matured, then the new rows are scored. So a score never knows anything that was not
known at its close, and the same closes give the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from kitepilot.models.blend import HALF_LIFE_CLOSES, OFFLINE_WEIGHT, BlendWeight, blend
from kitepilot.models.drift_watch import BLEND, Act, Drift, DriftWatch, Watched
from kitepilot.models.fitness import Fitness
from kitepilot.models.labels import LabelQueue, Lessons
from kitepilot.models.matured_scores import MaturedScores, ScoreQueue
from kitepilot.models.panel import Panel
from kitepilot.models.port import Floats, Integers, OnlineModel

FOLLOWED = "followed"  # what the offline models put into the blend: the live one's, the canary's on its share


class Settings(NamedTuple):
    """What the configuration says of scoring. `watched`: by offline model, features that may drift.

    `online_columns`: which columns of the rows the online model knows, in its order; None for all of them.
    """

    offline_weight: float = OFFLINE_WEIGHT
    half_life_closes: float = HALF_LIFE_CLOSES
    on_drift: Act = "tell"
    on_feature_drift: Act = "tell"
    watched: Mapping[str, Watched] = MappingProxyType({})
    online_columns: tuple[int, ...] | None = None


class Judgement(NamedTuple):
    """A new word about whether a score may open positions: fresh | stale | drifted."""

    model: str
    state: str
    why: str


class Scored(NamedTuple):
    """What one close gave: float64[n] by model id, shares in the blend, and what there is to tell.

    `beside` are the shadows' scores, which nobody follows; `failed` are (model id, what it raised).
    """

    scores: dict[str, Floats]
    weights: dict[str, float]
    told: list[Judgement]
    drifts: list[Drift]
    beside: dict[str, Floats]
    failed: list[tuple[str, str]]


class ScoreStream:
    """The models of one shard. Without any model a close gives nothing."""

    def __init__(self, panel: Panel, online: OnlineModel | None, settings: Settings) -> None:
        self._panel = panel
        self._online = online
        columns = settings.online_columns
        self._columns = slice(None) if columns is None else np.array(columns, dtype=np.int64)
        self._watched = settings.watched
        self._labels = LabelQueue()
        self._lessons = Lessons()
        self._said = ScoreQueue()
        self._weight = BlendWeight(settings.offline_weight, settings.half_life_closes)
        self._fitness = Fitness(panel.stale)
        self._drift = DriftWatch(settings.on_drift, settings.on_feature_drift, self._watched.get(panel.live))
        self.labels = self.labels_true = 0

    @property
    def model_ids(self) -> list[str]:
        """Of all models, as the day began with them."""
        return [*self._panel.identity, *([self._online.model_id] if self._online else [])]

    @property
    def live(self) -> str:
        """Id of the offline model that is followed, "" for none."""
        return self._panel.live

    def activate(self, model_id: str) -> str:
        """Follow another offline model from the next close on; why not, "" when it is done."""
        why_not = self._panel.activate(model_id)
        if not why_not:
            self._fitness.follow(self._panel.stale)
            self._drift.follow(self._watched.get(model_id))
        return why_not

    def behind(self, name: str, row: int) -> list[str]:
        """Ids of the models that a score of this name comes from on a row, whether or not they had one."""
        if name != BLEND:
            return [name]
        offline = [self._panel.followed_at(row)] if self._panel else []
        return [*offline, *([self._online.model_id] if self._online else [])]

    @property
    def online_state(self) -> bytes:
        """The online model's own snapshot; empty without one."""
        return self._online.snapshot() if self._online else b""

    def on_minute(self, close_at: int, features: Floats, last_paise: Integers) -> Scored:
        """float64[n, F] and int64[n] at a minute's close, which are copied where they are kept."""
        if not self.model_ids:
            return Scored({}, {}, [], [], {}, [])
        self._mature(close_at, features, last_paise)
        matured = self._said.mature(close_at, last_paise)
        told = self._judge(matured)
        drifts = self._drift.on_matured(_without(matured, FOLLOWED)) if matured else []
        found, followed = self._score(features)
        waiting = {**found.scores, **found.beside, FOLLOWED: followed}
        self._said.wait(close_at, waiting, last_paise)
        drifts += self._drift.on_rows(features, found.scores)
        return found._replace(told=told, drifts=drifts)

    def learn(self, rows: int | None = None) -> None:
        """The online model learns the next `rows` labelled rows, None for all that wait."""
        if self._online and self._lessons:
            self._online.learn(*self._lessons.take(len(self._lessons) if rows is None else rows))

    def _mature(self, close_at: int, features: Floats, last_paise: Integers) -> None:
        if not self._online:
            return
        matured = self._labels.on_close(close_at, features[:, self._columns], last_paise)
        self.learn()  # what a large shard could not learn within the minute
        if matured is not None:
            self._lessons.give(matured)
            self.labels += len(matured.y)
            self.labels_true += int(matured.y.sum())

    def _score(self, features: Floats) -> tuple[Scored, Floats]:
        """What is said of the rows, and what of it the offline models put into the blend."""
        scores: dict[str, Floats] = {}
        offline = online = np.full(len(features), np.nan)
        said = self._panel.score(features) if self._panel else None
        if self._online:
            scores[self._online.model_id] = online = self._online.score(features[:, self._columns])
        if said:
            offline = said.followed
            scores |= said.own
        share = self._weight.offline
        scores[BLEND] = blend(offline, online, share)
        beside, failed = (said.beside, said.failed) if said else ({}, [])
        return Scored(scores, self._shares(share), [], [], beside, failed), offline

    def _shares(self, share: float) -> dict[str, float]:
        """By model id; a model alone has everything."""
        if self._panel and self._online:
            return {self._panel.live: share, self._online.model_id: 1.0 - share}
        return {self._panel.live or self.model_ids[0]: 1.0}

    def _judge(self, matured: MaturedScores | None) -> list[Judgement]:
        if matured is not None and self._panel and self._online:
            both = [matured.scores[name] for name in (FOLLOWED, self._online.model_id)]
            self._weight.on_matured(both[0], both[1], matured.y)
        said = (matured.scores[BLEND], matured.y) if matured else (None, None)
        verdict = self._fitness.on_close(*said)
        return [Judgement(BLEND, *verdict)] if verdict else []

    def snapshot(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "labels": self._labels.snapshot(),
            "lessons": self._lessons.snapshot(),
            "said": self._said.snapshot(),
            "weight": self._weight.snapshot(),
            "fitness": self._fitness.snapshot(),
            "drift": self._drift.snapshot(),
            "panel": self._panel.snapshot(),
            "online": self.online_state,
            "seen": [self.labels, self.labels_true],
        }

    def restore(self, saved: dict[str, Any]) -> None:
        self._labels.restore(saved["labels"])
        self._lessons.restore(saved["lessons"])
        self._said.restore(saved["said"])
        self._weight.restore(saved["weight"])
        self._panel.restore(saved["panel"])
        self._fitness.follow(self._panel.stale)
        self._fitness.restore(saved["fitness"])
        self._drift.follow(self._watched.get(self._panel.live))
        self._drift.restore(saved["drift"])
        if self._online:
            self._online.restore(saved["online"])
        self.labels, self.labels_true = saved["seen"]


def _without(matured: MaturedScores, name: str) -> MaturedScores:
    return matured._replace(scores={key: said for key, said in matured.scores.items() if key != name})
