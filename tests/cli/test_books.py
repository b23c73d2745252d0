"""Books of a day, laid side by side: the first difference is found and named."""

from dataclasses import replace
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from kitepilot.cli.books import Book, Fill, compare_fills, compare_orders, compare_totals
from kitepilot.events import Side

DAY = date(2026, 11, 20)
SOLD = Fill("O2", "T2", 408065, Side.SELL, 10, 151_200, 2)
BOUGHT = Fill("O1", "T1", 408065, Side.BUY, 10, 150_000, 1)


def book(name: str, *fills: Fill) -> Book:
    made = Book(name, intents=len({f.order_id for f in fills}))
    for fill in fills:
        made.orders[fill.order_id] = f"INTENT-{fill.order_id}"
        made.add(fill)
    return made


SIDES = {"O1": Side.BUY, "O2": Side.SELL, "O3": Side.SELL}  # an order has one side

fills = st.lists(
    st.builds(
        Fill,
        order_id=st.sampled_from(["O1", "O2", "O3"]),
        trade_id=st.uuids().map(str),
        token=st.sampled_from([256, 512]),
        side=st.just(Side.BUY),
        quantity=st.integers(1, 500),
        price_paise=st.integers(100, 500_000),
        at=st.integers(0, 10**6),
    ).map(lambda fill: replace(fill, side=SIDES[fill.order_id])),
    max_size=20,
)


def test_a_round_trip_comes_to_its_profit_and_charges_to_the_paisa() -> None:
    totals = book("exchange", BOUGHT, SOLD).totals(DAY)
    assert (totals.realised_paise, totals.charges_paise) == (12_000, 1_602)
    assert (totals.bought, totals.sold, totals.open_positions) == (10, 10, 0)


@given(fills)
def test_the_order_in_which_a_book_lists_its_fills_does_not_matter(listed: list[Fill]) -> None:
    assert book("a", *listed).totals(DAY) == book("b", *reversed(listed)).totals(DAY)


@given(fills.filter(bool), st.data())
def test_any_lost_or_altered_fill_is_found(listed: list[Fill], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(listed) - 1))
    lost = [*listed[:index], *listed[index + 1 :]]
    altered = [*lost, replace(listed[index], price_paise=listed[index].price_paise + 1)]
    assert compare_fills(book("a", *listed), book("b", *lost)) is not None
    found = compare_fills(book("a", *listed), book("b", *altered))
    assert found is not None
    assert listed[index].trade_id in str(found)
    assert compare_fills(book("a", *listed), book("b", *listed)) is None


def test_an_order_linked_to_another_intent_is_found() -> None:
    left, right = book("exchange", BOUGHT), book("journal", BOUGHT)
    right.orders["O1"] = "INTENT-OTHER"
    assert "O1" in str(compare_orders(left, right))
    assert compare_orders(left, left) is None


def test_a_figure_one_book_does_not_keep_is_not_a_difference() -> None:
    totals = book("exchange", BOUGHT, SOLD).totals(DAY)
    assert compare_totals(("a", totals), ("b", replace(totals, orders=None))) is None
    assert "realised_paise" in str(compare_totals(("a", totals), ("b", replace(totals, realised_paise=1))))
