"""The broker's books against the journal: every rule finds its difference, and equal books find none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_adapter.gateway.books import BookedTrade, BrokerView, JournalView, OurOrder
from broker_adapter.gateway.reconcile import RULES, Verdict, compare, outcome, standing, verdict
from kitepilot.events import Difference, OrderStatus, Side
from kitepilot.ports import OrderReport, PositionReport, TradeReport

INFY, TCS = 408065, 2953217
TAG = "ABCDEFGHIJKLMNOP2700"
OTHER_TAG = "QRSTUVWXYZABCDEF2700"
Sides = tuple[BrokerView, JournalView]


def order(
    order_id: str = "7", tag: str = TAG, *, word: str = "COMPLETE", filled: int = 10, product: str = "MIS"
) -> OrderReport:
    return OrderReport(
        order_id, tag, "INFY", INFY, Side.BUY, 10, filled, 0, OrderStatus.WORKING, word, "", 1, product
    )


def trade(order_id: str = "7", trade_id: str = "t1", quantity: int = 10, product: str = "MIS") -> TradeReport:
    return TradeReport(order_id, trade_id, "INFY", INFY, Side.BUY, quantity, 150_000, 1, product)


def booked(order_id: str = "7", trade_id: str = "t1", quantity: int = 10) -> BookedTrade:
    return BookedTrade(order_id, trade_id, INFY, Side.BUY, quantity, 150_000)


BROKER = BrokerView((order(),), (trade(),), (PositionReport("INFY", INFY, 10),))
OURS = OurOrder(TAG, "7", INFY, Side.BUY, 10, OrderStatus.FILLED)
JOURNAL = JournalView((OURS,), (booked(),))
HAND = (order("hand", ""), trade("hand", "h1"))


def by_hand(broker: BrokerView, journal: JournalView) -> Sides:
    """A foreign order of ten more, known on both sides."""
    return (
        replace(broker, orders=(*broker.orders, HAND[0]), trades=(*broker.trades, HAND[1]),
                positions=(PositionReport("INFY", INFY, 20),)),
        replace(journal, foreign_orders=frozenset({"hand"}), foreign_fills=(booked("hand", "h1"),)),
    )  # fmt: skip


WITH_HAND = by_hand(BROKER, JOURNAL)

#: rule -> both sides when just that is wrong, and what else necessarily follows from it
CASES: dict[str, tuple[BrokerView, JournalView, set[str]]] = {
    "fill_missing_here": (BROKER, replace(JOURNAL, fills=()), set()),
    "foreign_fill_missing_here": (WITH_HAND[0], replace(WITH_HAND[1], foreign_fills=()), set()),
    "order_not_linked": (BROKER, replace(JOURNAL, orders=(replace(OURS, order_id=""),)), set()),
    "status_behind": (
        BROKER, replace(JOURNAL, orders=(replace(OURS, status=OrderStatus.WORKING),)), set()
    ),
    "foreign_order_new": (WITH_HAND[0], replace(WITH_HAND[1], foreign_orders=frozenset()), set()),
    "order_unknown_here": (
        replace(BROKER, orders=(order(), order("8", OTHER_TAG, filled=0, word="CANCELLED"))),
        replace(JOURNAL, foreign_orders=frozenset({"8"})), set(),
    ),
    "order_missing_there": (
        BROKER, replace(JOURNAL, orders=(OURS, replace(OURS, tag=OTHER_TAG, order_id="8"))), set()
    ),
    "order_terms_differ": (BROKER, replace(JOURNAL, orders=(replace(OURS, quantity=11),)), set()),
    "live_there_ended_here": (replace(BROKER, orders=(order(word="OPEN"),)), JOURNAL, set()),
    "overfilled": (
        replace(BROKER, orders=(order(filled=12),), trades=(trade(), trade("7", "t2", 2)),
                positions=(PositionReport("INFY", INFY, 12),)),
        replace(JOURNAL, fills=(booked(), booked("7", "t2", 2))), set(),
    ),
    "fill_missing_there": (
        replace(BROKER, trades=()), JOURNAL, {"fills_not_listed"}
    ),
    "fill_differs": (
        BROKER, replace(JOURNAL, fills=(replace(booked(), price_paise=150_005),)), set()
    ),
    "fills_not_listed": (
        replace(BROKER, trades=(), positions=()), replace(JOURNAL, fills=()), set()
    ),
    "position_differs": (replace(BROKER, positions=(PositionReport("INFY", INFY, 7),)), JOURNAL, set()),
}  # fmt: skip


def rules(broker: BrokerView, journal: JournalView) -> set[str]:
    return {each.rule for each in compare(broker, journal)}


def test_equal_books_differ_in_nothing() -> None:
    assert compare(BROKER, JOURNAL) == [] == compare(*WITH_HAND)


def test_every_rule_has_a_case() -> None:
    assert list(CASES) == [rule.name for rule in RULES]


@pytest.mark.parametrize("name", CASES)
def test_a_rule_finds_its_difference_and_no_other_does(name: str) -> None:
    broker, journal, following = CASES[name]
    assert rules(broker, journal) == {name} | following


def test_an_order_of_an_earlier_run_of_the_day_is_no_stranger() -> None:
    broker, journal, _ = CASES["order_unknown_here"]
    assert rules(broker, replace(journal, earlier_tags=frozenset({OTHER_TAG}))) == set()


def test_delivery_trades_do_not_count_towards_intraday_positions() -> None:
    broker = replace(
        BROKER, orders=(order(), order("c", "", product="CNC")), trades=(trade(), trade("c", product="CNC"))
    )
    assert rules(broker, replace(JOURNAL, foreign_orders=frozenset({"c"}))) == set()


def test_positions_are_not_judged_while_trades_arrive_or_differ() -> None:
    moving = replace(BROKER, positions=(), quiet=False)
    assert rules(moving, JOURNAL) == set()
    assert rules(replace(BROKER, positions=()), replace(JOURNAL, fills=())) == {"fill_missing_here"}


def test_a_position_nobody_traded_for_is_a_difference() -> None:
    broker = replace(BROKER, positions=(*BROKER.positions, PositionReport("TCS", TCS, -5)))
    (found,) = compare(broker, JOURNAL)
    assert (found.rule, found.subject, found.ours, found.theirs) == ("position_differs", "TCS", "0", "-5")


def different(rule: str, subject: str = "s", theirs: str = "") -> Difference:
    return Difference(rule=rule, subject=subject, ours="", theirs=theirs)


A, B = different("position_differs"), different("status_behind")


@pytest.mark.parametrize(
    ("looks", "expected", "about"),
    [
        ([[]], Verdict.EQUAL, []),
        ([[A], []], Verdict.EQUAL, []),  # it passed by itself
        ([[A], [B]], Verdict.EQUAL, []),
        ([[A, B], [B], []], Verdict.HEALED, [B]),
        ([[A], [A], [A, B]], Verdict.HALT, [A]),
        ([[B], [B], [B], [B]], Verdict.HALT, [B]),  # a healing that does not take
    ],
)
def test_only_what_stands_counts(
    looks: list[list[Difference]], expected: Verdict, about: list[Difference]
) -> None:
    assert (verdict(looks), outcome(looks)) == (expected, about)


def test_a_difference_stands_even_when_its_numbers_move() -> None:
    later = different("position_differs", theirs="8")
    assert standing([[A], [later]]) == [later]


trades_of_a_day = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(list(Side)), st.integers(1, 50)), max_size=12
)


@given(trades_of_a_day, st.data())
def test_whatever_was_traded_equal_books_are_equal_and_one_lost_trade_is_found(
    day: list[tuple[int, Side, int]], data: st.DataObject
) -> None:
    """Orders 0-2 are ours, 3-5 the owner's; each trades on the instrument of its number."""
    listed = [
        TradeReport(str(n), f"t{i}", f"S{n}", n, side, quantity, 100, i)
        for i, (n, side, quantity) in enumerate(day)
    ]
    net = {n: sum(t.side.sign * t.quantity for t in listed if t.token == n) for n in range(6)}
    broker = BrokerView(
        trades=tuple(listed), positions=tuple(PositionReport(f"S{n}", n, q) for n, q in net.items())
    )
    booked_trades = [
        BookedTrade(t.order_id, t.trade_id, t.token, t.side, t.quantity, t.price_paise) for t in listed
    ]

    def view(keep: Callable[[BookedTrade], bool]) -> JournalView:
        kept = [each for each in booked_trades if keep(each)]
        return JournalView(
            fills=tuple(t for t in kept if t.token < 3), foreign_fills=tuple(t for t in kept if t.token >= 3)
        )

    assert compare(broker, view(lambda _: True)) == []
    if booked_trades:
        lost = data.draw(st.sampled_from(booked_trades))
        (found,) = compare(broker, view(lambda t: t is not lost))
        assert lost.trade_id in found.subject and found.rule.endswith("fill_missing_here")
