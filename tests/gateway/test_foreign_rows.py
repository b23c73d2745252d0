"""Rows of the book that are not ours: told once, whatever order and however often they come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broker_adapter.gateway.foreign import Finding, ForeignDesk
from kitepilot.events import Alarmed, ForeignFilled, ForeignOrderUpdated, OrderStatus, Side
from kitepilot.ports import OrderReport, TradeReport

NOW = 1_795_146_300_000_000_000


def row(word: str, filled: int, *, by: str = "AB1234", product: str = "MIS") -> OrderReport:
    return OrderReport(
        "hand", "", "INFY", 408065, Side.SELL, 10, filled, 0, OrderStatus.WORKING, word, "", NOW, product, by,
        by == "RMS",
    )  # fmt: skip


def trade(number: int, quantity: int, product: str = "MIS") -> TradeReport:
    return TradeReport("hand", f"t{number}", "INFY", 408065, Side.SELL, quantity, 100, NOW + number, product)


def kinds(told: list[Finding]) -> list[str]:
    return [type(each).__name__ for each in told]


def test_an_order_by_hand_alarms_at_first_sight_and_does_not_halt() -> None:
    desk = ForeignDesk("r")
    told = desk.hear(row("OPEN", 0), NOW)
    assert kinds(told) == ["ForeignOrderUpdated", "Alarmed"]
    alarm = told[1]
    assert isinstance(alarm, Alarmed)
    assert (alarm.kind, alarm.halts) == ("foreign_order", False)
    assert "SELL 10 INFY MIS by AB1234" in alarm.detail
    assert desk.hear(row("OPEN", 0), NOW) == []


def test_the_brokers_own_square_off_halts() -> None:
    (_, alarm) = ForeignDesk("r").hear(row("OPEN", 0, by="RMS"), NOW)
    assert isinstance(alarm, Alarmed) and alarm.halts and alarm.kind == "broker_order"


def test_a_delivery_order_is_shown_and_its_trades_do_not_reach_our_positions() -> None:
    desk = ForeignDesk("r")
    assert kinds(desk.hear(row("COMPLETE", 10, product="CNC"), NOW)) == ["ForeignOrderUpdated", "Alarmed"]
    assert desk.hungry() == [] and desk.fill([trade(1, 10, "CNC")], NOW) == []


def test_what_an_earlier_gateway_told_is_not_told_again() -> None:
    first = ForeignDesk("r")
    told = [*first.hear(row("UPDATE", 4), NOW), *first.fill([trade(1, 4)], NOW)]
    update = next(each for each in told if isinstance(each, ForeignOrderUpdated))
    again = ForeignDesk("r")
    again.restore(update, [("t1", 4)])
    assert again.hear(row("UPDATE", 4), NOW) == [] == again.fill([trade(1, 4)], NOW)
    assert kinds(again.hear(row("COMPLETE", 10), NOW)) == ["ForeignOrderUpdated"]
    assert again.hungry() == ["hand"]


WORDS = [("OPEN", 0), ("UPDATE", 3), ("UPDATE", 7), ("COMPLETE", 10), ("OPEN", 3)]
TRADES = [(1, 3), (2, 4), (3, 3)]


@given(st.lists(st.sampled_from(WORDS), max_size=12), st.data())
def test_any_repetition_and_disorder_tells_each_trade_once_and_never_goes_back(
    news: list[tuple[str, int]], data: st.DataObject
) -> None:
    desk, told = ForeignDesk("r"), []
    for word, filled in [*news, ("COMPLETE", 10)]:
        told += desk.hear(row(word, filled), NOW)
        seen = data.draw(st.lists(st.sampled_from(TRADES), max_size=3))
        told += desk.fill([trade(*each) for each in seen], NOW)
    told += desk.fill([trade(*each) for each in TRADES], NOW)
    fills = [each for each in told if isinstance(each, ForeignFilled)]
    assert sorted(each.trade_id for each in fills) == ["t1", "t2", "t3"]
    updates = [each for each in told if isinstance(each, ForeignOrderUpdated)]
    assert [u.filled_quantity for u in updates] == sorted(u.filled_quantity for u in updates)
    assert updates[-1].status is OrderStatus.FILLED and desk.hungry() == []
    assert sum(isinstance(each, Alarmed) for each in told) == 1
