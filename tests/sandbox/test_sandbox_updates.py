"""Order updates on bad days: what is told, when, and that nothing is told that did not happen."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_market import ALPHA, DAY, OPEN, S

from broker_adapter.sandbox.fault_board import FaultBoard, Switch
from broker_adapter.sandbox.faulty_updates import FaultyUpdates
from broker_adapter.sandbox.orders import COMPLETE, Order, OrderRequest
from broker_adapter.sandbox.orders import OPEN as OPEN_STATUS

REQUEST = OrderRequest(ALPHA.token, "KPALPHA", True, 10, "LIMIT", 500_00, 0, "DAY", 0, 0, 0, "T00")


def state(order_id: str, filled: int = 0, status: str = OPEN_STATUS) -> Order:
    return Order(
        order_id=order_id, request=REQUEST, status=status, order_type="LIMIT", price_paise=500_00,
        trigger_paise=0, quantity=10, validity="DAY", placed_at=OPEN, updated_at=OPEN,
        filled_quantity=filled, traded_paise=filled * 500_00,
    )  # fmt: skip


def faulty(*switches: Switch, seed: int = 0) -> FaultyUpdates:
    board = FaultBoard(DAY, lambda: OPEN, seed)
    for switch in switches:
        board.arm(switch)
    return FaultyUpdates(board)


FIRST, SECOND = state("1", 4), state("1", 10, COMPLETE)


def test_without_faults_every_update_is_told_at_once():
    assert faulty().through([FIRST, SECOND], OPEN) == [FIRST, SECOND]


def test_a_lost_update_is_never_told():
    updates = faulty(Switch(fault="lost_update"))
    assert updates.through([FIRST], OPEN) == []
    assert updates.through([SECOND], OPEN + 3600 * S) == [SECOND]


def test_a_duplicate_is_told_as_often_as_asked():
    assert (
        faulty(Switch(fault="duplicate_update", parameters={"times": 3})).through([FIRST], OPEN)
        == [FIRST] * 3
    )


def test_a_reordered_update_comes_after_the_next_one_or_when_its_time_is_up():
    assert faulty(Switch(fault="reordered_update")).through([FIRST, SECOND], OPEN) == [SECOND, FIRST]
    alone = faulty(Switch(fault="reordered_update", parameters={"within_s": 2}))
    assert alone.through([FIRST], OPEN) == []
    assert alone.through([], OPEN + 2 * S - 1) == []
    assert alone.through([], OPEN + 2 * S) == [FIRST]


def test_a_late_update_is_told_on_its_session_second():
    late = faulty(Switch(fault="late_update", parameters={"delay_s": 10}))
    assert late.through([FIRST], OPEN) == []
    assert late.through([], OPEN + 10 * S - 1) == []
    assert late.through([], OPEN + 10 * S) == [FIRST]


@pytest.mark.parametrize("filled", [10, 1])
def test_a_smaller_fill_is_told_after_the_order_was_complete(filled):
    updates = faulty(Switch(fault="partial_after_complete"))
    whole = state("1", filled, COMPLETE)
    assert updates.through([FIRST, whole], OPEN) == [FIRST, whole]
    (after,) = updates.through([], OPEN + S)
    assert (after.order_id, after.status) == ("1", OPEN_STATUS)
    assert after.filled_quantity < filled


NAMES = ("lost_update", "duplicate_update", "reordered_update", "late_update")


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)), max_size=30),
    st.sets(st.sampled_from(NAMES)),
    st.sampled_from([0.2, 0.7, 1.0]),
    st.integers(0, 2**32),
)
def test_whatever_is_armed_only_what_happened_is_told_and_only_the_lost_is_missing(
    history, armed, probability, seed
):
    updates = faulty(
        *(Switch(fault=n, count=None, probability=probability) for n in sorted(armed)), seed=seed
    )
    happened: list[Order] = []
    told: list[Order] = []
    for second, (order, filled) in enumerate(history):
        happened.append(state(str(order), filled))
        told += updates.through([happened[-1]], OPEN + second * S)
    told += updates.through([], OPEN + 3600 * S)
    assert set(told) <= set(happened)
    if "lost_update" not in armed:
        assert not Counter(happened) - Counter(told)
    if "duplicate_update" not in armed:
        assert not Counter(told) - Counter(happened)
    if not armed:
        assert told == happened
