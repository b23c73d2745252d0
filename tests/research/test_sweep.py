"""A sweep tries every set, says which failed, and does not let the best of many pass for a result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from bar_days import WIDE
from hypothesis import given
from hypothesis import strategies as st

from kitepilot.strategies.ma_cross import MaCross
from kitepilot.strategies.over_session import SessionView, SessionWishes
from kitepilot.strategies.vwap_reversion import VwapReversion
from research.bar_engine.backtest import backtest
from research.bar_engine.plan import BarPlan
from research.generated_bars import GeneratedBars, weekdays
from research.sweep.compiled_desk import NotModelledError
from research.sweep.grid import GridError, axes, sets
from research.sweep.optuna_search import optimise
from research.sweep.page import heat, sweep_html
from research.sweep.search import FIGURES, NET, TRADES, Searched, Trial, search
from research.sweep.verdict import judge

GRID = axes(["fast=3:9:3", "slow=6,20"])
BARS = GeneratedBars(instruments=4, sessions=weekdays(date(2026, 3, 9), 9), seed=5, missing=0.02)
PLAN = BarPlan(make_strategies=dict, profile=WIDE.profile(), capital_paise=10**9)


def swept() -> Searched:
    return search(PLAN, BARS, MaCross, sets(GRID))


def invented(seed: int, count: int, sessions: int, edge: float = 0.0) -> Searched:
    """Trials whose results were drawn; the first has the edge."""
    rng = np.random.default_rng(seed)
    trials = []
    for number in range(count):
        figures = np.ones((sessions, len(FIGURES)), dtype=np.int64)
        figures[:, NET] = (rng.normal(edge if number == 0 else 0.0, 1.0, sessions) * 10_000).astype(np.int64)
        trials.append(Trial({"fast": float(number)}, figures, 10**8))
    return Searched(list(weekdays(date(2025, 1, 1), sessions)), trials)


def test_every_set_is_tried_and_one_that_cannot_be_is_a_line_while_the_others_go_on() -> None:
    found = swept()
    failed = {tuple(trial.parameters.values()): trial.failed for trial in found.trials if trial.failed}
    assert set(failed) == {(6.0, 6.0), (9.0, 6.0)}
    assert "fast: 9 is not below slow 6" in failed[9.0, 6.0]
    assert all(trial.total(TRADES) for trial in found.trials if not trial.failed)
    assert len(found.sessions) == len(BARS.sessions)


def test_a_strategy_that_raises_in_one_session_fails_its_set_alone() -> None:
    class Fragile(MaCross):
        def __init__(self, parameters: Mapping[str, float]) -> None:
            super().__init__(parameters)
            self._fragile = parameters["slow"] == 20

        def over_session(self, view: SessionView) -> SessionWishes:
            if self._fragile and view.last_paise[0, 0] % 3 == 0:
                raise ZeroDivisionError("no volume")
            return super().over_session(view)

    found = search(PLAN, BARS, Fragile, [{"fast": 3, "slow": 20}, {"fast": 3, "slow": 21}])
    assert "ZeroDivisionError: no volume" in found.trials[0].failed
    assert not found.trials[1].failed


def test_the_best_set_is_worth_the_same_in_the_exact_engine() -> None:
    best = judge(swept()).best
    assert best is not None
    exact = backtest(
        replace(PLAN, make_strategies=lambda: {"best": MaCross(best.parameters)}), BARS, name="best"
    )
    assert (exact.net_paise, len(exact.trades)) == (best.total(NET), best.total(TRADES))


def test_a_set_alone_comes_to_what_it_comes_to_among_others() -> None:
    among = {tuple(trial.parameters.values()): trial for trial in swept().trials}
    (alone,) = search(PLAN, BARS, MaCross, [{"fast": 3, "slow": 20}]).trials
    np.testing.assert_array_equal(alone.figures, among[3.0, 20.0].figures)


def test_a_strategy_without_a_twin_is_refused_with_what_to_do() -> None:
    with pytest.raises(NotModelledError, match="VwapReversion has no twin"):
        search(PLAN, BARS, VwapReversion, [{}])


def test_optuna_proposes_the_same_sets_for_the_same_seed_and_counts_each_once() -> None:
    def tried(chosen: object) -> Searched:
        return search(PLAN, BARS, MaCross, chosen)  # type: ignore[arg-type]

    first, again = (optimise(GRID, 24, tried, seed=3) for _ in range(2))
    assert [trial.parameters for trial in first.trials] == [trial.parameters for trial in again.trials]
    named = [tuple(trial.parameters.values()) for trial in first.trials]
    assert len(named) == len(set(named)) <= len(sets(GRID))


def test_the_best_of_forty_useless_sets_is_not_convincing() -> None:
    said = [" ".join(judge(invented(seed, 40, 120)).sentences) for seed in range(10)]
    assert all("The best of 40 is not a result." in text for text in said)
    assert sum("not convincing" in text for text in said) >= 9


def test_a_real_edge_among_useless_sets_convinces() -> None:
    verdict = judge(invented(1, 40, 250, edge=0.5))
    assert verdict.best is not None
    assert verdict.best.parameters == {"fast": 0.0}
    assert "; convincing." in " ".join(verdict.sentences)


def test_the_page_needs_nothing_from_elsewhere_and_is_the_same_for_the_same_search() -> None:
    found = swept()
    pages = {sweep_html("ma_cross", GRID, found, judge(found), ["assumed"]) for _ in range(2)}
    (page,) = pages
    assert "The best of 4 is not a result." in page
    assert "Sets that failed: 2" in page
    assert "src=" not in page
    assert "<link" not in page
    cells = heat(found.trials, *GRID)
    assert np.isnan(cells).tolist() == [[False, False], [True, False], [True, False]]


@given(low=st.integers(-50, 50), step=st.integers(1, 9), count=st.integers(1, 30), tenths=st.booleans())
def test_a_range_has_both_its_ends(low: int, step: int, count: int, tenths: bool) -> None:
    scale = 10 if tenths else 1
    numbers = [(low + step * place) / scale for place in range(count)]
    (found,) = axes([f"x={numbers[0]}:{numbers[-1]}:{step / scale}"])
    assert found.values == tuple(numbers)


@pytest.mark.parametrize(
    "text", ["fast", "fast=", "fast=a:b:c", "fast=1:5", "fast=5:1:1", "fast=1:5:0", "=1,2", "fast=1:1e9:0.1"]
)
def test_a_grid_that_cannot_be_read_shows_how_one_is_written(text: str) -> None:
    with pytest.raises(GridError, match="NAME=LOW:HIGH:STEP"):
        axes([text])
