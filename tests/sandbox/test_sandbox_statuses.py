"""Every status of Kite's, in the order in which Kite shows it, as long as the way to the exchange takes."""

from __future__ import annotations

import pytest
from exchange_desk import BOOK, Desk
from hypothesis import given, settings
from hypothesis import strategies as st
from small_market import ALPHA, MS, OPEN, SESSION, S, ist

from broker_adapter.sandbox.errors import KiteError
from broker_adapter.sandbox.latency import Latency
from broker_adapter.sandbox.orders import Handling

PLACED = ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING"]
CHANGED = ["MODIFY VALIDATION PENDING", "MODIFY PENDING", "MODIFIED"]


def open_desk(**settings) -> Desk:
    desk = Desk(**settings)
    desk.quote(OPEN, ALPHA, 500_00, **BOOK)
    return desk


def test_the_chains_of_an_order_that_is_placed_changed_and_cancelled():
    desk = open_desk()
    order = desk.place(OPEN + S, price="499.00")
    desk.pass_to(OPEN + 2 * S)
    desk.exchange.modify(order, {"price": "499.50"}, OPEN + 3 * S)
    desk.pass_to(OPEN + 4 * S)
    desk.exchange.cancel(order, OPEN + 5 * S)
    desk.pass_to(OPEN + 6 * S)
    assert desk.statuses(order) == [*PLACED, "OPEN", *CHANGED, "OPEN", "CANCEL PENDING", "CANCELLED"]


def test_a_stop_waits_for_its_trigger_and_then_opens_and_completes():
    desk = open_desk()
    order = desk.place(OPEN + S, order_type="SL", price="501.00", trigger_price="500.50")
    desk.pass_to(OPEN + 2 * S)
    desk.quote(OPEN + 3 * S, ALPHA, 500_50, [(500_40, 100)], [(500_50, 100)])
    assert desk.statuses(order) == [*PLACED, "TRIGGER PENDING", "OPEN", "COMPLETE"]


def test_interim_statuses_can_be_seen_while_the_order_is_on_its_way():
    desk = open_desk(latency_ms=100, seed=3)
    order = desk.place(OPEN + S, price="499.00")
    seen = []
    for ms in range(1, 1_000):
        desk.pass_to(OPEN + S + ms * MS)
        if not seen or seen[-1] != desk.row(order).status:
            seen.append(desk.row(order).status)
    assert seen == [*PLACED, "OPEN"]
    stamps = [state.updated_at for state in desk.book.histories[order]]
    assert stamps == sorted(stamps) and len(set(stamps)) == 4
    assert [bool(state.exchange_order_id) for state in desk.book.histories[order]] == [False] * 3 + [True]


def test_the_risk_desk_rejects_from_validation_and_the_exchange_from_open_pending():
    desk = open_desk()
    rich = desk.place(OPEN + S, quantity=20_000, price="500.00")
    desk.pass_to(OPEN + 2 * S)
    assert desk.statuses(rich) == ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "REJECTED"]
    assert "Margin Exceeds" in desk.row(rich).message
    wide = desk.place(OPEN + 3 * S, order_type="SL", price="550.00", trigger_price="455.00")
    desk.pass_to(OPEN + 4 * S)
    assert desk.statuses(wide) == [*PLACED, "REJECTED"]
    assert desk.row(wide).exchange_order_id == ""


def test_an_after_market_order_waits_for_the_open_and_may_be_changed_until_then():
    desk = Desk()
    at = SESSION.pre_open_at
    order = desk.placed(at, variety="amo", price="500.05").order_id
    desk.pass_to(at + S)
    desk.exchange.modify(order, {"price": "500.10"}, at + 2 * S)
    desk.pass_to(at + 3 * S)
    assert desk.statuses(order) == [PLACED[0], "AMO REQ RECEIVED", "MODIFY AMO REQ RECEIVED"]
    assert desk.row(order).price_paise == 500_10
    desk.quote(OPEN, ALPHA, 500_00, **BOOK)
    desk.pass_to(OPEN + S)
    assert desk.statuses(order)[3:] == [*PLACED[1:], "OPEN", "COMPLETE"]
    with pytest.raises(KiteError, match="AMO"):
        desk.placed(OPEN + S, variety="amo", price="500.05")


def test_an_after_market_order_can_be_cancelled_before_the_open():
    desk = Desk()
    at = SESSION.pre_open_at
    order = desk.placed(at, variety="amo", price="500.05").order_id
    desk.pass_to(at + S)
    desk.exchange.cancel(order, at + 2 * S)
    desk.quote(OPEN, ALPHA, 500_00, **BOOK)
    desk.pass_to(OPEN + S)
    assert desk.statuses(order) == [PLACED[0], "AMO REQ RECEIVED", "CANCELLED"]


def test_a_stuck_order_stays_received_and_a_held_one_is_not_even_in_the_book():
    desk = open_desk()
    stuck = desk.placed(OPEN + S, price="499.00", handling=Handling(stuck_ns=90 * S)).order_id
    held = desk.placed(OPEN + S, price="499.00", handling=Handling(held_ns=8 * S)).order_id
    desk.pass_to(OPEN + 8 * S)
    assert desk.statuses(stuck) == PLACED[:1] and held not in desk.book.orders
    with pytest.raises(KiteError, match="find"):
        desk.exchange.cancel(held, OPEN + 8 * S)
    desk.pass_to(OPEN + 10 * S)
    assert desk.statuses(held)[-1] == "OPEN" and desk.row(held).placed_at == OPEN + 9 * S
    desk.pass_to(OPEN + 90 * S)
    assert desk.statuses(stuck) == PLACED[:1]
    desk.pass_to(OPEN + 92 * S)
    assert desk.statuses(stuck)[-1] == "OPEN"


def test_a_partial_fill_while_a_cancellation_is_on_its_way_does_not_hide_it():
    desk = open_desk(latency_ms=300, seed=1)
    order = desk.place(OPEN + S, price="499.50")
    desk.pass_to(OPEN + 5 * S)
    desk.exchange.cancel(order, OPEN + 5 * S)
    steps = desk.exchange._latency.steps(1)
    desk.pass_to(OPEN + 5 * S + steps[0] + 1)
    assert desk.statuses(order)[-1] == "CANCEL PENDING"
    desk.quote(OPEN + 5 * S + steps[0] + 2, ALPHA, 499_50, [(499_30, 10)], [(499_50, 40)])
    assert (desk.row(order).status, desk.row(order).filled_quantity) == ("CANCEL PENDING", 40)
    desk.pass_to(OPEN + 9 * S)
    assert (desk.row(order).status, desk.row(order).cancelled_quantity) == ("CANCELLED", 60)


def test_a_change_that_lost_the_race_against_the_fill_is_refused_or_changes_nothing():
    desk = open_desk(latency_ms=100)
    order = desk.place(OPEN + S, price="500.05")
    desk.exchange.modify(order, {"price": "499.00"}, OPEN + S)
    desk.pass_to(OPEN + 5 * S)
    assert desk.statuses(order) == [*PLACED, "OPEN", "COMPLETE"]
    with pytest.raises(KiteError, match=f"The order for ID {order} does not exist"):
        desk.exchange.modify(order, {"price": "499.00"}, OPEN + 5 * S)


def test_no_latency_is_no_delay_in_any_status():
    desk = open_desk()
    order = desk.place(OPEN + S, price="499.00")
    desk.pass_to(OPEN + S + 1)
    assert {state.updated_at for state in desk.book.histories[order]} == {OPEN + S}
    assert desk.row(order).status == "OPEN"


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(0, 500), st.floats(0, 500))
def test_a_requests_way_has_three_steps_that_depend_on_seed_and_number_alone(number, seed, mean):
    latency = Latency(mean, seed)
    first, second, whole = latency.steps(number)
    assert 0 <= first <= second <= whole == latency.of(number) <= 2_000 * MS
    assert latency.steps(number) == Latency(mean, seed).steps(number)
    if not mean:
        assert whole == 0


def test_the_mean_way_takes_as_long_as_was_asked():
    latency = Latency(30, 7)
    mean = sum(latency.of(number) for number in range(4_000)) / 4_000
    assert 28 * MS < mean < 32 * MS


def test_every_status_is_seen_on_one_day():

    desk = Desk()
    at = SESSION.pre_open_at
    amo = desk.placed(at, variety="amo", price="490.00").order_id
    desk.pass_to(at + S)
    desk.exchange.modify(amo, {"price": "491.00"}, at + 2 * S)
    desk.quote(OPEN, ALPHA, 500_00, **BOOK)
    desk.pass_to(OPEN + S)
    desk.exchange.modify(amo, {"price": "492.00"}, OPEN + 2 * S)
    desk.pass_to(OPEN + 3 * S)
    desk.exchange.cancel(amo, OPEN + 4 * S)
    desk.place(OPEN + 4 * S, order_type="SL", price="501.00", trigger_price="500.50")
    desk.place(OPEN + 4 * S, price="500.05")
    desk.place(OPEN + 4 * S, quantity=20_000, price="500.00")
    desk.pass_to(ist("09:20"))
    seen = {state.status for history in desk.book.histories.values() for state in history}
    assert seen == {
        *PLACED, *CHANGED, "OPEN", "TRIGGER PENDING", "COMPLETE", "REJECTED", "CANCELLED", "CANCEL PENDING",
        "AMO REQ RECEIVED", "MODIFY AMO REQ RECEIVED",
    }  # fmt: skip
