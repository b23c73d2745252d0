"""XGBoost trees trained on earlier days, one thread, the same bits every time."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from kitepilot.models.artifact import require_width
from kitepilot.models.port import Floats, ModelCard, ModelError


class XgBoostModel:
    """A frozen booster. It computes in float32: features are rounded to that, scores have its precision."""

    def __init__(self, booster: Any, card: ModelCard) -> None:
        self._booster = booster
        self._card = card

    @classmethod
    def from_artifact(cls, artifact: bytes, card: ModelCard) -> Self:
        """`artifact` is XGBoost's model as JSON (UTF-8).

        Raises:
            ModelError: XGBoost cannot read the bytes, or the model wants other columns.
        """
        import xgboost

        if not artifact.lstrip().startswith(b"{"):
            raise ModelError(f"model {card.model_id} is not an XGBoost model: it is not JSON")
        booster = xgboost.Booster({"nthread": 1})
        try:
            booster.load_model(bytearray(artifact))
        except (xgboost.core.XGBoostError, ValueError) as err:
            said = str(err).strip().splitlines()
            raise ModelError(f"model {card.model_id} is not an XGBoost model: {_reason(said)}") from err
        booster.set_param({"nthread": 1})
        require_width(booster.num_features(), card)
        return cls(booster, card)

    @property
    def model_id(self) -> str:
        return self._card.model_id

    def score(self, x: Floats) -> Floats:
        found = self._booster.inplace_predict(x.astype(np.float32), validate_features=False)
        return np.asarray(found, dtype=np.float64)


def _reason(said: list[str]) -> str:
    """XGBoost's errors carry a stack of its own below the sentence."""
    told = [line for line in said if line.strip() and not line.lstrip().startswith(("Stack", "["))]
    return (told or said or ["no reason given"])[0].strip()
