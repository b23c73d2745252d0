"""LightGBM over rows read session by session: in memory are the bins, one byte a value."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from kitepilot.models.card import NanPolicy
from kitepilot.models.lightgbm_model import LightGbmModel
from kitepilot.models.port import OfflineModel
from research.trainers.port import Fitted, Material, Parameters
from research.walkforward.rows import Part, RowStore

BINNING: Parameters = {
    "max_bin": 127,
    "bin_construct_sample_cnt": 100_000,
    "data_random_seed": 1,
    "feature_pre_filter": False,
    "num_threads": 1,
    "verbosity": -1,
}
FIXED: Parameters = {"objective": "binary", "deterministic": True, "force_row_wise": True, "bagging_freq": 1}

DEFAULTS: Parameters = {
    "trees": 160,
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "lambda_l2": 5.0,
}


class LightGbmTrainer:
    """Gradient-boosted trees, leaf by leaf; NaN goes to the side that fits better."""

    kind = "lightgbm"
    nan: NanPolicy = "native"
    model: type[OfflineModel] = LightGbmModel
    libraries: tuple[str, ...] = ("lightgbm", "numpy")
    fixed_features = False
    defaults = DEFAULTS

    def space(self, trial: Any) -> Parameters:
        return {
            "trees": trial.suggest_int("trees", 40, 320, step=40),
            "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.15, log=True),
            "num_leaves": trial.suggest_int("num_leaves", 4, 63, log=True),
            "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 50, 2_000, log=True),
            "feature_fraction": trial.suggest_float("feature_fraction", 0.3, 1.0),
            "bagging_fraction": trial.suggest_float("bagging_fraction", 0.4, 1.0),
            "lambda_l2": trial.suggest_float("lambda_l2", 0.1, 100.0, log=True),
        }

    def prepare(self, material: Material) -> Any:
        import lightgbm

        rows, names = material
        columns = np.array([rows.store.manifest.features.index(name) for name in names])
        return lightgbm.Dataset(
            [_sequence(rows.store, part, columns) for part in rows.parts],
            label=rows.floats("y"),
            weight=rows.floats("weight"),
            feature_name=list(names),
            params=BINNING,
        ).construct()

    def fit(self, prepared: Any, parameters: Parameters, seed: int) -> Fitted:
        import lightgbm

        given = {name: value for name, value in parameters.items() if name != "trees"}
        told = {**BINNING, **FIXED, **given, "seed": seed}
        booster = lightgbm.train(told, prepared, num_boost_round=int(parameters["trees"]))
        gain = booster.feature_importance("gain").tolist()
        text: str = booster.model_to_string()
        return Fitted(text.encode(), dict(zip(booster.feature_name(), gain, strict=True)))


def _sequence(store: RowStore, part: Part, columns: npt.NDArray[np.int64]) -> Any:
    """A part as LightGBM reads it, from the file: by row while it looks for bins, then in batches."""
    import lightgbm

    class PartSequence(lightgbm.Sequence):
        batch_size = 65_536

        def __init__(self) -> None:
            self._x = store.x(part.session)
            self._rows = np.arange(len(part.facts)) if part.rows is None else part.rows

        def __getitem__(self, index: Any) -> Any:
            return self._x[self._rows[index]][..., columns].astype(np.float64)

        def __len__(self) -> int:
            return len(self._rows)

    return PartSequence()
