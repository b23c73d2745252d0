"""Positions and their profit, in paise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepilot.events import Side
from kitepilot.orders.positions import FLAT, Position, apply_fill

trades = st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 500), st.integers(1, 500_000)), max_size=40)


def fold(history: list[tuple[Side, int, int]]) -> Position:
    position = FLAT
    for side, quantity, price in history:
        position = apply_fill(position, side, quantity, price)
    return position


@given(trades)
def test_when_flat_realised_profit_is_exactly_sold_minus_bought(history: list[tuple[Side, int, int]]) -> None:
    position = fold(history)
    if position.quantity:
        side = Side.SELL if position.quantity > 0 else Side.BUY
        position = apply_fill(position, side, abs(position.quantity), 12_345)
    assert position.realised_paise == position.sold_paise - position.bought_paise
    assert position.cost_paise == 0


@given(trades, st.integers(1, 500_000))
def test_realised_plus_unrealised_is_cash_plus_the_value_held(
    history: list[tuple[Side, int, int]], mark: int
) -> None:
    position = fold(history)
    cash = position.sold_paise - position.bought_paise
    assert position.realised_paise + position.unrealised_paise(mark) == cash + position.quantity * mark


@given(trades)
def test_quantity_is_what_was_bought_less_what_was_sold(history: list[tuple[Side, int, int]]) -> None:
    position = fold(history)
    assert position.quantity == position.bought_quantity - position.sold_quantity
    assert position.cost_paise >= 0
    assert position.flat == (position.cost_paise == 0)


def test_a_short_earns_when_the_price_falls() -> None:
    short = apply_fill(FLAT, Side.SELL, 100, 50_000)
    assert short.unrealised_paise(49_000) == 100_000
    assert short.exposure_paise(49_000) == 4_900_000
    covered = apply_fill(short, Side.BUY, 40, 49_000)
    assert (covered.realised_paise, covered.quantity, covered.cost_paise) == (40_000, -60, 3_000_000)


def test_a_fill_through_zero_turns_the_position() -> None:
    long = apply_fill(FLAT, Side.BUY, 10, 10_000)
    turned = apply_fill(long, Side.SELL, 25, 10_100)
    assert (turned.quantity, turned.cost_paise, turned.realised_paise) == (-15, 151_500, 1_000)


def test_a_partial_close_keeps_the_odd_paise_with_the_open_part() -> None:
    position = apply_fill(apply_fill(FLAT, Side.BUY, 1, 100), Side.BUY, 2, 101)
    part = apply_fill(position, Side.SELL, 1, 100)
    assert (part.realised_paise, part.cost_paise) == (0, 202)


@pytest.mark.parametrize(("quantity", "price"), [(0, 100), (-1, 100), (1, 0)])
def test_an_impossible_fill_is_refused(quantity: int, price: int) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        apply_fill(FLAT, Side.BUY, quantity, price)
