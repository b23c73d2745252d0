"""The figures of a backtest hold for any outcome, and say NaN where the data says nothing."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from outcomes import curve_of, outcome_of, round_trip

from research.charge_rates import assumption, charged_as_on
from research.generated_bars import weekdays
from research.metrics import drawdown, measure, sharpe_ratio

DAYS = weekdays(date(2026, 9, 1), 4)
AMOUNTS = st.integers(min_value=-50_000_00, max_value=50_000_00)


@given(st.lists(st.tuples(st.sampled_from(DAYS), AMOUNTS), max_size=30))
def test_what_is_made_is_what_was_earned_less_what_it_cost(made: list[tuple[date, int]]) -> None:
    outcome = outcome_of(DAYS, [round_trip(day, gross) for day, gross in made])
    found = measure(outcome)
    assert found.net_paise == found.gross_paise - found.charges_paise == sum(g - 100 for _, g in made)
    assert found.sessions == 4 and found.trades == len(made)
    assert found.worst_session_paise <= found.net_paise / 4 <= found.best_session_paise
    assert found.drawdown_paise >= max(0, -found.net_paise)


def test_a_backtest_without_a_trade_has_no_win_rate_and_says_so() -> None:
    found = measure(outcome_of(DAYS, []))
    for figure in (found.win_rate, found.profit_factor, found.sharpe, found.expectancy_bps):
        assert math.isnan(figure)
    assert found.as_json()["win_rate"] is None
    assert found.drawdown_paise == found.drawdown_minutes == 0


@given(st.lists(AMOUNTS, min_size=2, max_size=60))
def test_the_deepest_fall_is_the_worst_of_all_pairs_of_points(levels: list[int]) -> None:
    deepest, _ = drawdown(curve_of(levels))
    path = [0, *levels]
    assert deepest == max(high - low for at, high in enumerate(path) for low in path[at:])


def test_a_curve_that_never_falls_has_no_drawdown() -> None:
    assert drawdown(curve_of([0, 5, 5, 9])) == (0, 0)
    assert drawdown(curve_of([-1, -2, 3, 2, 4])) == (2, 2)


def test_twice_the_stake_is_the_same_sharpe_ratio() -> None:
    returns = np.array([0.01, -0.02, 0.03, 0.005])
    assert sharpe_ratio(returns) == pytest.approx(sharpe_ratio(2 * returns))
    assert math.isnan(sharpe_ratio(np.full(5, 0.0)))


def test_old_sessions_are_charged_at_todays_rates_and_the_result_says_so() -> None:
    old, new = date(2016, 8, 1), date(2026, 4, 1)
    assert charged_as_on(new) == new
    assert charged_as_on(old).year == 2026
    assert "1 of 2 sessions" in assumption([old, new])
    assert assumption([new]) == ""
