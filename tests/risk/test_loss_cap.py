"""What the cap on the day's loss promises: the three figures, their order, and a day that ends within it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from desk import ALPHA, BRAVO, CHARLIE, DAY, Desk, intents, only_intent, parameters
from hypothesis import given, settings
from hypothesis import strategies as st
from test_histories import Exchange, histories

from kitepilot.events import ApprovedIntent, Carried, OrderStatus, Purpose, Side, TradingState, Verdict
from kitepilot.market.calendar import ist_ns
from kitepilot.orders.charges import ExecutedOrder, charges_for
from kitepilot.risk.exposure import (
    closing_loss_paise,
    entry_loss_paise,
    loss_paise,
    share,
    worst_case_loss_paise,
)
from kitepilot.risk.state import load, save

TOKENS = {"alpha": ALPHA, "bravo": BRAVO, "charlie": CHARLIE}
CAP = 400_000
PROTECTION = 20  # bps, of the desk's limits
WIDE = {"drawdown_paise": 10**9, "orders_per_second": 1_000, "orders_per_minute": 10_000}


def ready(**limits: Any) -> Desk:
    desk = Desk(parameters(**limits))
    desk.mark(alpha=100_000, bravo=50_000, charlie=20_000)
    return desk


def charged(*values: tuple[Side, int]) -> int:
    return charges_for((ExecutedOrder(side, 1, value) for side, value in values), DAY).total_paise


@given(histories)
@settings(max_examples=60, deadline=None)
def test_the_worst_case_is_never_below_leaving_now_nor_that_below_the_present_loss(
    history: list[tuple[str, int]],
) -> None:
    exchange = Exchange()
    for action, number in history:
        exchange.play(action, number)
        state = exchange.desk.desk
        assert loss_paise(state) <= closing_loss_paise(state) <= worst_case_loss_paise(state)


def test_a_position_is_counted_at_its_stop_and_one_protection_beyond() -> None:
    desk = ready()
    intent = only_intent(desk.signal(stop_bps=50))
    desk.complete(intent, 100_000)
    desk.mark(alpha=100_200)
    held, value = 59, 59 * 100_200
    at_stop = share(held * 100_000, 50) + share(value, PROTECTION)
    charges = charged((Side.BUY, held * 100_000), (Side.SELL, value))
    assert worst_case_loss_paise(desk.desk) == at_stop + charges
    assert loss_paise(desk.desk) == charges - held * 200


def test_a_position_past_its_stop_is_counted_where_it_is() -> None:
    desk = ready()
    desk.complete(only_intent(desk.signal(stop_bps=10)), 100_000)
    desk.mark(alpha=99_000)
    beyond = 59 * 1_000 + share(59 * 99_000, PROTECTION)
    assert worst_case_loss_paise(desk.desk) == beyond + charged(
        (Side.BUY, 5_900_000), (Side.SELL, 59 * 99_000)
    )


@pytest.mark.parametrize(("side", "price"), [(Side.BUY, 100_055), (Side.SELL, 99_950)])
def test_a_working_entry_is_counted_filled_at_its_limit_and_left_at_its_stop(side: Side, price: int) -> None:
    desk = ready()
    intent = only_intent(desk.signal(side, stop_bps=50))
    value = intent.quantity * price
    alone = entry_loss_paise(
        desk.desk, token=ALPHA, side=side, quantity=intent.quantity, limit_price_paise=price, stop_bps=50
    )
    assert worst_case_loss_paise(desk.desk) >= share(value, 50) + charged(
        (side, value), (side.opposite, value)
    )
    assert abs(worst_case_loss_paise(desk.desk) - alone) <= 50  # a short's dearer exit
    before = worst_case_loss_paise(desk.desk)
    desk.update(intent, OrderStatus.UNKNOWN)
    assert worst_case_loss_paise(desk.desk) == before  # unknown may still fill
    desk.update(intent, OrderStatus.REJECTED)
    assert worst_case_loss_paise(desk.desk) == 0


def test_an_entry_of_unknown_outcome_is_counted_at_the_mark_once_that_is_past_its_stop() -> None:
    desk = ready()
    desk.update(only_intent(desk.signal(stop_bps=10)), OrderStatus.UNKNOWN)
    desk.mark(alpha=98_000)
    assert worst_case_loss_paise(desk.desk) > 59 * (100_055 - 98_000)


def test_without_a_stop_the_bound_is_the_price_band() -> None:
    desk = ready()
    desk.complete(only_intent(desk.signal(stop_bps=0)), 100_000)
    desk.mark(alpha=100_000)
    charges = charged((Side.BUY, 5_900_000), (Side.SELL, 5_900_000))
    assert worst_case_loss_paise(desk.desk) == share(5_900_000, 200) + share(5_900_000, PROTECTION) + charges


def test_an_entry_may_reach_the_cap_with_its_worst_case_and_not_touch_it() -> None:
    desk = ready(daily_loss_paise=10**9)
    alone = worst_case_loss_paise(ready_with_entry(10**9).desk)
    assert desk.desk.trading is TradingState.ACTIVE
    for cap, approved in ((alone + 60, True), (alone - 60, False)):  # the order's own figure rounds up
        (verdict,) = [each for each in ready(daily_loss_paise=cap).signal() if isinstance(each, Verdict)]
        assert verdict.approved is approved, verdict.denial
        assert approved or verdict.denial == "daily_loss"


def ready_with_entry(cap: int) -> Desk:
    desk = ready(daily_loss_paise=cap)
    only_intent(desk.signal())
    return desk


def test_earlier_runs_of_a_live_day_count_from_the_first_second() -> None:
    used = Carried(
        realised_paise=-CAP + 50_000,
        bought_paise=10_000_000,
        sold_paise=10_000_000,
        brokerage=Decimal(4_000),
        orders=40,
        trades=20,
        trades_on={ALPHA: 20},
        streak=3,
        peak_paise=70_000,
    )
    started = msgspec.structs.replace(parameters(daily_loss_paise=CAP, orders_per_day=41), carried=used)
    desk = Desk(started)
    desk.mark(alpha=100_000, bravo=50_000)
    assert loss_paise(desk.desk) == CAP - 50_000 + charged((Side.BUY, 10_000_000), (Side.SELL, 10_000_000))
    assert (desk.desk.trades, desk.desk.trades_on, desk.desk.streak) == (20, {ALPHA: 20}, 3)
    (verdict,) = [each for each in desk.signal(stop_bps=200) if isinstance(each, Verdict)]
    assert verdict.denial in ("daily_loss", "trade_risk")
    assert desk.desk.rate.at(desk.now)[2] == 40


steps = st.lists(
    st.tuples(
        st.tuples(
            *[st.integers(-PROTECTION, PROTECTION // 4)] * 3
        ),  # each second, one protection at most, bps
        st.lists(
            st.tuples(st.sampled_from(sorted(TOKENS)), st.booleans()), max_size=2
        ),  # wishes: bad or good
        st.booleans(),  # whether entries fill in this second
    ),
    min_size=10,
    max_size=80,
)


@given(
    steps,
    st.sampled_from([0, 30, 150]),
    st.sampled_from(list(Side)),
    st.integers(0, 40),
    st.integers(1, 20_000),
)
@settings(max_examples=80, deadline=None)
def test_a_day_whose_prices_move_at_most_one_protection_a_second_ends_within_the_cap_and_one_such_move(
    walk: list[Any], stop_bps: int, wrong: Side, tightened_at: int, room: int
) -> None:
    """Exits fill at the worst price they allow, in the second they are sent; entries at their limits.

    At some second the owner lowers the cap to little more than leaving would cost: from there on no entry
    check helps. What was still entering when the cap tripped fills then, and leaves a second later, one more
    move away.
    """
    desk, cap = ready(daily_loss_paise=4 * CAP, **WIDE), 4 * CAP
    prices = {"alpha": 100_000.0, "bravo": 50_000.0, "charlie": 20_000.0}
    held = entering = 0  # paise: the most at any time, and what was still entering when the cap tripped
    for second, (moves, wishes, entries_fill) in enumerate(walk):
        for name, move in zip(prices, moves, strict=True):
            prices[name] *= 1 + move * wrong.sign / 10_000
        desk.mark(1, **{name: round(price / 5) * 5 for name, price in prices.items()})
        if desk.desk.leaving and not entering:
            entering = sum(each.quantity * each.limit_price_paise for each in entries_of(desk))
        fill(desk, entries=False)
        for name, bad in wishes:
            desk.signal(wrong if bad else wrong.opposite, TOKENS[name], stop_bps=stop_bps)
        fill(desk, entries=entries_fill or bool(desk.desk.leaving))
        held = max(held, sum(p.exposure_paise(desk.desk.mark(t)) for t, p in desk.desk.positions.items()))
        if second == tightened_at and not desk.desk.leaving:
            cap = max(closing_loss_paise(desk.desk), 0) + room
            desk.activate(2, daily_loss_paise=cap)
    desk.command("flatten")
    fill(desk, entries=True)
    while desk.desk.holdings:
        desk.mark()
        fill(desk, entries=True)
    ticks = 2 * 5 * sum(each.quantity for each in desk.permissions()[-3:])  # prices are whole ticks
    assert loss_paise(desk.desk) <= cap + share(held + entering, PROTECTION) + ticks


def fill(desk: Desk, *, entries: bool) -> None:
    """Every live exit at its own worst price, and entries if they may."""
    for intent in working(desk):
        if entries or intent.purpose is not Purpose.ENTRY:
            desk.complete(intent)


def entries_of(desk: Desk) -> list[ApprovedIntent]:
    return [each for each in working(desk) if each.purpose is Purpose.ENTRY]


def working(desk: Desk) -> list[ApprovedIntent]:
    return [each for each in intents(desk.out) if each.intent_id in desk.desk.working]


def test_the_loss_goes_on_after_the_decisions_are_restarted() -> None:
    desk = ready(daily_loss_paise=CAP)
    desk.enter()
    desk.mark(alpha=99_400)
    before = (loss_paise(desk.desk), desk.desk.peak_paise, desk.desk.streak, desk.desk.trades)
    desk.state = load(save(desk.desk))
    assert (loss_paise(desk.desk), desk.desk.peak_paise, desk.desk.streak, desk.desk.trades) == before


def test_entries_stop_long_before_the_last_second_of_a_losing_day() -> None:
    """The guard acts while the cap still holds what closing costs."""
    desk = ready(daily_loss_paise=CAP, **WIDE)
    desk.now = ist_ns(DAY, "10:00")
    desk.mark(alpha=100_000, bravo=50_000, charlie=20_000)
    for token in (ALPHA, BRAVO):
        desk.enter(token, stop_bps=0)
    price = 100_000
    while not desk.desk.leaving:
        price -= 100
        desk.mark(1, alpha=price, bravo=price // 2, charlie=price // 5)
    assert closing_loss_paise(desk.desk) >= CAP > loss_paise(desk.desk)
    fill(desk, entries=True)
    assert not desk.desk.holdings
    assert [each.purpose for each in desk.permissions()[-2:]] == [Purpose.SQUARE_OFF] * 2
