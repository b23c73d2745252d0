"""RSI reversion enters when the index comes back, leaves at the middle, and its twin wishes the very same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepilot.events import Side
from kitepilot.strategies.over_session import SessionView, unlike
from kitepilot.strategies.rsi_reversion import RsiReversion
from research.strategy_check import check

NS = 1_000_000_000
OPEN = 1_795_146_300 * NS
NAMES = ("minutes_since_open", "rsi_14", "atr_14")


def session(rsi: np.ndarray, atr: float = 20.0, first_minute: int = 100) -> SessionView:
    m, n = rsi.shape
    minutes = np.repeat(np.arange(first_minute, first_minute + m, dtype=np.float64)[:, None], n, axis=1)
    return SessionView(
        close_at=OPEN + np.arange(1, m + 1, dtype=np.int64) * 60 * NS,
        tokens=np.arange(n, dtype=np.int64) * 256 + 1,
        tradingsymbols=tuple(f"KP{row}" for row in range(n)),
        names=NAMES,
        features=np.stack([minutes, rsi, np.full((m, n), atr)], axis=2),
        last_paise=np.full((m, n), 50_000),
    )


def wished(path: list[float], **changes: float) -> list[tuple[int, Side | None]]:
    strategy, view = RsiReversion(changes), session(np.array(path).reshape(-1, 1))
    return [(m, wish.side) for m in range(len(path)) for wish in strategy.on_close(view.at(m))]


def test_it_buys_on_the_way_back_and_leaves_at_the_middle() -> None:
    assert wished([40, 20, 18, 26, 40, 51, 60]) == [(3, Side.BUY), (5, None)]


def test_it_sells_what_rose_too_far_and_leaves_at_the_middle() -> None:
    assert wished([60, 80, 74, 60, 49]) == [(2, Side.SELL), (4, None)]


def test_while_one_wish_stands_the_same_is_not_asked_for_again() -> None:
    assert wished([20, 26, 20, 26, 20, 26]) == [(1, Side.BUY)]


def test_a_market_too_still_to_pay_its_costs_is_left_alone() -> None:
    assert wished([20, 26], min_atr_bps=21) == []


@pytest.mark.parametrize("gap", [[np.nan], [np.nan, np.nan]])
def test_a_missing_value_crosses_nothing(gap: list[float]) -> None:
    assert wished([20, *gap, 20, 26]) == [(2 + len(gap), Side.BUY)]


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), oversold=st.integers(5, 45), overbought=st.integers(55, 95))
def test_its_twin_wishes_exactly_what_it_wishes(seed: int, oversold: int, overbought: int) -> None:
    rng = np.random.default_rng(seed)
    rsi = np.clip(50 + np.cumsum(rng.normal(0, 8, (90, 5)), axis=0), 0, 100)
    rsi[rng.random(rsi.shape) < 0.05] = np.nan
    strategy = RsiReversion({"oversold": oversold, "overbought": overbought})
    assert unlike(strategy, session(rsi)) == ""


def test_it_keeps_the_rules_of_a_strategy() -> None:
    found = check(lambda: RsiReversion({"min_atr_bps": 0}), NAMES)
    assert found.problems == () and found.wishes > 0
