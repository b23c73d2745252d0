"""The offline model: LightGBM trees trained on earlier days, one thread, the same bits every time."""

from __future__ import annotations

import hashlib
from typing import Any, Self

import numpy as np

from kitepilot.models.port import Floats, ModelCard, ModelError


class LightGbmModel:
    """A frozen booster. About 2 ms for 300 rows; call it once per bar close, not per row."""

    def __init__(self, booster: Any, card: ModelCard) -> None:
        self._booster = booster
        self._card = card

    @classmethod
    def from_artifact(cls, artifact: bytes, card: ModelCard) -> Self:
        """`artifact` is LightGBM's model text (UTF-8).

        Raises:
            ModelError: the bytes are not those of the card, or LightGBM cannot read them.
        """
        import lightgbm

        found = hashlib.sha256(artifact).hexdigest()
        if found != card.artifact_sha256:
            raise ModelError(
                f"model {card.model_id}: the artifact's SHA-256 is {found[:16]}..., its card says "
                f"{card.artifact_sha256[:16]}...; remove both and run `kitepilot seed` again"
            )
        try:
            booster = lightgbm.Booster(model_str=artifact.decode())
        except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as err:
            raise ModelError(f"model {card.model_id} is not a LightGBM model: {err}") from err
        return cls(booster, card)

    @property
    def model_id(self) -> str:
        return self._card.model_id

    def score(self, x: Floats) -> Floats:
        scores = np.full(len(x), np.nan)
        ready = np.flatnonzero(np.isfinite(x).all(axis=1))
        if ready.size:
            scores[ready] = self._booster.predict(x[ready], num_threads=1)
        return scores
