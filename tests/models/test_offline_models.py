"""Frozen models of every kind: the right columns, the stated NaN policy, one line for a file that is none."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from kitepilot.models.calibration import calibrated
from kitepilot.models.card import Calibration, FeatureReference, FoldRecord, identity
from kitepilot.models.lightgbm_model import LightGbmModel
from kitepilot.models.loading import read_card, write_card
from kitepilot.models.onnx_model import OnnxModel
from kitepilot.models.port import Floats, ModelCard, ModelError, OfflineModel
from kitepilot.models.scoring import CardScorer, scorer_of
from kitepilot.models.xgboost_model import XgBoostModel

FEATURES = ("lean", "noise", "drift")
WEIGHTS = np.array([[1.5], [-0.5], [0.25]], dtype=np.float32)
ROWS = np.random.default_rng(3).normal(size=(300, 3))
Y = (ROWS[:, 0] + np.random.default_rng(4).normal(size=300) > 0).astype(np.int8)


def card_of(artifact: bytes, kind: str = "onnx", **changes: Any) -> ModelCard:
    digest = hashlib.sha256(artifact).hexdigest()
    told: dict[str, Any] = {
        **{"model_id": identity(kind, digest), "kind": kind, "artifact_sha256": digest, "spec_hash": "s"},
        **{"features": FEATURES, "label": "l", "horizon_s": 300, "cost_bps": 11.0, "data": "made here"},
        **{"train_dates": ("2026-11-17",), "validation_dates": (), "seed": 1, "rows_train": 300},
        **{"rows_validation": 0, "parameters": {}, "metrics": {}, "libraries": {}, **changes},
    }
    return ModelCard(**told)


def saved(nodes: list[Any], constants: dict[str, Any], **shapes: Any) -> bytes:
    """A graph from `x` to `p` (or to `outputs`)."""
    kind = shapes.get("kind", TensorProto.FLOAT)
    inputs = shapes.get("inputs", [helper.make_tensor_value_info("x", kind, shapes.get("x", ["rows", 3]))])
    outputs = shapes.get("outputs", [helper.make_tensor_value_info("p", kind, None)])
    initial = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, initial)
    opset = [helper.make_opsetid("", 17)]
    made: bytes = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    return made


def regression(dtype: Any = np.float32, **shapes: Any) -> bytes:
    """Logistic regression: [rows, 1]."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Sigmoid", ["z"], ["p"])]
    return saved(nodes, {"w": WEIGHTS.astype(dtype)}, **shapes)


def perceptron() -> bytes:
    """One hidden layer and a softmax over two classes: [rows, 2]."""
    rng = np.random.default_rng(5)
    constants = {"w": rng.normal(size=(3, 8)), "v": rng.normal(size=(8, 2))}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "v"], ["c"]),
        helper.make_node("Softmax", ["c"], ["p"], axis=-1),
    ]
    return saved(nodes, {name: value.astype(np.float32) for name, value in constants.items()})


def trees_lightgbm() -> bytes:
    import lightgbm

    parameters = {"objective": "binary", "num_threads": 1, "verbosity": -1, "min_data_in_leaf": 10}
    text: str = lightgbm.train(parameters, lightgbm.Dataset(ROWS, Y), 8).model_to_string()
    return text.encode()


def trees_xgboost() -> bytes:
    import xgboost

    parameters = {"objective": "binary:logistic", "nthread": 1, "max_depth": 3}
    return bytes(xgboost.train(parameters, xgboost.DMatrix(ROWS, Y), 8).save_raw("json"))


KINDS: dict[str, tuple[type[OfflineModel], bytes]] = {
    "lightgbm": (LightGbmModel, trees_lightgbm()),
    "xgboost": (XgBoostModel, trees_xgboost()),
    "onnx": (OnnxModel, perceptron()),
}


def scorer(kind: str, columns: tuple[str, ...] = FEATURES, **changes: Any) -> CardScorer:
    model, artifact = KINDS[kind]
    card = card_of(artifact, kind, **changes)
    return scorer_of(model, artifact, card, columns)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_rows_score_the_same_bits_alone_or_together(kind: str) -> None:
    """An instrument's score must not depend on which others are watched."""
    model = scorer(kind, precision="float32")
    together = model.score(ROWS)
    assert ((together >= 0) & (together <= 1)).all()
    assert model.score(ROWS).tobytes() == together.tobytes()
    if kind != "onnx":  # a matrix product may add in another order for another number of rows
        alone = np.concatenate([model.score(ROWS[row : row + 1]) for row in range(50)])
        assert alone.tobytes() == together[:50].tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_columns_are_chosen_by_their_names(kind: str) -> None:
    wide = ("new", "drift", "noise", "other", "lean")
    moved = np.full((len(ROWS), len(wide)), np.nan)
    for place, name in enumerate(FEATURES):
        moved[:, wide.index(name)] = ROWS[:, place]
    assert scorer(kind, wide).score(moved).tobytes() == scorer(kind).score(ROWS).tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_warming_row_is_scored_only_where_the_card_says_the_learner_takes_it(kind: str) -> None:
    x = ROWS[:4].copy()
    x[1, 0], x[2], x[3, 1] = np.nan, np.nan, np.inf
    refused = scorer(kind).score(x)
    assert np.isnan(refused).tolist() == [False, True, True, True]
    native = scorer(kind, nan="native").score(x)
    assert np.isnan(native).tolist() == [
        False,
        kind == "onnx",
        True,
        True,
    ]  # a NaN through a matrix stays NaN
    assert native[0] == refused[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_score_is_of_the_precision_its_card_states(kind: str) -> None:
    model = scorer(kind, precision="float32")
    assert model.score(ROWS).tobytes() == model.score(ROWS.astype(np.float32).astype(np.float64)).tobytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("junk", [b"", b"\x00\xff" * 50, b"tree\nversion=v4\n", b"{}", b"not a model"])
def test_a_model_file_that_is_not_one_is_one_clear_line(kind: str, junk: bytes) -> None:
    with pytest.raises(ModelError, match=r"\A.*is not a.*\Z"):
        KINDS[kind][0].from_artifact(junk, card_of(junk, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_a_card_with_other_columns_than_the_artifact_is_refused(kind: str) -> None:
    model, artifact = KINDS[kind]
    with pytest.raises(ModelError, match=r"reads 3 columns, but its card names 2|cannot be run"):
        model.from_artifact(artifact, card_of(artifact, kind, features=("lean", "noise")))
    with pytest.raises(ModelError, match="SHA-256"):
        scorer_of(model, artifact + b" ", card_of(artifact, kind), FEATURES)


# --- ONNX -------------------------------------------------------------------------------------------------


def load_onnx(artifact: bytes, **changes: Any) -> OnnxModel:
    return OnnxModel.from_artifact(artifact, card_of(artifact, **changes))


def test_a_graph_says_what_its_arithmetic_says() -> None:
    expected = 1.0 / (1.0 + np.exp(-(ROWS @ WEIGHTS.astype(np.float64))[:, 0]))
    np.testing.assert_allclose(load_onnx(regression()).score(ROWS), expected, atol=1e-6)
    double = regression(np.float64, kind=TensorProto.DOUBLE)
    np.testing.assert_allclose(load_onnx(double).score(ROWS), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("graph", "told"),
    [
        (regression(x=["rows", 4]), "reads 4 columns|not an ONNX model"),
        (regression(x=[1, 3]), "dynamic first axis"),
        (regression(x=["rows", 3, 1]), "dynamic first axis|not an ONNX model"),
        (saved([helper.make_node("MatMul", ["x", "w"], ["p"])], {"w": WEIGHTS}), "no probabilities"),
        (
            saved([helper.make_node("Softmax", ["x"], ["p"], axis=-1)], {}),
            "has shape .*64, 3.*; a probability is",
        ),
        (
            saved(
                [helper.make_node("Cast", ["x"], ["p"], to=TensorProto.INT64)],
                {},
                outputs=[helper.make_tensor_value_info("p", TensorProto.INT64, None)],
            ),
            "0 floating-point outputs",
        ),
    ],
)
def test_a_graph_of_another_shape_is_refused_with_its_reason(graph: bytes, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        load_onnx(graph)


def test_of_several_outputs_the_card_names_one() -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Sigmoid", ["z"], ["p"])]
    both = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("z", "p")]
    graph = saved(nodes, {"w": WEIGHTS}, outputs=both)
    with pytest.raises(ModelError, match="2 floating-point outputs"):
        load_onnx(graph)
    named = load_onnx(graph, parameters={"output": "p"})
    assert named.score(ROWS).tobytes() == load_onnx(regression()).score(ROWS).tobytes()


def test_a_graph_with_two_inputs_is_refused() -> None:
    two = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 3]) for name in ("x", "y")]
    graph = saved([helper.make_node("Add", ["x", "y"], ["p"])], {}, inputs=two)
    with pytest.raises(ModelError, match=r"2 inputs \(x, y\)"):
        load_onnx(graph)


def test_a_probability_that_is_none_is_no_score() -> None:
    """A learner gone wrong on one row leaves that row without a score, and the others with theirs."""

    class Wild:
        model_id = "wild"

        def score(self, x: Floats) -> Floats:
            return np.where(x[:, 0] > 0, x[:, 0], 0.5)

    told = CardScorer(Wild(), card_of(b""), FEATURES).score(np.array([[-1.0, 0, 0], [7.0, 0, 0]]))
    assert told[0] == 0.5
    assert np.isnan(told[1])


# --- calibration and card -----------------------------------------------------------------------------------

platts = st.builds(Calibration, method=st.just("platt"), slope=st.floats(0.01, 5), intercept=st.floats(-5, 5))
knots = st.lists(st.floats(0, 1), min_size=2, max_size=9, unique=True).map(lambda one: tuple(sorted(one)))
steps = knots.flatmap(
    lambda x: st.lists(st.floats(0, 1), min_size=len(x), max_size=len(x)).map(
        lambda y: Calibration(method="isotonic", scores=x, probabilities=tuple(sorted(y)))
    )
)


@settings(deadline=None)
@given(by=st.one_of(platts, steps, st.just(Calibration())), said=st.lists(st.floats(0, 1), min_size=1))
def test_calibration_keeps_the_order_of_scores_and_stays_a_probability(
    by: Calibration, said: list[float]
) -> None:
    found = calibrated(np.sort(np.array([*said])), by)
    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found) >= -1e-12).all()
    assert np.isnan(calibrated(np.array([np.nan]), by)).all()


def test_a_model_calibrated_otherwise_is_another_model() -> None:
    platt = Calibration(method="platt", slope=2.0)
    ids = {
        identity("lightgbm", "ab" * 32, one) for one in (Calibration(), platt, Calibration(method="isotonic"))
    }
    assert len(ids) == 3


def test_a_card_with_folds_survives_its_file() -> None:
    card = card_of(
        regression(),
        calibration=Calibration(method="isotonic", scores=(0.1, 0.9), probabilities=(0.2, 0.3), rows=9),
        folds=(FoldRecord(number=1, train_dates=("a",), test_dates=("b",), metrics={"auc": 0.5}),),
        reference={"lean": FeatureReference(edges=(0.0,), shares=(0.5, 0.5), missing=0.1)},
        threshold=0.31,
    )
    assert read_card(write_card(card), "here") == card


def test_a_card_of_before_the_walk_forward_is_still_read() -> None:
    old = msgspec.to_builtins(card_of(b"x"))
    for name in ("nan", "precision", "calibration", "threshold", "folds", "reference", "out_of_sample"):
        del old[name]
    card = read_card(msgspec.json.encode(old), "here")
    assert (card.nan, card.calibration.method, card.folds) == ("refuse", "none", ())
