"""A model that was trained elsewhere: it is not fitted, only calibrated and measured like the others.

Its own training must lie before the sessions it is measured on: nothing here can know.
"""

from __future__ import annotations

from typing import Any

from kitepilot.models.card import NanPolicy
from kitepilot.models.onnx_model import OnnxModel
from kitepilot.models.port import OfflineModel
from research.trainers.port import Fitted, Material, Parameters


class FrozenOnnx:
    """Every fit gives the same artifact; there is nothing to search."""

    kind = "onnx"
    nan: NanPolicy = "refuse"
    model: type[OfflineModel] = OnnxModel
    libraries: tuple[str, ...] = ("onnxruntime", "numpy")
    fixed_features = True

    def __init__(self, artifact: bytes) -> None:
        self._artifact = artifact
        self.defaults: Parameters = {}

    def space(self, trial: Any) -> Parameters:
        return {}

    def prepare(self, material: Material) -> Any:
        return None

    def fit(self, prepared: Any, parameters: Parameters, seed: int) -> Fitted:
        return Fitted(self._artifact, {})
