"""Matching as arithmetic: nothing from nothing, never worse than the limit, best price first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broker_adapter.sandbox.matching import Level, crosses, hit, protection_price, take, triggered

prices = st.integers(100, 10_000)
quantities = st.integers(1, 5_000)


@st.composite
def opposite_sides(draw):
    """(buy, levels best first, some of them empty)."""
    buy = draw(st.booleans())
    at = sorted(draw(st.sets(prices, max_size=5)), reverse=not buy)
    return buy, [Level(price, draw(st.integers(0, 3_000))) for price in at]


@given(opposite_sides(), prices, quantities)
def test_an_order_never_trades_beyond_its_limit_its_size_or_what_is_shown(side, limit, quantity):
    buy, levels = side
    matched = take(levels, buy, limit, quantity)
    shown = sum(level.quantity for level in levels if crosses(buy, limit, level.price_paise))
    assert matched.quantity == min(quantity, shown)
    assert all(crosses(buy, limit, execution.price_paise) for execution in matched.executions)
    before = sum(level.quantity for level in levels)
    assert sum(level.quantity for level in matched.left) == before - matched.quantity


@given(opposite_sides(), prices, quantities)
def test_the_best_price_is_taken_first(side, limit, quantity):
    buy, levels = side
    paid = [execution.price_paise for execution in take(levels, buy, limit, quantity).executions]
    assert paid == sorted(paid, reverse=not buy)


@given(opposite_sides(), prices, quantities, quantities)
def test_two_orders_one_after_the_other_get_what_one_of_their_size_would(side, limit, first, second):
    buy, levels = side
    one = take(levels, buy, limit, first)
    two = take(one.left, buy, limit, second)
    both = take(levels, buy, limit, first + second)
    assert one.quantity + two.quantity == both.quantity
    assert two.left == both.left


@given(opposite_sides(), prices, quantities)
def test_a_resting_order_trades_at_its_own_price(side, limit, quantity):
    buy, levels = side
    matched = hit(levels, buy, limit, quantity)
    assert matched.quantity == take(levels, buy, limit, quantity).quantity
    assert {execution.price_paise for execution in matched.executions} <= {limit}


@given(st.booleans(), st.integers(1_000, 10_000_000), st.integers(1, 1_000), st.sampled_from([1, 5, 10, 50]))
def test_a_protection_price_is_on_the_grid_and_inside_its_band(buy, last, bps, tick):
    price = protection_price(buy, last, bps, tick)
    assert price % tick == 0
    if buy:
        assert price * 10_000 <= last * (10_000 + bps)
    else:
        assert price * 10_000 >= last * (10_000 - bps)


def test_automatic_protection_follows_the_published_example():
    assert protection_price(True, 90_00, -1, 1) == 91_80


def test_a_stop_wakes_at_its_trigger_and_not_a_paisa_before():
    assert triggered(True, 500_00, 500_00) and not triggered(True, 500_00, 499_99)
    assert triggered(False, 500_00, 500_00) and not triggered(False, 500_00, 500_01)
