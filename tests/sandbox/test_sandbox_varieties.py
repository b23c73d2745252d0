"""Icebergs, slices, disclosed quantity, changes of kind: one wish that becomes several orders or another."""

from __future__ import annotations

import pytest
from exchange_desk import BOOK, Desk
from hypothesis import given, settings
from hypothesis import strategies as st
from small_market import ALPHA, OPEN, S

from broker_adapter.sandbox import rows
from broker_adapter.sandbox.admission import MAX_SLICES, freeze_quantity
from broker_adapter.sandbox.errors import KiteError

DEEP = {"bids": [(499_95, 90_000)], "asks": [(500_05, 90_000)]}


def open_desk(book=BOOK) -> Desk:
    desk = Desk()
    desk.quote(OPEN, ALPHA, 500_00, **book)
    return desk


def test_an_icebergs_legs_come_one_after_the_other():
    desk = open_desk(DEEP)
    first = desk.placed(
        OPEN + S, variety="iceberg", price="500.05", quantity=250, iceberg_legs=3, iceberg_quantity=100
    ).order_id
    desk.pass_to(OPEN + 2 * S)
    legs = list(desk.book.orders.values())
    assert legs[0].order_id == first
    assert [leg.quantity for leg in legs] == [100, 100, 50]
    assert {leg.status for leg in legs} == {"COMPLETE"}
    shown = [rows.order_row(leg)["meta"]["iceberg"] for leg in legs]
    assert [(row["leg"], row["remaining_quantity"]) for row in shown] == [(1, 150), (2, 50), (3, 0)]


def test_a_cancelled_leg_is_the_end_of_its_iceberg():
    desk = open_desk()
    order = desk.placed(
        OPEN + S, variety="iceberg", price="499.00", quantity=200, iceberg_legs=2, iceberg_quantity=100
    ).order_id
    desk.pass_to(OPEN + 2 * S)
    desk.exchange.cancel(order, OPEN + 3 * S)
    desk.pass_to(OPEN + 4 * S)
    assert list(desk.book.orders) == [order]


@pytest.mark.parametrize(
    "changes",
    [
        {"iceberg_legs": 51, "iceberg_quantity": 2, "quantity": 102},
        {"iceberg_legs": 1, "iceberg_quantity": 100},
        {"iceberg_legs": 2, "iceberg_quantity": 10},
        {"iceberg_legs": 2, "iceberg_quantity": 50, "validity": "IOC"},
        {},
    ],
)
def test_an_iceberg_that_is_none_is_refused(changes):
    with pytest.raises(KiteError) as refusal:
        open_desk().placed(OPEN + S, variety="iceberg", price="499.00", **changes)
    assert (refusal.value.status, refusal.value.error_type) == (400, "InputException")


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3_000_000))
def test_slices_are_the_order_and_none_is_above_the_freeze_quantity(quantity):
    desk = open_desk()
    desk.exchange.rms.cash_paise = 10**15
    freeze = freeze_quantity(ALPHA)
    needed = -(-quantity // freeze)
    if needed > MAX_SLICES:
        with pytest.raises(KiteError, match="slices"):
            desk.placed(OPEN + S, price="499.00", quantity=quantity, autoslice="true")
        return
    placed = desk.placed(OPEN + S, price="499.00", quantity=quantity, autoslice="true")
    orders = list(desk.book.orders.values())
    assert sum(order.quantity for order in orders) == quantity
    assert max(order.quantity for order in orders) <= freeze
    if needed > 1:
        assert [child.order_id for child in placed.children] == [order.order_id for order in orders]
        assert placed.order_id not in desk.book.orders
        tags = [rows.order_row(order)["tags"] for order in orders]
        assert all(tag[-2:] == ["autoslice", f"autoslice:{placed.order_id}"] for tag in tags)
        with pytest.raises(KiteError, match="freeze"):
            desk.placed(OPEN + S, price="499.00", quantity=quantity)


def test_a_slice_without_margin_is_refused_alone():
    desk = open_desk()
    freeze = freeze_quantity(ALPHA)
    slice_margin = freeze * 499_00 // 5
    desk.exchange.rms.cash_paise = 2 * slice_margin
    placed = desk.placed(OPEN + S, price="499.00", quantity=2 * freeze + 7 * 10, autoslice="true")
    assert [bool(child.order_id) for child in placed.children] == [True, True, False]
    refused = rows.child_row(placed.children[2])["error"]
    assert (refused["code"], refused["error_type"]) == (400, "MarginException")
    assert refused["message"].startswith(
        "Insufficient funds. Required margin is 6986.00 but available margin is"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"disclosed_quantity": 9}, "at least 10%"),
        ({"disclosed_quantity": 101}, "more than the quantity"),
        ({"disclosed_quantity": 50, "validity": "IOC"}, "IOC"),
        ({"order_type": "SL", "trigger_price": "500.50", "price": "500.00"}, "higher than the limit"),
    ],
)
def test_terms_that_contradict_each_other_are_refused(changes, words):
    with pytest.raises(KiteError, match=words):
        open_desk().place(OPEN + S, **{"price": "499.00", **changes})


def test_a_limit_order_becomes_a_market_order_only_with_protection():
    desk = open_desk()
    order = desk.place(OPEN + S, price="499.00", quantity=40)
    desk.pass_to(OPEN + 2 * S)
    with pytest.raises(KiteError, match="without market protection"):
        desk.exchange.modify(order, {"order_type": "MARKET"}, OPEN + 2 * S)
    desk.exchange.modify(order, {"order_type": "MARKET", "market_protection": "1"}, OPEN + 3 * S)
    desk.pass_to(OPEN + 4 * S)
    row = desk.row(order)
    assert (row.status, row.order_type, row.price_paise) == ("COMPLETE", "LIMIT", 505_00)
    assert rows.order_row(row)["tags"] == ["mktp", "mktp:1.00"]


def test_the_rest_of_a_protected_order_rests_as_a_limit_order_and_can_be_changed():
    desk = open_desk()
    order = desk.place(OPEN + S, order_type="MARKET", market_protection="0.1", quantity=150)
    desk.pass_to(OPEN + 2 * S)
    row = desk.row(order)
    assert (row.status, row.order_type, row.price_paise, row.pending_quantity) == (
        "OPEN",
        "LIMIT",
        500_50,
        50,
    )
    desk.exchange.modify(order, {"price": "499.90"}, OPEN + 3 * S)
    desk.pass_to(OPEN + 4 * S)
    assert (desk.row(order).status, desk.row(order).price_paise) == ("OPEN", 499_90)


def test_a_sleeping_stop_becomes_a_limit_order_and_a_limit_order_a_sleeping_stop():
    desk = open_desk()
    order = desk.place(OPEN + S, order_type="SL", price="501.00", trigger_price="500.50", quantity=40)
    desk.pass_to(OPEN + 2 * S)
    desk.exchange.modify(order, {"order_type": "LIMIT", "price": "499.50"}, OPEN + 3 * S)
    desk.pass_to(OPEN + 4 * S)
    assert (desk.row(order).status, desk.row(order).trigger_paise) == ("OPEN", 0)
    stop = {"order_type": "SL", "price": "501.00", "trigger_price": "500.60"}
    desk.exchange.modify(order, stop, OPEN + 5 * S)
    desk.pass_to(OPEN + 6 * S)
    assert desk.row(order).status == "TRIGGER PENDING"
    desk.quote(OPEN + 7 * S, ALPHA, 500_60, [(500_40, 100)], [(500_70, 100)])
    assert desk.row(order).status == "COMPLETE"


def test_a_change_without_the_margin_for_it_leaves_the_order_as_it_was():
    desk = open_desk()
    order = desk.place(OPEN + S, price="499.00", quantity=40)
    desk.pass_to(OPEN + 2 * S)
    desk.exchange.modify(order, {"quantity": "100000"}, OPEN + 3 * S)
    desk.pass_to(OPEN + 4 * S)
    row = desk.row(order)
    assert (row.status, row.quantity, row.modifications) == ("OPEN", 40, 0)
    assert "Margin Exceeds" in row.message
    assert "MODIFIED" not in desk.statuses(order)


def test_an_order_of_the_pre_open_trades_on_the_first_quote_after_the_open_at_its_prices():
    desk = Desk()
    at = OPEN - 10 * 60 * S
    order = desk.place(at, price="505.00", quantity=60)
    desk.quote(at + S, ALPHA, 500_00, [(499_95, 100)], [(500_05, 100)])
    desk.pass_to(OPEN)
    assert desk.statuses(order)[-1] == "OPEN"
    desk.quote(OPEN + S, ALPHA, 500_10, [(500_05, 100)], [(500_15, 100)])
    assert desk.statuses(order)[-1] == "COMPLETE"
    assert [trade.price_paise for trade in desk.book.trades] == [500_15]
