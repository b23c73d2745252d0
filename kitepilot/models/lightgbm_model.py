"""LightGBM trees trained on earlier days, one thread, the same bits every time."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from kitepilot.models.artifact import require_width
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
            ModelError: LightGBM cannot read the bytes, or the model wants other columns.
        """
        import lightgbm

        try:
            booster = lightgbm.Booster(model_str=artifact.decode())
        except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as err:
            raise ModelError(f"model {card.model_id} is not a LightGBM model: {err}") from err
        require_width(booster.num_feature(), card)
        return cls(booster, card)

    @property
    def model_id(self) -> str:
        return self._card.model_id

    def score(self, x: Floats) -> Floats:
        return np.asarray(self._booster.predict(x, num_threads=1), dtype=np.float64)
