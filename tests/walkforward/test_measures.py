"""Scores measured: as probabilities, as an order and as money, each held to a slow telling of the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepilot.models.calibration import calibrated
from kitepilot.models.port import ModelError
from research.walkforward.decision import MIN_ACTIONS, choose_threshold, fit_calibration
from research.walkforward.measures import (
    Scored,
    a_minute_later,
    acting,
    calibration_error,
    measured,
    net_interval,
    paid,
    reliability,
)

MINUTE = 60_000_000_000


def rows_of(score: np.ndarray, y: np.ndarray, net: np.ndarray | None = None, tokens: int = 4) -> Scored:
    count = len(score)
    at = (np.arange(count) // tokens) * MINUTE
    return Scored(
        score=score,
        y=y.astype(np.float64),
        outcome_bps=net if net is not None else (y * 2.0 - 1.0) * 10.0,
        decided_at=at,
        matured_at=at + 5 * MINUTE,
        token=np.arange(count) % tokens,
        session=np.arange(count) * 8 // max(1, count),
    )


@given(seed=st.integers(0, 10_000), threshold=st.floats(0, 1), count=st.integers(0, 200))
def test_no_token_is_bought_again_before_its_trade_has_matured(
    seed: int, threshold: float, count: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = rows_of(rng.random(count), rng.random(count) > 0.5)
    acts = acting(rows, threshold)
    assert (rows.score[acts] >= threshold).all()
    for token in range(4):
        mine = np.flatnonzero(acts & (rows.token == token))
        assert (rows.decided_at[mine[1:]] >= rows.matured_at[mine[:-1]]).all()
        passed = np.flatnonzero((rows.score >= threshold) & (rows.token == token) & ~acts)
        for row in passed:  # whoever was passed over was in a trade
            at = rows.decided_at[row]
            assert any(rows.decided_at[k] < at < rows.matured_at[k] for k in mine)


@given(seed=st.integers(0, 1_000), count=st.integers(1, 400))
def test_reliability_covers_every_row_once_and_its_gaps_are_the_calibration_error(
    seed: int, count: int
) -> None:
    rng = np.random.default_rng(seed)
    p, y = rng.random(count), (rng.random(count) > 0.5).astype(np.float64)
    bins = reliability(y, p)
    assert sum(b["rows"] for b in bins) == count
    assert sum(b["rows"] * b["true"] for b in bins) == pytest.approx(y.sum(), abs=1e-3)
    assert [b["said"] for b in bins] == sorted(b["said"] for b in bins)
    assert 0 <= calibration_error(y, p) <= 1


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_calibration_on_held_out_rows_mends_probabilities_on_fresh_ones(method: str) -> None:
    rng = np.random.default_rng(1)
    truth = rng.uniform(0.05, 0.6, 8_000)
    y = (rng.random(8_000) < truth).astype(np.float64)
    said = truth**2.5  # in the right order, far too shy
    held, fresh = slice(0, 4_000), slice(4_000, 8_000)
    by = fit_calibration(method, said[held], y[held], np.ones(4_000))  # type: ignore[arg-type]
    before, after = measured(rows_of(said[fresh], y[fresh])), measured(
        rows_of(calibrated(said[fresh], by), y[fresh])
    )  # fmt: skip
    assert before["ece"] > 0.12
    assert after["ece"] < 0.03
    assert after["brier"] < before["brier"]
    assert after["log_loss"] < before["log_loss"]


def test_scores_that_mislead_are_flattened_never_turned_over() -> None:
    rng = np.random.default_rng(2)
    said = rng.random(2_000)
    y = (rng.random(2_000) > said).astype(np.float64)
    for method in ("platt", "isotonic"):
        flat = calibrated(said, fit_calibration(method, said, y, np.ones(2_000)))  # type: ignore[arg-type]
        assert np.ptp(flat) < 0.02
        assert flat.mean() == pytest.approx(y.mean(), abs=0.01)


@pytest.mark.parametrize("y", [np.ones(50), np.zeros(50), np.zeros(0)])
def test_one_kind_of_label_is_nothing_to_calibrate_on(y: np.ndarray) -> None:
    with pytest.raises(ModelError, match=f"the {len(y)} held-out rows have one kind of label"):
        fit_calibration("platt", np.linspace(0, 1, len(y)), y, np.ones(len(y)))


@settings(max_examples=40)
@given(seed=st.integers(0, 1_000), shift=st.floats(-20, 20))
def test_a_threshold_is_chosen_only_where_it_earns_on_enough_trades(seed: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    score = rng.random(600)
    rows = rows_of(score, score > 0.5, rng.normal(shift, 5.0, 600) + (score - 0.5) * 30.0)
    chosen = choose_threshold(rows)
    if chosen is None:
        return
    acts = acting(rows, chosen)
    assert acts.sum() >= MIN_ACTIONS
    assert rows.outcome_bps[acts].sum() > 0
    assert paid(rows, acts)["net_bps"] == pytest.approx(rows.outcome_bps[acts].mean(), abs=1e-6)


def test_where_everything_loses_no_threshold_is_chosen() -> None:
    score = np.linspace(0, 1, 500)
    assert choose_threshold(rows_of(score, score > 0.5, np.full(500, -0.01))) is None


def test_the_interval_draws_whole_sessions() -> None:
    """Sessions that agree within and differ between each other leave the mean far less certain."""
    score, y = np.full(800, 0.9), np.ones(800)
    acts = np.ones(800, dtype=bool)
    alike = net_interval(rows_of(score, y, np.tile([8.0, -8.0], 400)), acts, 7)
    by_session = net_interval(rows_of(score, y, np.repeat([8.0, -8.0] * 4, 100)), acts, 7)
    assert alike["net_bps_high"] - alike["net_bps_low"] < 0.01
    assert by_session["net_bps_low"] < -3.0
    assert by_session["net_bps_high"] > 3.0
    assert net_interval(rows_of(score[:8], y[:8]), np.arange(8) < 3, 7) == {}


@given(seed=st.integers(0, 1_000), count=st.integers(0, 60))
def test_a_minute_later_is_the_same_tokens_next_row_and_no_other(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    whole = rows_of(np.full(count, 0.5), np.ones(count), rng.normal(size=count))
    rows = whole.take(np.flatnonzero(rng.random(count) < 0.8))
    outcomes = {
        (token, at): net for token, at, net in zip(rows.token, rows.decided_at, rows.outcome_bps, strict=True)
    }
    expected = [
        outcomes.get((token, at + MINUTE), np.nan)
        for token, at in zip(rows.token, rows.decided_at, strict=True)
    ]
    np.testing.assert_array_equal(a_minute_later(rows), expected)


def test_a_profit_that_lies_in_the_close_itself_is_gone_a_minute_later() -> None:
    """Prices that bounce: every buy at the low close earns, every one a minute after it loses."""
    net = np.repeat(np.tile([9.0, -11.0], 100), 4)
    rows = rows_of(np.repeat(np.tile([0.9, 0.1], 100), 4), net > 0, net)
    found = paid(rows, rows.score > 0.5)
    assert found["net_bps"] == 9.0
    assert found["net_bps_late"] == -11.0


def test_measures_that_cannot_be_taken_are_absent() -> None:
    assert measured(rows_of(np.zeros(0), np.zeros(0))) == {"rows": 0.0}
    assert "auc" not in measured(rows_of(np.full(9, 0.5), np.ones(9)))
    assert paid(rows_of(np.zeros(3), np.zeros(3)), np.zeros(3, dtype=bool)) == {"trades": 0.0}
