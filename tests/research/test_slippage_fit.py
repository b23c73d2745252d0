"""Own fills -> the fill model: a known one is found again, and what a day paid is read from its record."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_day
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepilot.events import ApprovedIntent, Filled, decode
from kitepilot.topics import BARS, INTENTS, SESSION
from research.fills.model import FillModelError, load_model
from research.slippage.fit import TooFewFillsError, fit
from research.slippage.fitted import CURRENT, keep
from research.slippage.observed import Observations, empty, observed, together
from research.venue import Pace

DAY_NS = 86_400_000_000_000


def orders(half: float, impact: float, noise: float, seed: int, count: int = 1_500) -> Observations:
    """Orders that paid by a known model, with noise that has no side."""
    rng = np.random.default_rng(seed)
    share = 10 ** rng.uniform(-4, -0.7, count)
    minute = 10 ** rng.uniform(8, 11, count)
    return Observations(
        at=1_775_000_000_000_000_000 + np.sort(rng.integers(0, 20 * DAY_NS, count)),
        sign=rng.choice(np.array([1, -1], dtype=np.int8), count),
        slippage_bps=half + impact * np.sqrt(share) + rng.normal(0, noise, count),
        share=share,
        value_paise=(share * minute).astype(np.int64),
        minute_paise=minute.astype(np.int64),
    )


@settings(max_examples=8)
@given(st.floats(0.5, 5), st.floats(5, 60), st.integers(0, 10**6))
def test_a_known_model_is_found_again_and_predicts_orders_it_has_not_seen(
    half: float, impact: float, seed: int
) -> None:
    quiet = fit(orders(half, impact, 0.05, seed))
    assert quiet.half_spread.value == pytest.approx(half, rel=0.05)
    assert quiet.impact.value == pytest.approx(impact, rel=0.05)
    assert quiet.error_share < 0.2
    assert quiet.cost_error < 0.05


def test_the_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    held = [0, 0]
    for seed in range(40):
        found = fit(orders(2.0, 20.0, 4.0, seed, count=300))
        held[0] += found.half_spread.low <= 2.0 <= found.half_spread.high
        held[1] += found.impact.low <= 20.0 <= found.impact.high
    assert min(held) >= 31, f"90 % intervals held {held} of 40"


def test_noise_is_told_as_an_error_and_not_hidden_in_the_parameters() -> None:
    found = fit(orders(1.0, 10.0, 20.0, 3))
    assert found.error_share > 0.5
    assert found.half_spread.high - found.half_spread.low > 0.5


def test_few_fills_fit_nothing() -> None:
    with pytest.raises(TooFewFillsError, match="0 orders"):
        fit(empty())


def test_a_fit_is_kept_by_its_hash_and_refused_once_it_was_touched(tmp_path: Path) -> None:
    found = fit(orders(2.0, 20.0, 1.0, 1))
    path = keep(found, tmp_path)
    assert load_model(path) == load_model(tmp_path / CURRENT) == found.model
    assert "own orders" in found.model.assumption
    assert keep(found, tmp_path) == path
    touched = json.loads(path.read_text())
    touched["model"]["impact_bps"] = 0.1
    path.write_text(json.dumps(touched))
    with pytest.raises(FillModelError, match="changed after"):
        load_model(path)
    path.write_text("[]")
    with pytest.raises(FillModelError, match="not a fill model"):
        load_model(path)


def test_a_fit_that_foretells_nothing_is_kept_but_no_backtest_takes_it(tmp_path: Path) -> None:
    lucky, unlucky = orders(6.0, 0.0, 0.5, 4), orders(0.0, 0.0, 0.5, 5)
    found = fit(together([lucky, replace(unlucky, at=unlucky.at + 20 * DAY_NS)]))
    assert not found.better
    path = keep(found, tmp_path)
    assert load_model(path) == found.model and not (tmp_path / CURRENT).exists()


def test_what_a_day_paid_is_read_from_its_record() -> None:
    kept, result = small_day.traded(Pace(exchange_ms=30.0, seed=3))
    topics = (INTENTS.name, SESSION.name, BARS.name)
    events = [decode(raw) for topic in topics for raw in kept.topics[topic]]
    found = observed(events)
    fills = [event for event in events if isinstance(event, Filled)]
    intents = {event.intent_id: event for event in events if isinstance(event, ApprovedIntent)}
    assert len(found) + found.skipped >= len({fill.intent_id for fill in fills}) > 0
    assert np.all((found.share > 0) & (found.share <= 1))
    if not found.skipped:
        paid = sum(
            fill.side.sign * (fill.price_paise - intents[fill.intent_id].decision_price_paise) * fill.quantity
            for fill in fills
        )
        decided = found.value_paise / (1 + found.sign * found.slippage_bps / 10_000)
        assert np.sum(decided * found.slippage_bps / 10_000) == pytest.approx(paid, abs=1)
    assert result.fills == len(fills)


def test_runs_are_put_together_in_order_of_time() -> None:
    one, other = orders(1, 10, 1, 1, count=30), orders(1, 10, 1, 2, count=30)
    both = together([one, other])
    assert len(both) == 60
    assert np.all(np.diff(both.at) >= 0)


def test_a_cost_is_never_negative_whatever_luck_the_orders_had() -> None:
    lucky = fit(orders(-3.0, 0.0, 1.0, 5))
    assert (lucky.half_spread.value, lucky.impact.value) == (0.0, 0.0)
    cheap_when_large = fit(orders(5.0, -8.0, 0.1, 6))
    assert cheap_when_large.impact.value == 0.0
    assert cheap_when_large.half_spread.value > 2.0
