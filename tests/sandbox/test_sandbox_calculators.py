"""Margins and charges of imagined orders, against worked examples and the account's own arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_market import ALPHA, BETA, DAY, MS, OPEN, S, SmallMarket, packet

from broker_adapter.sandbox.book import Book
from broker_adapter.sandbox.calculators import MarginDesk, contract_note_row, imagined
from broker_adapter.sandbox.errors import KiteError
from broker_adapter.sandbox.market import Market
from broker_adapter.sandbox.matching import Execution
from broker_adapter.sandbox.orders import OrderRequest
from broker_adapter.sandbox.rms import RiskDesk

LISTED = {row.tradingsymbol: row for row in (ALPHA, BETA)}


def item(
    side: str, quantity: object, price: object, name: str = "price", **changes: object
) -> dict[str, object]:
    return {
        "exchange": "NSE",
        "tradingsymbol": "KPALPHA",
        "transaction_type": side,
        "variety": "regular",
        "product": "MIS",
        "order_type": "LIMIT",
        "quantity": quantity,
        name: price,
        **changes,
    }


def note(side: str, quantity: int, price: float, book: Book | None = None, order_id: str = "x"):
    order = imagined(item(side, quantity, price, "average_price", order_id=order_id), LISTED, "average_price")
    return contract_note_row(order, book or Book(DAY, 7), DAY)


#: Both legs of five round trips and their unrounded totals (rates since 1 March 2026).
EXAMPLES = (
    ("A", ("BUY", 10, 1500.00, 6.32109), ("SELL", 10, 1512.00, 9.69805872), 16.01914872),
    ("B", ("BUY", 50, 1333.30, 28.09303099), ("SELL", 50, 1334.00, 42.7699802), 70.86301119),
    ("C", ("BUY", 400, 1250.50, 57.3164812), ("SELL", 400, 1247.75, 167.0443346), 224.3608158),
    ("D", ("BUY", 500, 100.00, 21.0703), ("SELL", 500, 105.00, 33.673815), 54.744115),
    ("E", ("SELL", 200, 812.40, 70.29772688), ("BUY", 200, 818.95, 93.64042874), 163.93815562),
)


@pytest.mark.parametrize(("name", "first", "second", "total"), EXAMPLES, ids=[row[0] for row in EXAMPLES])
def test_the_contract_note_comes_out_as_in_the_worked_examples(name, first, second, total):
    book = Book(DAY, 7)
    order_id = "x"
    if name == "E":  # the broker squared the short off itself: fifty rupees and the tax on them
        request = OrderRequest(
            ALPHA.token, "KPALPHA", True, 200, "MARKET", 0, 0, "DAY", 0, 0, -1, "", placed_by="RMS"
        )
        order_id = book.fill(
            book.accept(book.open("1", request, OPEN), OPEN), [Execution(81895, 200)], OPEN
        ).order_id
    opening = note(*first[:3])["charges"]
    closing = note(*second[:3], book, order_id)["charges"]
    assert opening["total"] == pytest.approx(first[3], abs=1e-8)
    assert closing["total"] == pytest.approx(second[3], abs=1e-8)
    assert opening["total"] + closing["total"] == pytest.approx(total, abs=1e-8)


def test_the_components_of_a_note_are_kite_s_and_add_up():
    row = note("SELL", 10, 1512.00)
    assert list(row) == [
        *("transaction_type", "tradingsymbol", "exchange", "variety", "product", "order_type"),
        *("quantity", "price", "charges"),
    ]
    charges = row["charges"]
    assert charges["transaction_tax"] == 3.78 and charges["transaction_tax_type"] == "stt"
    assert charges["exchange_turnover_charge"] == pytest.approx(0.464184)
    parts = ("transaction_tax", "exchange_turnover_charge", "sebi_turnover_charge", "brokerage", "stamp_duty")
    assert charges["total"] == pytest.approx(sum(charges[part] for part in parts) + charges["gst"]["total"])


def test_an_average_price_with_four_decimals_is_charged_on_what_was_really_traded():
    # 3 shares for 1,000.00 in all: Kite shows 333.3333
    assert note("BUY", 3, 333.3333)["charges"]["stamp_duty"] == 0.03


@pytest.mark.parametrize(
    "changes",
    [
        {"exchange": "BSE"},
        {"tradingsymbol": "NOSUCH"},
        {"transaction_type": "HOLD"},
        {"product": "CNC"},
        {"order_type": ""},
        {"quantity": 0},
        {"quantity": 1.5},
        {"quantity": "nan"},
        {"price": -1},
        {"price": [1]},
    ],
    ids=str,
)
def test_an_order_that_cannot_be_imagined_is_an_input_error(changes):
    with pytest.raises(KiteError) as refusal:
        imagined(item("BUY", 1, 1.0) | changes, LISTED, "price")
    assert (refusal.value.status, refusal.value.error_type) == (400, "InputException")


def desk_holding(held: int) -> tuple[MarginDesk, RiskDesk]:
    market, book = Market(SmallMarket(), 60 * S), Book(DAY, 7)
    if held:
        request = OrderRequest(
            ALPHA.token, "KPALPHA", held > 0, abs(held), "LIMIT", 500_00, 0, "DAY", 0, 0, 0, ""
        )
        book.fill(book.accept(book.open("1", request, OPEN), OPEN), [Execution(500_00, abs(held))], OPEN)
    rms = RiskDesk(market, book, 10_00_000_00)
    return MarginDesk(rms, book, market.last_paise, DAY), rms


def test_an_order_s_margin_is_its_value_over_the_leverage():
    margins, _ = desk_holding(0)
    row = margins.order_row(imagined(item("BUY", 10, 500.0), LISTED, "price"))
    assert (row["total"], row["var"], row["leverage"], row["type"]) == (1000.0, 1000.0, 5.0, "equity")
    at_last = margins.order_row(imagined(item("BUY", 10, 0, order_type="MARKET"), LISTED, "price"))
    assert at_last["total"] == 1000.0  # the previous close is 500


def test_what_only_reduces_a_position_needs_no_margin():
    margins, _ = desk_holding(10)
    assert margins.order_row(imagined(item("SELL", 10, 500.0), LISTED, "price"))["total"] == 0
    assert margins.order_row(imagined(item("SELL", 12, 500.0), LISTED, "price"))["total"] == 200.0


SIDES = st.sampled_from(["BUY", "SELL"])


@given(
    st.integers(-50, 50),
    st.lists(
        st.tuples(SIDES, st.integers(1, 60), st.sampled_from(["KPALPHA", "KPBETA"])), min_size=1, max_size=6
    ),
    st.booleans(),
)
def test_a_basket_never_needs_more_in_the_end_than_its_orders_alone(held, wanted, considered):
    margins, _ = desk_holding(held)
    orders = [
        imagined(item(side, quantity, 500.0, tradingsymbol=symbol), LISTED, "price")
        for side, quantity, symbol in wanted
    ]
    basket = margins.basket_rows(orders, consider_positions=considered)
    assert basket["initial"]["total"] == pytest.approx(sum(row["total"] for row in basket["orders"]))
    alone = margins.basket_rows(orders, consider_positions=False)
    assert 0 <= basket["final"]["total"] <= alone["initial"]["total"] + 1e-6
    charges = sum(row["charges"]["total"] for row in basket["orders"])
    assert basket["charges"]["total"] == pytest.approx(charges)


def test_a_buy_and_its_sale_in_one_basket_cancel_out():
    margins, _ = desk_holding(0)
    orders = [imagined(item(side, 10, 500.0), LISTED, "price") for side in ("BUY", "SELL")]
    basket = margins.basket_rows(orders, consider_positions=True)
    assert (basket["initial"]["total"], basket["final"]["total"]) == (2000.0, 0.0)


def test_kite_s_client_asks_all_three_calculators(sandbox):
    venue = sandbox(SmallMarket([(OPEN + 10 * MS, packet(ALPHA, 500_00, [(499_95, 9)], [(500_05, 9)]))]))
    kite = venue.login()
    (margin,) = kite.order_margins([item("BUY", 10, 500.0)])
    assert margin["total"] == 1000.0 and margin["charges"]["brokerage"] == 1.5
    basket = kite.basket_order_margins([item("BUY", 10, 500.0), item("SELL", 10, 500.0)], True)
    assert basket["final"]["total"] == 0 and len(basket["orders"]) == 2
    short = kite.basket_order_margins([item("BUY", 10, 500.0)], False, "compact")
    assert set(short["initial"]) == {"type", "tradingsymbol", "exchange", "total"}
    buy, sell = kite.get_virtual_contract_note(
        [item("BUY", 10, 1500.0, "average_price", order_id="1"), item("SELL", 10, 1512.0, "average_price")]
    )
    assert buy["charges"]["total"] + sell["charges"]["total"] == pytest.approx(16.01914872)
    assert "order_id" not in buy and buy["price"] == 1500.0
