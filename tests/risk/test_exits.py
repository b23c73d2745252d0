"""Exits: when positions leave, that they always can, and that leaving never doubles."""

from __future__ import annotations

from typing import Any

import pytest
from desk import ALPHA, BRAVO, CHARLIE, DAY, Desk, S, denial, intents, only_intent, parameters

from kitepilot.events import (
    AccountMarked,
    ApprovedIntent,
    OrderStatus,
    Purpose,
    Side,
    StateChanged,
    TradingState,
    Verdict,
)
from kitepilot.market.calendar import ist_ns


def holding(side: Side = Side.BUY, price: int = 0, **limits: Any) -> Desk:
    """Holds 59 ALPHA bought (or sold) around 1000 rupees."""
    desk = Desk(parameters(**limits))
    desk.mark(alpha=100_000, bravo=50_000, charlie=20_000)
    intent = only_intent(desk.signal(side))
    desk.complete(intent, price or 100_000)
    return desk


@pytest.mark.parametrize(("last", "leaves"), [(99_505, False), (99_500, True)])
def test_a_long_is_stopped_at_its_stop(last: int, leaves: bool) -> None:
    desk = holding()
    assert bool(intents(desk.mark(alpha=last))) is leaves


@pytest.mark.parametrize(("last", "leaves"), [(100_795, False), (100_800, True)])
def test_a_long_takes_its_profit(last: int, leaves: bool) -> None:
    desk = holding()
    assert bool(intents(desk.mark(alpha=last))) is leaves


def test_a_short_is_stopped_above_and_takes_profit_below() -> None:
    assert only_intent(holding(Side.SELL).mark(alpha=100_500)).side is Side.BUY
    assert only_intent(holding(Side.SELL).mark(alpha=99_200)).side is Side.BUY


def test_a_position_leaves_at_its_horizon() -> None:
    desk = holding()
    assert not intents(desk.mark(299, alpha=100_000))
    leave = only_intent(desk.mark(1, alpha=100_000))
    assert (leave.purpose, leave.side, leave.quantity) == (Purpose.EXIT, Side.SELL, 59)


def test_only_the_strategy_that_holds_may_ask_to_leave() -> None:
    desk = holding()
    assert desk.signal(None, strategy="other") == []
    assert desk.signal(None, token=BRAVO) == []
    assert only_intent(desk.signal(None)).side is Side.SELL


def test_an_exit_on_its_way_is_not_doubled_even_when_its_outcome_is_unknown() -> None:
    desk = holding()
    leave = only_intent(desk.signal(None))
    assert not intents(desk.mark(alpha=100_000))
    desk.update(leave, OrderStatus.UNKNOWN)
    assert not intents(desk.mark(20, alpha=100_000))


def test_an_exit_reported_filled_is_not_doubled_while_its_fills_are_on_the_way() -> None:
    desk = holding()
    leave = only_intent(desk.signal(None))
    desk.update(leave, OrderStatus.FILLED, leave.quantity)
    assert not intents(desk.mark(alpha=100_000))
    desk.fill(leave)
    assert desk.desk.holdings == {} and desk.desk.working == {}


def unfilled_exits(desk: Desk, first: ApprovedIntent, count: int) -> list[ApprovedIntent]:
    """`count` exits one after the other, none of which fills; quotes stay where they are."""
    sent, leave = [first], first
    while len(sent) < count:
        desk.update(leave, OrderStatus.CANCELLED)
        waited = intents(desk.mark(alpha=100_000))
        sent += waited
        leave = sent[-1]
    return sent


def test_an_exit_climbs_from_the_touch_to_protected_market_orders_up_to_the_band() -> None:
    desk = holding()
    sent = unfilled_exits(desk, only_intent(desk.signal(None)), 7)
    assert [(each.order_type, each.protection_bps) for each in sent] == [
        ("LIMIT", 0),
        ("MARKET", 20),
        ("MARKET", 40),
        ("MARKET", 80),
        ("MARKET", 160),
        ("MARKET", 200),
        ("MARKET", 200),
    ]
    assert [each.attempt for each in sent] == list(range(7))
    assert {each.validity for each in sent} == {"IOC"}
    assert sent[0].limit_price_paise == 99_995, "the touch itself"
    assert [each.limit_price_paise for each in sent[1:4]] == [99_800, 99_600, 99_200], "from the last price"


def test_an_exit_says_in_its_verdict_how_wide_it_goes() -> None:
    desk = holding()
    unfilled_exits(desk, only_intent(desk.signal(None)), 4)
    verdicts = [each for each in desk.out if isinstance(each, Verdict) and each.purpose is Purpose.EXIT]
    seen = [{check.code: (check.observed, check.limit) for check in each.checks} for each in verdicts]
    assert [each["market_protection"] for each in seen] == [(0, 200), (20, 200), (40, 200), (80, 200)]


@pytest.mark.parametrize("leaving", ["stop", "daily_loss", "flatten"])
def test_what_cannot_wait_begins_at_the_market(leaving: str) -> None:
    desk = holding(daily_loss_paise=60_000 if leaving == "daily_loss" else 10**9)
    out = desk.command("flatten") if leaving == "flatten" else desk.mark(alpha=99_200)
    first = only_intent(out)
    assert (first.order_type, first.protection_bps, first.attempt) == ("MARKET", 20, 0)


def test_a_fill_brings_the_ladder_back_to_the_touch() -> None:
    desk = holding()
    last = unfilled_exits(desk, only_intent(desk.signal(None)), 4)[-1]
    desk.fill(last, quantity=9)
    desk.update(last, OrderStatus.CANCELLED, 9)
    rest = only_intent(desk.mark(alpha=100_000))
    assert (rest.order_type, rest.attempt, rest.quantity) == ("LIMIT", 0, 50)


def test_an_exit_nobody_fills_calls_the_owner_once_then_sparsely_and_goes_on_by_turns() -> None:
    desk = holding()
    sent = unfilled_exits(desk, only_intent(desk.signal(None)), 30)
    calls = [each for each in desk.out if isinstance(each, StateChanged) and "without a fill" in each.reason]
    assert [each.reason.split(":")[1].split()[0] for each in calls] == ["6", "26"]
    assert desk.desk.trading is TradingState.ACTIVE, "other instruments trade on"
    turns = [(each.order_type, each.protection_bps) for each in sent[6:12]]
    assert turns == [("MARKET", 200), ("LIMIT", 0)] * 3


def test_retries_slow_down_when_nobody_trades() -> None:
    desk = holding()
    sent = intents(desk.signal(None))
    for _ in range(600):
        for leave in list(desk.desk.working.values()):
            desk.update(
                next(each for each in intents(desk.out) if each.intent_id == leave.intent_id),
                OrderStatus.CANCELLED,
            )
        sent += intents(desk.mark(alpha=100_000))
    assert 50 < len(sent) < 80


def test_a_partial_exit_leaves_the_rest_to_the_next_order() -> None:
    desk = holding()
    leave = only_intent(desk.signal(None))
    desk.fill(leave, quantity=20)
    assert not intents(desk.mark(alpha=100_000))  # 39 still working
    desk.update(leave, OrderStatus.CANCELLED, 20)
    assert only_intent(desk.mark(alpha=100_000)).quantity == 39


def test_a_fill_after_cancel_still_moves_the_position() -> None:
    desk = Desk()
    desk.mark(alpha=100_000)
    entry = only_intent(desk.signal())
    desk.update(entry, OrderStatus.CANCELLED)
    desk.fill(entry, quantity=10, price=100_000)
    assert desk.desk.position(ALPHA).quantity == 10
    assert only_intent(desk.mark(alpha=99_000)).quantity == 10  # with the plan of its entry: the stop


def test_a_finished_order_is_not_revived_by_an_older_word() -> None:
    desk = holding()
    leave = only_intent(desk.signal(None))
    desk.update(leave, OrderStatus.CANCELLED, 20)
    desk.update(leave, OrderStatus.WORKING, 20)
    desk.fill(leave, quantity=20)
    assert desk.desk.working == {}
    assert only_intent(desk.mark(alpha=100_000)).quantity == 39


def test_what_a_cancelled_exit_did_not_take_leaves_while_its_fills_are_on_the_way() -> None:
    desk = holding()
    leave = only_intent(desk.signal(None))
    desk.update(leave, OrderStatus.CANCELLED, 20)
    rest = only_intent(desk.mark(alpha=100_000))
    assert rest.quantity == 39
    desk.complete(rest)
    desk.fill(leave, quantity=20)
    assert desk.desk.holdings == {} and desk.desk.working == {}


def test_a_late_entry_fill_that_turns_the_position_brings_its_own_plan() -> None:
    desk = Desk()
    desk.mark(alpha=100_000)
    short = only_intent(desk.signal(Side.SELL, strategy="other", horizon_s=30))
    desk.update(short, OrderStatus.CANCELLED)
    long = only_intent(desk.signal(Side.BUY, horizon_s=900))
    desk.fill(long, quantity=10)
    desk.update(long, OrderStatus.CANCELLED, 10)
    desk.fill(short, quantity=30)
    assert desk.desk.position(ALPHA).quantity == -20
    leave = only_intent(desk.mark(30, alpha=100_000))
    assert (leave.strategy, leave.side, leave.quantity) == ("other", Side.BUY, 20)


def test_a_late_exit_fill_that_turns_the_position_is_left_at_once() -> None:
    desk = holding()
    first = only_intent(desk.signal(None))
    desk.update(first, OrderStatus.CANCELLED)
    second = only_intent(desk.mark(alpha=100_000))
    desk.complete(second)
    desk.fill(first, quantity=5)
    assert desk.desk.position(ALPHA).quantity == -5
    back = only_intent(desk.mark(alpha=100_000))
    assert (back.side, back.quantity) == (Side.BUY, 5)


def test_everything_leaves_from_the_square_off_and_again_each_second_until_flat() -> None:
    desk = Desk(at=ist_ns(DAY, "14:44") - S)
    desk.mark(alpha=100_000, charlie=20_000)
    desk.enter(ALPHA, horizon_s=9999)
    desk.enter(CHARLIE, horizon_s=9999)
    desk.now = ist_ns(DAY, "15:00") - 2 * S
    assert not intents(desk.mark(alpha=100_000, charlie=20_000))
    first = intents(desk.mark())
    assert {each.token for each in first} == {ALPHA, CHARLIE}
    assert {each.purpose for each in first} == {Purpose.SQUARE_OFF}
    desk.complete(first[0])
    desk.update(first[1], OrderStatus.CANCELLED)
    again = only_intent(desk.mark())
    assert again.token == first[1].token
    desk.complete(again)
    assert desk.desk.holdings == {}


def test_past_the_time_to_be_flat_the_whole_band_is_offered_at_once() -> None:
    desk = Desk(at=ist_ns(DAY, "14:44"))
    desk.mark(alpha=100_000)
    desk.enter(ALPHA, horizon_s=9999)
    desk.now = ist_ns(DAY, "15:05") - S
    leave = only_intent(desk.mark(alpha=100_000))
    assert (leave.order_type, leave.protection_bps) == ("MARKET", 200)
    assert leave.limit_price_paise == 98_000


def test_a_position_past_its_continuous_close_halts_and_calls_once() -> None:
    desk = Desk(at=ist_ns(DAY, "14:44"))
    desk.mark(alpha=100_000)
    desk.enter(ALPHA, horizon_s=9999)
    desk.now = ist_ns(DAY, "15:15") - S
    out = desk.mark(alpha=100_000)
    assert not intents(out)
    changed = [event for event in out if isinstance(event, StateChanged)]
    assert [event.state for event in changed] == [TradingState.HALTED] and "ALPHA" in changed[0].reason
    assert not [event for event in desk.mark() if isinstance(event, StateChanged)]


def test_a_flatten_sends_every_exit_at_once_whatever_the_rate_of_entries() -> None:
    desk = Desk(parameters(orders_per_second=2))
    desk.mark(alpha=100_000, bravo=50_000, charlie=20_000)
    desk.enter(ALPHA)
    desk.enter(BRAVO)
    desk.mark(alpha=100_000)
    desk.enter(CHARLIE)
    desk.mark()
    assert {leave.token for leave in intents(desk.command("flatten"))} == {ALPHA, BRAVO, CHARLIE}
    assert not intents(desk.mark()), "each is on its way: nothing is asked for twice"


def test_exits_of_this_second_count_against_entries() -> None:
    desk = Desk(parameters(orders_per_second=2))
    desk.mark(alpha=100_000, bravo=50_000, charlie=20_000)
    desk.enter(ALPHA)
    desk.enter(BRAVO)
    desk.mark(alpha=100_000)
    for leave in intents(desk.command("flatten")):
        desk.complete(leave)
    desk.command("resume")
    assert denial(desk.signal(token=CHARLIE)) == "orders_per_second"


def test_exits_go_out_when_halted_with_a_dead_feed_and_a_stale_quote() -> None:
    desk = holding(orders_per_day=1)
    desk.command("halt")
    desk.feed("down")
    assert only_intent(desk.mark(400)).quantity == 59


def test_flatten_leaves_everything_without_waiting_for_the_clock() -> None:
    desk = holding()
    leave = only_intent(desk.command("flatten"))
    assert leave.purpose is Purpose.SQUARE_OFF
    assert desk.desk.trading is TradingState.REDUCING
    desk.complete(leave)
    desk.command("resume")
    assert desk.desk.trading is TradingState.ACTIVE and not desk.desk.leaving


def test_after_the_end_of_day_there_is_no_way_back() -> None:
    desk = holding()
    desk.complete(only_intent(desk.command("end_of_day")))
    desk.command("resume")
    assert desk.desk.trading is TradingState.REDUCING


def test_flatten_does_not_loosen_a_halt() -> None:
    desk = holding()
    desk.command("halt")
    desk.command("flatten")
    desk.command("reduce")
    assert desk.desk.trading is TradingState.HALTED


def test_a_command_counts_once_and_an_unknown_one_leaves_a_note() -> None:
    desk = holding()
    assert desk.command("halt", command_id="x") and desk.command("resume", command_id="x") == []
    (said,) = desk.command("dance")
    assert isinstance(said, StateChanged) and "dance" in said.reason and said.state is said.previous


def test_the_loss_cap_counts_charges_and_one_exits_protection_and_then_reduces_and_squares_off() -> None:
    charges = 6_233  # both legs of 59 shares, as the desk's own figure at that price
    protection = 11_682  # 20 bps of 59 x 990.00
    closing = 59 * 1_000 + charges + protection
    calm = holding(daily_loss_paise=closing + 1)
    calm.mark(alpha=99_000)
    assert calm.desk.trading is TradingState.ACTIVE
    desk = holding(daily_loss_paise=closing)
    out = desk.mark(alpha=99_000)
    assert desk.desk.trading is TradingState.REDUCING
    assert only_intent(out).purpose is Purpose.SQUARE_OFF
    desk.command("resume")
    assert desk.desk.trading is TradingState.REDUCING


def test_the_loss_cap_counts_what_was_lost_already() -> None:
    desk = holding(daily_loss_paise=100_000)
    stopped = only_intent(desk.mark(alpha=99_000))  # 59_000 paise down
    desk.complete(stopped, price=98_000)  # and 118_000 when it is out
    assert desk.desk.holdings == {} and desk.desk.trading is TradingState.ACTIVE
    desk.mark(alpha=98_000)
    assert desk.desk.trading is TradingState.REDUCING and desk.desk.leaving == "daily_loss"


def test_brokerage_is_capped_once_for_all_fills_of_an_order() -> None:
    desk = Desk(parameters(notional_paise=9_900_000))
    desk.mark(alpha=100_000)
    entry = only_intent(desk.signal())
    desk.fill(entry, quantity=40, price=100_000)
    assert desk.desk.ledger.brokerage == 1_200
    desk.fill(entry, quantity=58, price=100_000)
    assert desk.desk.ledger.brokerage == 2_000


def test_the_account_is_marked_each_second_in_paise() -> None:
    desk = holding()
    marked = desk.mark(alpha=100_100)[-1]
    assert isinstance(marked, AccountMarked)
    assert (marked.realised_paise, marked.unrealised_paise) == (0, 5_900)
    assert (marked.open_positions, marked.gross_exposure_paise) == (1, 59 * 100_100)
    assert (marked.orders, marked.fills, marked.working_orders) == (1, 1, 0)
    assert marked.charges_paise == 2486


def test_a_fill_nobody_remembers_still_counts_and_leaves_at_once() -> None:
    desk = Desk()
    desk.mark(alpha=100_000)
    entry = only_intent(desk.signal())
    desk.desk.working.clear()
    desk.fill(entry)
    assert desk.desk.strangers == 1
    assert only_intent(desk.mark(alpha=100_000)).quantity == entry.quantity
