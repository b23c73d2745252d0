"""XGBoost over rows read session by session: in memory are the quantised values, about one byte each."""

from __future__ import annotations

from typing import Any

import numpy as np

from kitepilot.models.card import NanPolicy
from kitepilot.models.port import OfflineModel
from kitepilot.models.xgboost_model import XgBoostModel
from research.trainers.port import Fitted, Material, Parameters
from research.walkforward.rows import features_of_part

MAX_BIN = 128
FIXED: Parameters = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "max_bin": MAX_BIN,
    "nthread": 1,
    "verbosity": 0,
}

DEFAULTS: Parameters = {
    "trees": 160,
    "eta": 0.05,
    "max_depth": 4,
    "min_child_weight": 40.0,
    "colsample_bytree": 0.8,
    "subsample": 0.8,
    "lambda": 5.0,
}


class XgBoostTrainer:
    """Gradient-boosted trees, level by level; NaN goes to the side that fits better."""

    kind = "xgboost"
    nan: NanPolicy = "native"
    model: type[OfflineModel] = XgBoostModel
    libraries: tuple[str, ...] = ("xgboost-cpu", "numpy")
    fixed_features = False
    defaults = DEFAULTS

    def space(self, trial: Any) -> Parameters:
        return {
            "trees": trial.suggest_int("trees", 40, 320, step=40),
            "eta": trial.suggest_float("eta", 0.01, 0.15, log=True),
            "max_depth": trial.suggest_int("max_depth", 2, 7),
            "min_child_weight": trial.suggest_float("min_child_weight", 5.0, 400.0, log=True),
            "colsample_bytree": trial.suggest_float("colsample_bytree", 0.3, 1.0),
            "subsample": trial.suggest_float("subsample", 0.4, 1.0),
            "lambda": trial.suggest_float("lambda", 0.1, 100.0, log=True),
        }

    def prepare(self, material: Material) -> Any:
        import xgboost

        rows, names = material
        columns = np.array([rows.store.manifest.features.index(name) for name in names])

        class Parts(xgboost.DataIter):
            def __init__(self) -> None:
                self._left = iter(rows.parts)
                super().__init__()

            def next(self, input_data: Any) -> bool:
                part = next(self._left, None)
                if part is None:
                    return False
                x = features_of_part(rows.store, part, columns)
                input_data(
                    data=x,
                    label=part.facts["y"].astype(np.float32),
                    weight=part.facts["weight"].astype(np.float32),
                    feature_names=list(names),
                )
                return True

            def reset(self) -> None:
                self._left = iter(rows.parts)

        return xgboost.QuantileDMatrix(Parts(), max_bin=MAX_BIN, nthread=1)

    def fit(self, prepared: Any, parameters: Parameters, seed: int) -> Fitted:
        import xgboost

        given = {name: value for name, value in parameters.items() if name != "trees"}
        told = {**FIXED, **given, "seed": seed}
        booster = xgboost.train(told, prepared, num_boost_round=int(parameters["trees"]))
        gain = {
            name: float(np.sum(value))
            for name, value in booster.get_score(importance_type="total_gain").items()
        }
        return Fitted(bytes(booster.save_raw("json")), gain)
