"""The best of many is not a result: what deflation and cross-validation say of noise and of a real edge."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from research.sweep.deflation import deflated, expected_best, probabilistic, sharpe
from research.sweep.overfitting import overfit

YEAR = 250


def noise(seed: int, periods: int, trials: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 1.0, (periods, trials))


@pytest.mark.parametrize(
    ("trials", "skew", "kurtosis", "published"),
    [(100, -3.0, 10.0, 0.9004), (46, -3.0, 10.0, 0.9505), (88, 0.0, 3.0, 0.9505)],
)
def test_the_papers_own_example_comes_out(
    trials: int, skew: float, kurtosis: float, published: float
) -> None:
    """Bailey and Lopez de Prado 2014: Sharpe 2.5 a year over 1250 days, the trials' variance 1/2."""
    against = expected_best(trials, 0.5 / YEAR)
    assert probabilistic(2.5 / math.sqrt(YEAR), against, 1250, skew, kurtosis) == pytest.approx(
        published, abs=5e-4
    )


@given(
    found=st.floats(-0.3, 0.3),
    few=st.integers(2, 500),
    more=st.integers(2, 500),
    periods=st.integers(10, 2_000),
)
def test_more_trials_never_make_the_same_result_more_likely(
    found: float, few: int, more: int, periods: int
) -> None:
    few, more = sorted((few, more))
    of_few, of_more = (
        probabilistic(found, expected_best(trials, 0.01), periods, -0.5, 4.0) for trials in (few, more)
    )
    assert of_more <= of_few


def test_the_best_of_noise_is_seldom_called_a_result_and_looks_like_one_undeflated() -> None:
    best = [(noise(seed, 250, 60)) for seed in range(40)]
    found = [deflated(each, int(sharpe(each).argmax())) for each in best]
    undeflated = [probabilistic(each.sharpe, 0.0, each.periods, each.skew, each.kurtosis) for each in found]
    assert np.mean([each.probability > 0.95 for each in found]) <= 0.1
    assert np.mean([each > 0.95 for each in undeflated]) > 0.75  # 1 - 0.95**60 = 0.95 is to be expected


def test_a_planted_edge_is_told_from_the_noise_around_it() -> None:
    returns = noise(3, 500, 60)
    returns[:, 17] += 0.35
    assert int(sharpe(returns).argmax()) == 17
    assert deflated(returns, 17).probability > 0.95
    assert overfit(returns).probability < 0.05


def test_the_choice_among_noise_is_worth_nothing_out_of_sample() -> None:
    found = [overfit(noise(seed, 240, 40)).probability for seed in range(40)]
    assert 0.4 < float(np.mean(found)) < 0.6


def test_trials_that_never_trade_have_no_edge_and_break_nothing() -> None:
    returns = np.zeros((20, 5))
    assert deflated(returns, 0).sharpe == 0.0
    assert overfit(returns).probability == 1.0  # all alike: the best is never above the middle


@settings(max_examples=30)
@given(periods=st.integers(1, 40), trials=st.integers(1, 12), seed=st.integers(0, 1_000))
def test_whatever_the_size_there_is_a_probability_or_a_reason(periods: int, trials: int, seed: int) -> None:
    found = overfit(noise(seed, periods, trials))
    assert 0.0 <= found.probability <= 1.0 if not found.reason else math.isnan(found.probability)


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), periods=st.integers(8, 40), trials=st.integers(2, 9))
def test_sums_of_blocks_give_the_ranks_that_a_plain_reading_of_the_definition_gives(
    seed: int, periods: int, trials: int
) -> None:
    returns = noise(seed, periods, trials)
    found = overfit(returns, most_blocks=6)
    parts = np.array_split(returns, found.blocks)
    below = 0
    for chosen in combinations(range(found.blocks), found.blocks // 2):
        rest = [block for block in range(found.blocks) if block not in chosen]
        best = int(sharpe(np.concatenate([parts[block] for block in chosen])).argmax())
        unseen = sharpe(np.concatenate([parts[block] for block in rest]))
        below += int((unseen <= unseen[best]).sum() / (trials + 1) <= 0.5)
    assert found.probability == pytest.approx(below / found.splits)
