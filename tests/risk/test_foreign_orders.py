"""Orders placed by hand in Kite, or by the broker: they move our account and are never ours to touch."""

from __future__ import annotations

from collections import defaultdict

import pytest
from desk import ALPHA, BRAVO, DAY, RUN, Desk, intents, only_intent
from hypothesis import given, settings
from hypothesis import strategies as st
from test_histories import TOKENS, Exchange, step

from kitepilot.events import (
    Alarmed,
    Difference,
    Filled,
    ForeignFilled,
    OrderStatus,
    Reconciled,
    Side,
    StateChanged,
    TradingState,
    Verdict,
)
from kitepilot.orders.charges import ExecutedOrder, charges_for
from kitepilot.orders.positions import FLAT
from kitepilot.risk.foreign import WATCHDOG
from kitepilot.risk.refold import summary


def holding() -> Desk:
    """Long 59 ALPHA."""
    desk = Desk()
    desk.mark(alpha=100_000, bravo=50_000)
    desk.complete(only_intent(desk.signal()), 100_000)
    return desk


def denial(desk: Desk, token: int = ALPHA) -> str:
    (verdict, *_) = desk.signal(token=token)
    assert isinstance(verdict, Verdict)
    return verdict.denial


def test_a_sale_by_hand_closes_our_position_and_no_exit_follows() -> None:
    desk = holding()
    (note,) = desk.foreign_fill(Side.SELL, 59, 101_000)
    assert isinstance(note, StateChanged) and "closed 59 of our 59" in note.reason
    assert desk.desk.holdings == {} and desk.desk.realised_paise == 59_000
    assert not intents(desk.command("flatten")), "an exit now would open a short"
    assert desk.desk.owners_quantity(ALPHA) == 0


def test_a_part_sold_by_hand_leaves_the_rest_to_us() -> None:
    desk = holding()
    desk.foreign_fill(Side.SELL, 20)
    assert only_intent(desk.signal(None)).quantity == 39


def test_what_is_sold_by_hand_beyond_our_position_is_the_owners() -> None:
    desk = holding()
    desk.foreign_fill(Side.SELL, 100)
    assert (desk.desk.position(ALPHA).quantity, desk.desk.owners_quantity(ALPHA)) == (0, -41)
    assert not intents(desk.command("flatten")) and not intents(desk.mark(9_999, alpha=100_000))


def test_what_the_watchdog_sells_closes_our_shares_before_the_owners() -> None:
    desk = holding()
    desk.foreign_fill(Side.BUY, 30)
    (note,) = desk.foreign_fill(Side.SELL, 59, 101_000, order_id="w", placed_by=WATCHDOG)
    assert isinstance(note, StateChanged) and "the watchdog closed 59 of our 59" in note.reason
    assert (desk.desk.position(ALPHA).quantity, desk.desk.owners_quantity(ALPHA)) == (0, 30)
    assert desk.desk.holdings == {} and desk.desk.realised_paise == 59_000


def test_the_owner_closes_his_own_shares_before_ours() -> None:
    desk = holding()
    desk.foreign_fill(Side.BUY, 30)
    assert desk.desk.position(ALPHA).quantity == 59
    desk.foreign_fill(Side.SELL, 40)
    assert (desk.desk.position(ALPHA).quantity, desk.desk.owners_quantity(ALPHA)) == (49, 0)


def test_entries_wait_while_the_owner_has_an_order_or_shares_on_the_instrument() -> None:
    desk = Desk()
    desk.mark(alpha=100_000, bravo=50_000)
    desk.foreign_update()
    assert denial(desk) == "foreign_order" and denial(desk, BRAVO) == ""
    desk.foreign_fill(Side.SELL, 10)
    desk.foreign_update(status=OrderStatus.FILLED)
    assert denial(desk) == "foreign_position"
    desk.foreign_fill(Side.BUY, 10, order_id="again")
    assert denial(desk) == ""


def test_delivery_orders_of_the_owner_do_not_hold_us_up() -> None:
    desk = Desk()
    desk.mark(alpha=100_000)
    desk.foreign_update(product="CNC")
    assert denial(desk) == ""


def test_a_foreign_trade_told_twice_counts_once() -> None:
    desk = holding()
    desk.foreign_fill(Side.SELL, 20, trade_id="t1")
    assert desk.foreign_fill(Side.SELL, 20, trade_id="t1") == []
    assert desk.desk.position(ALPHA).quantity == 39


def test_the_brokers_square_off_of_our_position_is_billed_once() -> None:
    desk = holding()
    before = summary(desk.desk)
    desk.foreign_fill(Side.SELL, 30, by_broker=True, order_id="rms")
    desk.foreign_fill(Side.SELL, 29, by_broker=True, order_id="rms")
    ours = ExecutedOrder(Side.BUY, 59, 5_900_000)
    theirs = ExecutedOrder(Side.SELL, 59, 5_900_000, auto_square_off=True)
    assert summary(desk.desk).charges_paise == charges_for([ours, theirs], DAY).total_paise
    assert before.charges_paise == charges_for([ours], DAY).total_paise


def test_an_exit_that_crosses_with_a_sale_by_hand_is_bought_back() -> None:
    """Both filled: the short is the work of our order, so it is ours to close."""
    desk = holding()
    leave = only_intent(desk.signal(None))
    desk.foreign_fill(Side.SELL, 59)
    desk.complete(leave)
    assert desk.desk.position(ALPHA).quantity == -59
    back = only_intent(desk.mark(alpha=100_000))
    assert (back.side, back.quantity) == (Side.BUY, 59)


def test_an_unknown_entry_freezes_entries_on_its_instrument_and_no_exit() -> None:
    desk = Desk()
    desk.mark(alpha=100_000, bravo=50_000)
    entry = only_intent(desk.signal())
    desk.fill(entry, quantity=10, price=100_000)
    desk.update(entry, OrderStatus.UNKNOWN, 10)
    assert denial(desk) == "outcome_unknown" and denial(desk, BRAVO) == ""
    assert only_intent(desk.mark(alpha=99_000)).quantity == 10, (
        "the stop leaves with what is known to be held"
    )


@pytest.mark.parametrize(("halts", "after"), [(True, TradingState.HALTED), (False, TradingState.ACTIVE)])
def test_an_alarm_is_written_down_and_halts_when_it_says_so(halts: bool, after: TradingState) -> None:
    desk = holding()
    (said,) = desk.say(
        Alarmed(
            **desk.head("gateway.findings"), run_id=RUN, kind="order", subject="o1", detail="d", halts=halts
        )
    )
    assert isinstance(said, StateChanged) and said.state is desk.desk.trading is after
    assert only_intent(desk.signal(None)).quantity == 59, "exits go on"


def reconciled(desk: Desk, verdict: str, run_id: str = RUN) -> list[object]:
    found = Difference(rule="position_differs", subject="ALPHA", ours="59", theirs="9")
    said = Reconciled(
        **desk.head("gateway.findings"), run_id=run_id, occasion="minute", orders=1, trades=1, positions=1,
        differences=(found,), verdict=verdict,
    )  # fmt: skip
    return list(desk.say(said))


def test_a_reconciliation_that_fails_halts_until_the_owner_resumes_and_halts_again_if_it_stands() -> None:
    desk = holding()
    assert reconciled(desk, "healed") == [] and reconciled(desk, "halt", "another-run") == []
    (said,) = reconciled(desk, "halt")
    assert isinstance(said, StateChanged) and said.state is TradingState.HALTED
    assert "position_differs ALPHA: ours 59, broker 9" in said.reason
    assert reconciled(desk, "halt") == [], "nothing new"
    desk.command("resume")
    assert len(reconciled(desk, "halt")) == 1


class BusyHands(Exchange):
    """An exchange where somebody else trades the same account."""

    def _foreign(self, number: int) -> None:
        side = list(Side)[number % 2]
        self.desk.foreign_fill(
            side,
            1 + number // 2 % 90,
            50_000 + number % 500,
            token=TOKENS[number // 7 % 3],
            order_id=f"hand{number % 2}{number % 5}{TOKENS[number // 7 % 3]}",
            by_broker=number % 5 == 0,
        )


foreign_step = step | st.tuples(st.just("foreign"), st.integers(0, 2**16))


@given(st.lists(foreign_step, max_size=60))
@settings(max_examples=150, deadline=None)
def test_ours_and_the_owners_shares_are_what_the_broker_has_to_the_paisa(
    history: list[tuple[str, int]],
) -> None:
    exchange = BusyHands()
    desk = exchange.desk
    for action, number in history:
        before = len(desk.out)
        exchange.play(action, number)
        for intent in intents(desk.out[before:]):
            ours = desk.desk.position(intent.token).quantity
            if intent.purpose != "entry":
                assert intent.quantity <= abs(ours) and intent.side.sign * ours < 0
            else:
                assert desk.desk.owners_quantity(intent.token) == 0
    net: dict[int, int] = defaultdict(int)
    cash = 0
    by_order: dict[str, list[Filled | ForeignFilled]] = defaultdict(list)
    for event in desk.said:
        if isinstance(event, Filled | ForeignFilled):
            net[event.token] += event.side.sign * event.quantity
            cash -= event.side.sign * event.quantity * event.price_paise
            by_order[event.order_id].append(event)
    state = desk.desk
    told = summary(state)
    for token in TOKENS:
        ours, owners = state.position(token), state.owners.get(token, FLAT)
        assert ours.quantity + owners.quantity == net[token]
        cash_of = [p.sold_paise - p.bought_paise for p in (ours, owners)]
        assert [p.realised_paise for p in (ours, owners) if p.flat] == [
            c for c, p in zip(cash_of, (ours, owners), strict=True) if p.flat
        ]
    books = [*state.positions.values(), *state.owners.values()]
    assert sum(p.sold_paise - p.bought_paise for p in books) == cash
    orders = [
        ExecutedOrder(
            group[0].side,
            sum(f.quantity for f in group),
            sum(f.quantity * f.price_paise for f in group),
            auto_square_off=any(isinstance(f, ForeignFilled) and f.by_broker for f in group),
        )
        for group in by_order.values()
    ]
    assert told.account_charges_paise == charges_for(orders, DAY).total_paise
    assert told.foreign_fills == sum(isinstance(event, ForeignFilled) for event in desk.said)
