"""What a score costs: one row, 300 rows one by one and in one call, by kind of model; and what a close costs.

Models of a realistic size over 24 features, one thread. Baseline of the same run, interleaved: the same rows
one by one. The flow scores each close in one call. Least of all turns in microseconds, which a busy machine
disturbs least; the ratio is row by row to batch.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from kitepilot.kernels.shard import FEATURE_NAMES
from kitepilot.models.card import identity
from kitepilot.models.drift_watch import Watched
from kitepilot.models.lightgbm_model import LightGbmModel
from kitepilot.models.onnx_model import OnnxModel
from kitepilot.models.port import Booleans, Floats, ModelCard, OfflineModel, Scorer
from kitepilot.models.reference import references_of
from kitepilot.models.river_model import RiverLogistic
from kitepilot.models.score_stream import ScoreStream, Settings
from kitepilot.models.scoring import scorer_of
from kitepilot.models.xgboost_model import XgBoostModel

ROWS = 300
NAMES = FEATURE_NAMES[:24]
TREES, LEAVES, DEPTH, HIDDEN = 200, 31, 5, 64
MINUTE = 60 * 1_000_000_000
RNG = np.random.default_rng(7)
X = RNG.normal(size=(6_000, len(NAMES)))
Y = X[:, 0] + RNG.normal(size=len(X)) > 0.5


def card_of(kind: str, artifact: bytes) -> ModelCard:
    digest = hashlib.sha256(artifact).hexdigest()
    return ModelCard(
        model_id=identity(kind, digest), kind=kind, artifact_sha256=digest, spec_hash="", features=NAMES,
        label="", horizon_s=300, cost_bps=11.0, train_dates=("2026-11-17",), validation_dates=(),
        data="noise", seed=7,
        rows_train=len(X), rows_validation=0, parameters={}, metrics={}, libraries={}, precision="float32",
    )  # fmt: skip


def lightgbm_trees() -> bytes:
    import lightgbm

    told = {"objective": "binary", "num_leaves": LEAVES, "num_threads": 1, "verbosity": -1}
    text: str = lightgbm.train(told, lightgbm.Dataset(X, Y.astype(np.int8)), TREES).model_to_string()
    return text.encode()


def xgboost_trees() -> bytes:
    import xgboost

    told = {"objective": "binary:logistic", "max_depth": DEPTH, "nthread": 1}
    return bytes(xgboost.train(told, xgboost.DMatrix(X, Y.astype(np.int8)), TREES).save_raw("json"))


def onnx_network() -> bytes:
    """Two hidden layers, as an exported PyTorch model would have."""
    from onnx import TensorProto, helper, numpy_helper

    sizes = {"a": (len(NAMES), HIDDEN), "b": (HIDDEN, HIDDEN), "c": (HIDDEN, 1)}
    weights = {name: RNG.normal(size=shape).astype(np.float32) / 8 for name, shape in sizes.items()}
    steps = (("MatMul", "x a", "1"), ("Relu", "1", "2"), ("MatMul", "2 b", "3"), ("Relu", "3", "4"))
    steps += (("MatMul", "4 c", "5"), ("Sigmoid", "5", "p"))
    nodes = [helper.make_node(what, taken.split(), [given]) for what, taken, given in steps]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", len(NAMES)])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, ["rows", 1])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    made: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()
    return made


def offline(model: type[OfflineModel], kind: str, artifact: bytes) -> Scorer:
    return scorer_of(model, artifact, card_of(kind, artifact), NAMES)


def online() -> RiverLogistic:
    model = RiverLogistic(NAMES)
    model.learn(X[:600], Y[:600])
    return model


def interleaved(turns: int, **calls: Callable[[], object]) -> dict[str, float]:
    """Least microseconds of each call, taken in turns."""
    spent: dict[str, list[float]] = {name: [] for name in calls}
    gc.disable()
    for _ in range(turns):
        for name, call in calls.items():
            begun = time.perf_counter()
            call()
            spent[name].append(1e6 * (time.perf_counter() - begun))
    gc.enable()
    return {name: min(each) for name, each in spent.items()}


def scoring(model: Scorer, turns: int) -> dict[str, float]:
    rows = X[:ROWS]
    found = interleaved(
        turns,
        one=lambda: model.score(rows[:1]),
        by_row=lambda: [model.score(rows[row : row + 1]) for row in range(ROWS)],
        batch=lambda: model.score(rows),
    )
    return {
        "one_row_us": round(found["one"], 1),
        "300_rows_one_by_one_us": round(found["by_row"], 1),
        "300_rows_in_one_call_us": round(found["batch"], 1),
        "ratio": round(found["by_row"] / found["batch"], 1),
    }


class Said:
    """A model whose score is ready: what a close costs besides its models."""

    def __init__(self, model_id: str) -> None:
        self.model_id = model_id

    def score(self, x: Floats) -> Floats:
        return np.full(len(x), 0.4)

    def learn(self, x: Floats, y: Booleans) -> None:
        pass

    def snapshot(self) -> bytes:
        return b""

    def restore(self, blob: bytes) -> None:
        pass


def a_close(turns: int) -> dict[str, float]:
    """Labels, the blend's weights, judgement and drift of all features at a close, models left out."""
    days = [RNG.normal(size=(25 * 40, len(FEATURE_NAMES))) for _ in range(8)]
    watched = Watched("offline", references_of(FEATURE_NAMES, np.concatenate(days), days), FEATURE_NAMES)
    settings = Settings(watched=watched, online_columns=tuple(range(20)))
    watching = ScoreStream(Said("offline"), Said("online"), settings)
    rows = RNG.normal(size=(ROWS, len(FEATURE_NAMES)))
    last, minute = RNG.integers(10_000, 10_100, ROWS), iter(range(10**9))
    found = interleaved(
        turns * 10,
        close=lambda: watching.on_minute(next(minute) * MINUTE, rows, last),
        snapshot=watching.snapshot,
    )
    return {f"{name}_us": round(value, 1) for name, value in found.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    turns = 5 if parser.parse_args().quick else 25
    made: dict[str, Scorer] = {
        "lightgbm": offline(LightGbmModel, "lightgbm", lightgbm_trees()),
        "xgboost": offline(XgBoostModel, "xgboost", xgboost_trees()),
        "onnx": offline(OnnxModel, "onnx", onnx_network()),
        "river_logistic": online(),
    }
    result: dict[str, Any] = {name: scoring(model, turns) for name, model in made.items()}
    learner = online()
    learned = interleaved(turns, learn=lambda: learner.learn(X[:ROWS], Y[:ROWS]))
    result["river_logistic"]["learn_one_row_us"] = round(learned["learn"] / ROWS, 1)
    result["a close of 300 rows without its models"] = a_close(turns)
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
