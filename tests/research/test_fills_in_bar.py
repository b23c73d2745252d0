"""Whatever an order asks of a bar, it gets no price the bar did not show and no share it did not trade."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from research.fills.in_bar import (
    arriving,
    locked,
    profit_price,
    reached,
    resting,
    stop_price,
    touch,
    worse_on_grid,
)

SIDES = st.sampled_from([1, -1])
TICKS = st.sampled_from([1, 5, 10, 50])


@st.composite
def bars(draw: st.DrawFn) -> tuple[int, int, int, int, int]:
    """(tick, reference, low, high, volume), the reference within the bar, all on the grid."""
    tick = draw(TICKS)
    low = draw(st.integers(1, 100_000))
    high = low + draw(st.integers(0, 200))
    reference = draw(st.integers(low, high))
    return tick, reference * tick, low * tick, high * tick, draw(st.integers(0, 10**7))


@given(
    bars(),
    SIDES,
    st.integers(1, 10**6),
    st.floats(0, 50),
    st.floats(0, 200),
    st.integers(1, 10_000),
    st.data(),
)
def test_a_fill_is_within_the_bar_within_the_limit_and_within_our_share_of_the_volume(
    bar: tuple[int, int, int, int, int],
    sign: int,
    quantity: int,
    half: float,
    impact: float,
    participation: int,
    data: st.DataObject,
) -> None:
    tick, reference, low, high, volume = bar
    limit = data.draw(st.one_of(st.just(0), st.integers(low // tick - 50, high // tick + 50))) * tick
    limit = max(limit, 0)
    taken = data.draw(st.integers(0, volume))
    price, shares = arriving(
        sign, quantity, limit, reference, low, high, tick, volume, taken, half, impact, participation
    )
    if not shares:
        assert price == 0
        return
    assert low <= price <= high
    assert 0 < shares <= quantity
    assert taken + shares <= volume * participation // 10_000
    assert sign * (price - reference) >= 0, "no order is given a better price than the reference"
    if limit:
        assert sign * (price - limit) <= 0


@given(bars(), SIDES, st.integers(1, 10**5), st.floats(0, 20), st.floats(0, 100))
def test_a_larger_order_never_pays_less(
    bar: tuple[int, int, int, int, int], sign: int, quantity: int, half: float, impact: float
) -> None:
    tick, reference, low, high, volume = bar
    small = arriving(sign, quantity, 0, reference, low, high, tick, volume, 0, half, impact, 10_000)
    large = arriving(sign, quantity * 2, 0, reference, low, high, tick, volume, 0, half, impact, 10_000)
    if small[1] and large[1]:
        assert sign * (large[0] - small[0]) >= 0


@given(bars(), SIDES, st.integers(1, 10**6), st.integers(0, 10_000), st.data())
def test_a_waiting_order_fills_at_its_limit_and_only_where_the_bar_traded(
    bar: tuple[int, int, int, int, int], sign: int, quantity: int, queue: int, data: st.DataObject
) -> None:
    tick, _, low, high, volume = bar
    limit = data.draw(st.integers(max(low // tick - 20, 1), high // tick + 20)) * tick
    price, shares = resting(sign, quantity, limit, low, high, volume, 0, 1_000, queue)
    extreme = low if sign > 0 else high
    if sign * (limit - extreme) < 0:
        assert shares == 0
    elif shares:
        assert low <= price <= high
        assert sign * (limit - price) >= 0
        assert shares <= volume // 10
        if limit == extreme:
            assert shares <= volume * queue // 100_000 + 1


@given(SIDES, st.integers(1, 10**4), st.integers(1_000, 10**6), st.integers(1, 5_000), TICKS)
def test_the_stop_and_profit_prices_are_the_first_at_which_the_risk_fold_leaves(
    sign: int, shares: int, paid: int, bps: int, tick: int
) -> None:
    cost, held = shares * paid, sign * shares

    def profit(price: int) -> int:
        return (held * price - sign * cost) * 10_000

    stop, target = stop_price(held, cost, bps, tick), profit_price(held, cost, bps, tick)
    assert profit(stop) <= -bps * cost < profit(stop + sign * tick)
    assert profit(target) >= bps * cost > profit(target - sign * tick)


def test_a_bar_that_opens_past_the_stop_triggers_at_its_open() -> None:
    assert reached(10, 1_000_00, 100, 100, 5, 98_00, 97_00, 98_50) == (98_00, 0)
    assert reached(10, 1_000_00, 100, 100, 5, 100_00, 97_00, 100_50) == (99_00, 0)
    assert reached(-10, 1_000_00, 100, 100, 5, 100_00, 98_00, 102_00) == (101_00, 99_00)


@given(st.integers(100, 10**6), st.floats(0, 50), TICKS)
def test_the_modelled_touch_is_on_the_grid_and_at_least_a_tick_wide(
    last: int, half: float, tick: int
) -> None:
    last = last // tick * tick or tick
    bid, ask = touch(last, half, tick)
    assert bid % tick == ask % tick == 0
    assert 0 < bid <= last <= ask
    assert ask - bid >= tick


def test_a_bar_of_one_price_at_the_band_is_locked_on_one_side() -> None:
    assert locked(100_00, 120_00, 120_00, 5) == 1
    assert locked(100_00, 95_00, 95_00, 5) == -1
    assert locked(100_00, 120_00, 119_00, 5) == 0
    assert locked(100_00, 103_00, 103_00, 5) == 0
    assert locked(0, 103_00, 103_00, 5) == 0


def test_a_price_on_the_grid_is_not_pushed_off_it() -> None:
    assert worse_on_grid(100_00, 0.0, 1, 5) == 100_00
    assert worse_on_grid(100_00, 0.0, -1, 5) == 100_00
    assert worse_on_grid(100_00, 1.0, 1, 5) == 100_05
    assert worse_on_grid(100_00, 1.0, -1, 5) == 99_95
