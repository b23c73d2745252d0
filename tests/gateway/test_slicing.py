"""Large orders leave in children; what is told of the intent is what its children come to."""

from __future__ import annotations

import dataclasses
import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from orders_on_paper import ID, NOW, intent, told

from broker_adapter.gateway.desk import Change, Desk, OrderFile, whole
from broker_adapter.gateway.slicing import MAX_CHILDREN, children, cut, refusal
from kitepilot.config import BrokerSection, RiskSection
from kitepilot.events import Filled, OrderStatus, OrderUpdated, Purpose, Side
from kitepilot.orders.intents import parse_tag
from kitepilot.ports import Accepted, OrderReport, Outcome, Rejected, TradeReport, Unknown

whole_lots = st.tuples(st.integers(1, 50_000), st.integers(1, 60_000), st.sampled_from([1, 1, 1, 5, 25]))


@given(whole_lots)
def test_children_add_up_are_alike_and_stay_below_the_cap(given_: tuple[int, int, int]) -> None:
    lots, most, lot = given_
    quantity = lots * lot
    sizes = cut(quantity, most, lot)
    assert sum(sizes) == quantity
    assert 1 <= len(sizes) <= MAX_CHILDREN
    assert max(sizes) - min(sizes) <= lot
    assert all(size % lot == 0 for size in sizes)
    if len(sizes) < MAX_CHILDREN:
        assert max(sizes) <= max(most, lot), "above the cap though another child could be made"
    if quantity <= most:
        assert sizes == (quantity,), "cut without need"


@given(st.integers(1, 100_000), st.integers(1, 1_000), st.integers(2, 100))
def test_odd_shares_travel_with_the_last_child(quantity: int, most: int, lot: int) -> None:
    sizes = cut(quantity, most, lot)
    assert sum(sizes) == quantity
    assert all(size % lot == 0 for size in sizes[:-1])


@given(st.integers(1, 200_000), st.integers(0, 50_000_00), st.sampled_from(list(Purpose)))
def test_no_child_of_a_sent_order_is_above_the_freeze_quantity(
    quantity: int, price: int, purpose: Purpose
) -> None:
    broker = BrokerSection(freeze_quantity=1_000, slice_value_rupees=200_000)
    order = msgspec.structs.replace(intent(quantity, purpose=purpose), limit_price_paise=price)
    if refusal(order, RiskSection().limits(), broker) is None:
        assert max(children(order, broker)) <= 1_000


def test_an_exit_is_cut_and_not_refused_while_it_can_be_cut() -> None:
    broker = BrokerSection(freeze_quantity=1_000)
    limits = RiskSection().limits()
    assert refusal(intent(99_000, purpose=Purpose.EXIT), limits, broker) is None
    assert refusal(intent(99_001, purpose=Purpose.EXIT), limits, broker) is not None
    assert isinstance(refusal(intent(99_000), limits, broker), Rejected)


# --- what is told of an intent ----------------------------------------------------------------------------


def opened(*quantities: int) -> tuple[Desk, list[OrderFile], list[Change]]:
    desk = Desk("r")
    changes = desk.open(intent(sum(quantities)), quantities, NOW)
    return desk, [change.file for change in changes], list(changes)


def report(file: OrderFile, word: str, filled: int) -> OrderReport:
    order_id, quantity = f"o{file.slice}", file.truth.quantity
    return OrderReport(
        order_id, file.tag, "INFY", 408065, Side.BUY, quantity, filled, 0, OrderStatus.WORKING, word, "", NOW
    )


def trade(file: OrderFile, quantity: int) -> TradeReport:
    return TradeReport(f"o{file.slice}", "t", "INFY", 408065, Side.BUY, quantity, 100_00, NOW)


def end(desk: Desk, file: OrderFile, word: str, filled: int) -> list[Change]:
    """The broker says how a child ended, and then lists its trades."""
    heard = desk.hear(report(file, word, filled), NOW)
    assert heard is not None
    changes = [heard[1]] if heard[1] else []
    fed = desk.fill(file, [trade(file, filled)], NOW) if file.hungry else None
    return changes + ([fed] if fed else [])


def updates(changes: list[Change]) -> list[OrderUpdated]:
    return [event for event in told(changes) if isinstance(event, OrderUpdated)]


def test_each_child_has_a_tag_of_its_own_that_names_the_intent() -> None:
    _, files, changes = opened(4, 3, 3)
    assert [parse_tag(file.tag) for file in files] == [(ID, 0), (ID, 1), (ID, 2)]
    assert [(c.lines[0].journaled.slice, c.lines[0].journaled.quantity) for c in changes] == [
        (0, 4),
        (1, 3),
        (2, 3),
    ]


def test_a_refused_child_leaves_the_others_true() -> None:
    desk, files, _ = opened(4, 3, 3)
    answers: list[Outcome] = [Accepted("o0"), Accepted("o1"), Rejected("RMS", "no margin")]
    changes = [
        desk.settle(f, answer, NOW, NOW, NOW, steady=NOW) for f, answer in zip(files, answers, strict=True)
    ]
    assert updates(changes)[-1].message == "slice 3 of 3: RMS: no margin"
    changes += [*end(desk, files[0], "COMPLETE", 4), *end(desk, files[1], "COMPLETE", 3)]
    last = updates(changes)[-1]
    assert (last.status, last.filled_quantity, last.quantity) == (OrderStatus.CANCELLED, 7, 10)
    assert desk.live() == []


def test_an_intent_is_unknown_while_one_of_its_children_is() -> None:
    desk, files, _ = opened(5, 5)
    changes = [desk.settle(files[0], Accepted("o0"), NOW, NOW, NOW, steady=NOW)]
    changes.append(desk.settle(files[1], Unknown("timeout"), NOW, NOW, NOW, steady=NOW))
    changes += end(desk, files[0], "COMPLETE", 5)
    assert updates(changes)[-1].status is OrderStatus.UNKNOWN
    changes += end(desk, files[1], "COMPLETE", 5)
    assert (updates(changes)[-1].status, updates(changes)[-1].filled_quantity) == (OrderStatus.FILLED, 10)


ENDS = {
    "filled": lambda quantity: ("COMPLETE", quantity),
    "part": lambda quantity: ("CANCELLED", quantity // 2),
    "none": lambda quantity: ("CANCELLED", 0),
    "refused": lambda quantity: ("REJECTED", 0),
}


@given(
    st.lists(st.tuples(st.integers(2, 9), st.sampled_from(sorted(ENDS))), min_size=1, max_size=5), st.data()
)
def test_whatever_becomes_of_the_children_the_end_is_told_once_all_have_ended(
    plan: list[tuple[int, str]], data: st.DataObject
) -> None:
    desk, files, _ = opened(*(quantity for quantity, _ in plan))
    changes: list[Change] = []
    steps = data.draw(st.permutations([*range(len(files))] * 2))
    begun: set[int] = set()
    for number in steps:
        file, (quantity, how) = files[number], plan[number]
        if number in begun:
            changes += end(desk, file, *ENDS[how](quantity))
        else:
            begun.add(number)
            changes.append(desk.settle(file, Accepted(f"o{number}"), NOW, NOW, NOW, steady=NOW))
    heard = updates(changes)
    assert [u.status.terminal for u in heard].index(True) == len(heard) - 1, "an end before the end"
    expected = sum(ENDS[how](quantity)[1] for quantity, how in plan)
    fills = sum(event.quantity for event in told(changes) if isinstance(event, Filled))
    assert (heard[-1].filled_quantity, fills) == (expected, expected)
    assert [u.filled_quantity for u in heard] == sorted(u.filled_quantity for u in heard)
    assert (heard[-1].status is OrderStatus.FILLED) == (expected == sum(quantity for quantity, _ in plan))
    assert (heard[-1].status is OrderStatus.REJECTED) == all(how == "refused" for _, how in plan)


@pytest.mark.parametrize("states", list(itertools.combinations_with_replacement(OrderStatus, 3)))
def test_an_intent_has_ended_exactly_when_all_its_children_have(states: tuple[OrderStatus, ...]) -> None:
    _, files, _ = opened(3, 3, 3)
    for file, status in zip(files, states, strict=True):
        file.truth = dataclasses.replace(file.truth, status=status)
    assert whole(files)[0].terminal == all(status.terminal for status in states)
    assert (whole(files)[0] is OrderStatus.UNKNOWN) == (OrderStatus.UNKNOWN in states)
