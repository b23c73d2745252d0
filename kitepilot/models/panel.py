"""All offline models of a run and who is followed where: one live, perhaps a canary on its share, shadows.

    Panel.score(features) -> followed float64[n] for the blend, everybody's own scores, who failed

A shadow is scored beside the others and never followed. A canary is followed on its instruments, chosen by
their tokens, so that a restart and a replay choose the same ones. `activate` puts another model of the run in
the live one's place; all of them are loaded before the day, so it takes no time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from kitepilot.models.port import Booleans, Floats, Integers, Scorer

SHARES = 2**64


class Said(NamedTuple):
    """Scores float64[n] of one close. `own` by model id: live, canary; `beside`: shadows, not followed.

    `followed` takes each row from the model that is followed there. `failed`: (model id, what it raised).
    """

    followed: Floats
    own: dict[str, Floats]
    beside: dict[str, Floats]
    failed: list[tuple[str, str]]


def canary_rows(tokens: Integers, share: float) -> Booleans:
    """int64[n] -> bool[n]: instruments a canary trades, each by a hash of its token alone.

    >>> int(canary_rows(np.arange(1, 2001), 0.1).sum())
    192
    """
    drawn = [
        int.from_bytes(hashlib.sha256(f"canary {token}".encode()).digest()[:8]) for token in tokens.tolist()
    ]
    return np.array([each < share * SHARES for each in drawn], dtype=bool)


class Panel:
    """`live` is None for a run without an offline model; then nothing else is there either.

    `standby` models are loaded and not scored: the one before the live model, for a rollback. `stale` says of
    model ids why they are too old for the session.
    """

    def __init__(
        self,
        live: Scorer | None = None,
        canary: Scorer | None = None,
        shadows: Sequence[Scorer] = (),
        standby: Sequence[Scorer] = (),
        *,
        canary_share: float = 0.0,
        stale: Mapping[str, str] | None = None,
    ) -> None:
        self._canary = canary.model_id if canary else ""
        self._canary_share = canary_share
        self._canary_rows = np.zeros(0, dtype=bool)
        self._beside = [each.model_id for each in shadows]
        everybody = [*([live] if live else []), *([canary] if canary else []), *shadows, *standby]
        self._models = {each.model_id: each for each in everybody}
        self._live = live.model_id if live else ""
        self._identity = list(self._models)
        self._off: list[str] = []
        self._stale = dict(stale or {})

    def watch(self, tokens: Integers) -> None:
        """int64[n]: whose rows will be scored, in their order."""
        self._canary_rows = canary_rows(tokens, self._canary_share)

    def __bool__(self) -> bool:
        return bool(self._live)

    @property
    def live(self) -> str:
        """Id of the model that is followed, "" for none."""
        return self._live

    @property
    def stale(self) -> str:
        """Why the live model is too old, "" when it is not."""
        return self._stale.get(self._live, "")

    @property
    def identity(self) -> list[str]:
        """Ids of all models, as the run began with them."""
        return self._identity

    def score(self, features: Floats) -> Said:
        """One call per model and close. A canary or shadow that raises is off for the day; live may not."""
        followed = own_live = self._models[self._live].score(features)
        own, beside, failed = {self._live: own_live}, {}, list[tuple[str, str]]()
        for model_id in (self._canary, *self._beside):
            if model_id in ("", self._live, *self._off):
                continue
            scores, trouble = _tried(self._models[model_id], features)
            if scores is None:
                self._off.append(model_id)
                failed.append((model_id, trouble))
            elif model_id == self._canary:
                own[model_id] = scores
                followed = np.where(self._canary_rows, scores, own_live)
            else:
                beside[model_id] = scores
        return Said(followed, own, beside, failed)

    def followed_at(self, row: int) -> str:
        """Id of the model that is followed on a row."""
        if self._canary and self._canary not in self._off and self._canary_rows[row]:
            return self._canary
        return self._live

    def activate(self, model_id: str) -> str:
        """Follow another model of the run from the next close on; why not, "" when it is done."""
        if model_id == self._live:
            return f"{model_id} is followed already"
        if model_id not in self._models:
            there = ", ".join(self._models) or "none"
            return f"{model_id} is not among the models this run opened with: {there}"
        if model_id in self._off:
            return f"{model_id} failed earlier in the day"
        self._live = model_id
        return ""

    def snapshot(self) -> list[Any]:
        """Plain data: who is followed, who is off."""
        return [self._live, self._off]

    def restore(self, saved: list[Any]) -> None:
        self._live, self._off = saved[0], list(saved[1])


def _tried(model: Scorer, features: Floats) -> tuple[Floats | None, str]:
    try:
        scores = model.score(features)
    except Exception as err:  # a user's model: whatever it raises must not stop the day
        return None, f"{type(err).__name__}: {err}"
    if scores.shape != (len(features),):
        return None, f"scores of shape {scores.shape}, not {(len(features),)}"
    return scores, ""
