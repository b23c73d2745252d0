"""Models: what they may score, when a label is known, and that the same rows make the same bits."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepilot.models.blend import blend
from kitepilot.models.labels import COST_BPS, NS, LabelQueue, label
from kitepilot.models.loading import make_offline, make_online, read_card, write_card
from kitepilot.models.port import ModelCard, ModelError
from kitepilot.models.river_model import MIN_ROWS, RiverLogistic
from kitepilot.models.training import DayRows, Provenance, auc, train
from kitepilot.strategies.plugins import PluginError

FEATURES = ("lean", "noise", "drift")
MINUTE = 60 * NS


def day(date: str, seed: int, rows: int = 1_500) -> DayRows:
    """A day on which `lean` tells something about the label."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, len(FEATURES)))
    return DayRows(date, x, x[:, 0] + rng.normal(size=rows) > 0.5)


DAYS = [day("2026-11-17", 1), day("2026-11-18", 2), day("2026-11-19", 3)]
OF = Provenance("spec", "made for a test", FEATURES)


@pytest.fixture(scope="module")
def trained() -> tuple[bytes, ModelCard]:
    return train(DAYS, 1, 7, OF)


# --- labels ---------------------------------------------------------------------------------------------


@given(price=st.integers(100, 10_000_000))
def test_a_rise_must_pay_for_its_round_trip(price: int) -> None:
    then = np.array([price, price], dtype=np.int64)
    most = int(price * COST_BPS / 10_000)
    now = np.array([price + most, price + most + 1], dtype=np.int64)
    assert label(then, now).tolist() == [False, True]


def test_a_label_is_known_at_its_horizon_and_not_before() -> None:
    queue = LabelQueue()
    x = np.arange(4.0).reshape(2, 2)
    for minute in range(5):
        assert queue.on_close(minute * MINUTE, x + minute, np.array([10_000, 10_000])) is None
    matured = queue.on_close(5 * MINUTE, x + 5, np.array([10_012, 10_011]))
    assert matured is not None
    assert matured.close_at == 0
    assert matured.x.tolist() == x.tolist()
    assert matured.y.tolist() == [True, False]


def test_rows_that_warm_up_or_have_no_price_get_no_label() -> None:
    queue = LabelQueue()
    x = np.array([[1.0], [np.nan], [3.0], [4.0]])
    queue.on_close(0, x, np.array([100, 100, 0, 100]))
    matured = queue.on_close(5 * MINUTE, x, np.array([200, 200, 200, 200]))
    assert matured is not None
    assert matured.rows.tolist() == [0, 3]


def test_rows_whose_horizon_fell_into_a_gap_are_dropped_and_the_queue_stays_bounded() -> None:
    queue = LabelQueue()
    x, price = np.ones((1, 1)), np.array([100])
    queue.on_close(0, x, price)
    assert queue.on_close(6 * MINUTE, x, price) is None
    for minute in range(7, 400):
        queue.on_close(minute * MINUTE, x, price)
        assert len(queue) <= 6


def test_a_label_queue_goes_on_after_a_restart() -> None:
    first, again = LabelQueue(), LabelQueue()
    x, price = np.array([[1.0, 2.0]]), np.array([100])
    first.on_close(0, x, price)
    again.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.snapshot())))
    matured = again.on_close(5 * MINUTE, x, np.array([200]))
    assert matured is not None
    assert matured.x.tolist() == [[1.0, 2.0]]


# --- offline ----------------------------------------------------------------------------------------------


def test_the_same_rows_and_seed_train_the_same_bytes(trained: tuple[bytes, ModelCard]) -> None:
    artifact, card = train(DAYS, 1, 7, OF)
    assert artifact == trained[0]
    assert card == trained[1]
    assert train(DAYS, 1, 8, OF)[0] != artifact


def test_the_last_day_only_validates(trained: tuple[bytes, ModelCard]) -> None:
    later = DayRows("2026-11-19", DAYS[2].x, ~DAYS[2].y)
    artifact, card = train([*DAYS[:2], later], 1, 7, OF)
    assert artifact == trained[0]
    assert card.metrics["validation_auc"] < 0.5 < trained[1].metrics["validation_auc"]
    assert card.validation_dates == ("2026-11-19",)


def test_a_row_that_warms_up_gets_no_score(trained: tuple[bytes, ModelCard]) -> None:
    model = make_offline("lightgbm", *trained, FEATURES)
    scores = model.score(np.array([[2.0, 0.0, 0.0], [np.nan, 0.0, 0.0], [-2.0, 0.0, 0.0]]))
    assert np.isnan(scores[1])
    assert 0.0 < scores[2] < 0.5 < scores[0] < 1.0


def test_an_artifact_that_is_not_its_cards_is_refused(trained: tuple[bytes, ModelCard]) -> None:
    artifact, card = trained
    with pytest.raises(ModelError, match="SHA-256"):
        make_offline("lightgbm", artifact + b"\n", card, FEATURES)
    with pytest.raises(ModelError, match=r"trained on other features .* there is no lean"):
        make_offline("lightgbm", artifact, card, ("noise", "drift"))
    with pytest.raises(ModelError, match="not a model card"):
        read_card(b"{}", "card.json")


def test_a_card_survives_its_file(trained: tuple[bytes, ModelCard]) -> None:
    card = trained[1]
    assert read_card(write_card(card), "here") == card
    assert json.loads(write_card(card))["model_id"] == f"lightgbm-{card.artifact_sha256[:8]}"


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (DAYS[:1], "cannot be split"),
        ([day("a", 1, rows=20), DAYS[1]], "too few"),
        ([DayRows("a", DAYS[0].x, np.zeros(1_500, dtype=bool)), DAYS[1]], "all labels are the same"),
    ],
)
def test_training_says_what_it_is_missing(days: list[DayRows], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        train(days, 1, 7, OF)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40))
def test_auc_is_the_share_of_pairs_in_the_right_order(pairs: list[tuple[bool, int]]) -> None:
    y, scores = np.array([a for a, _ in pairs]), np.array([float(b) for _, b in pairs])
    won = [(a > b) + (a == b) / 2 for a in scores[y] for b in scores[~y]]
    assert auc(y, scores) == pytest.approx(np.mean(won) if won else np.nan, nan_ok=True)


# --- online -----------------------------------------------------------------------------------------------


def test_the_online_model_has_no_opinion_before_it_has_seen_enough() -> None:
    model = RiverLogistic(FEATURES)
    x, y = DAYS[0].x, DAYS[0].y
    model.learn(x[: MIN_ROWS - 1], y[: MIN_ROWS - 1])
    assert np.isnan(model.score(x)).all()
    model.learn(x[MIN_ROWS - 1 : MIN_ROWS], y[MIN_ROWS - 1 : MIN_ROWS])
    assert np.isfinite(model.score(x)).all()


def test_the_online_model_learns() -> None:
    model = RiverLogistic(FEATURES)
    for one in DAYS[:2]:
        model.learn(one.x, one.y)
    assert auc(DAYS[2].y, model.score(DAYS[2].x)) > 0.7


@pytest.mark.parametrize("rows", [0, 1, 400])
def test_an_online_model_goes_on_after_a_restart_bit_for_bit(rows: int) -> None:
    first, again = RiverLogistic(FEATURES), RiverLogistic(FEATURES)
    x, y = DAYS[0].x, DAYS[0].y
    first.learn(x[:rows], y[:rows])
    again.restore(first.snapshot())
    assert again.snapshot() == first.snapshot()
    for model in (first, again):
        model.learn(x[rows : rows + 500], y[rows : rows + 500])
    assert again.snapshot() == first.snapshot()
    assert again.score(x).tobytes() == first.score(x).tobytes()


def test_a_snapshot_of_other_features_is_refused() -> None:
    with pytest.raises(ModelError, match="other features"):
        RiverLogistic(("else",)).restore(RiverLogistic(FEATURES).snapshot())


def test_one_absurd_value_does_not_spoil_the_online_model() -> None:
    jumped = RiverLogistic(FEATURES)
    jumped.learn(DAYS[0].x, DAYS[0].y)
    jumped.learn(np.array([[1e6, 0.0, 0.0]]), np.array([False]))
    jumped.learn(DAYS[1].x, DAYS[1].y)
    assert auc(DAYS[2].y, jumped.score(DAYS[2].x)) > 0.7


# --- both -------------------------------------------------------------------------------------------------


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_blend_lies_between_its_parts(offline: float, online: float, weight: float) -> None:
    mixed = blend(np.array([offline]), np.array([online]), weight)[0]
    assert min(offline, online) - 1e-12 <= mixed <= max(offline, online) + 1e-12


def test_a_missing_score_leaves_the_other() -> None:
    nan = np.nan
    mixed = blend(np.array([0.2, nan, nan]), np.array([nan, 0.4, nan]))
    np.testing.assert_array_equal(mixed, [0.2, 0.4, nan])


def test_an_unknown_model_names_the_nearest() -> None:
    with pytest.raises(PluginError, match="river_logistic"):
        make_online("river_logistik", FEATURES)
    with pytest.raises(PluginError, match="does not learn"):
        make_online("lightgbm", FEATURES)
