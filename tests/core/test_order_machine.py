"""The order machine: a table that is whole, and merging that only ever goes forward."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepilot.events import OrderStatus
from kitepilot.orders.order_machine import KITE_WORDS, TRANSITIONS, OrderEvent, OrderTruth, advance, hear

reports = st.lists(st.tuples(st.sampled_from(OrderEvent), st.integers(0, 100)), max_size=20)


def test_the_table_answers_every_status_and_event() -> None:
    assert set(TRANSITIONS) == {(status, event) for status in OrderStatus for event in OrderEvent}


@given(reports)
def test_filled_quantity_never_falls_and_terminal_is_terminal(history: list[tuple[OrderEvent, int]]) -> None:
    truth = OrderTruth(100)
    for event, filled in history:
        following = advance(truth, event, filled)
        assert following.filled_quantity >= truth.filled_quantity
        if truth.status.terminal:
            assert following.status is truth.status
        truth = following


@given(reports)
def test_hearing_the_same_report_twice_changes_nothing(history: list[tuple[OrderEvent, int]]) -> None:
    truth = OrderTruth(100)
    for event, filled in history:
        once = advance(truth, event, filled, "word")
        again = advance(once, event, filled, "word")
        settled = {OrderEvent.ABSENT, OrderEvent.STRANGE}  # these move an unknown order on
        assert again == once or event in settled
        truth = once


def test_a_fill_after_cancel_still_counts() -> None:
    cancelled = advance(OrderTruth(100), OrderEvent.CANCELLED, 20, "CANCELLED")
    raced = advance(cancelled, OrderEvent.OPEN, 60, "UPDATE")
    assert (raced.status, raced.filled_quantity, raced.venue_status) == (
        OrderStatus.CANCELLED,
        60,
        "CANCELLED",
    )
    assert raced.open_quantity == 0


def test_a_partial_fill_that_arrives_after_complete_changes_nothing() -> None:
    complete = advance(OrderTruth(100), hear("COMPLETE"), 100)
    assert advance(complete, hear("UPDATE"), 40) == complete


def test_a_lost_reply_is_unknown_until_the_book_speaks() -> None:
    lost = advance(OrderTruth(100), OrderEvent.LOST)
    assert lost.status is OrderStatus.UNKNOWN and lost.open_quantity == 100
    assert advance(lost, hear("OPEN"), 30).open_quantity == 70
    assert advance(lost, OrderEvent.ABSENT).status is OrderStatus.REJECTED


def test_a_word_nobody_knows_is_live_and_calls_a_person() -> None:
    strange = advance(OrderTruth(100), hear("ON THE MOON"), 0, "ON THE MOON")
    assert not strange.status.terminal
    assert "ON THE MOON" in strange.alarm
    assert advance(strange, hear("COMPLETE"), 100).alarm  # stays raised


@pytest.mark.parametrize(
    ("event", "filled", "alarm"),
    [
        (OrderEvent.COMPLETE, 90, "complete with 90 of 100"),
        (OrderEvent.OPEN, 101, "filled 101 of an order for 100"),
    ],
)
def test_numbers_that_cannot_be_raise_an_alarm(event: OrderEvent, filled: int, alarm: str) -> None:
    assert alarm in advance(OrderTruth(100), event, filled).alarm


def test_a_fill_of_a_rejected_order_raises_an_alarm() -> None:
    rejected = advance(OrderTruth(100), OrderEvent.REJECTED)
    assert "rejected" in advance(rejected, OrderEvent.OPEN, 10).alarm


@pytest.mark.parametrize("word", sorted(KITE_WORDS))
def test_kite_words_are_known_in_any_case(word: str) -> None:
    assert hear(f" {word.lower()} ") is KITE_WORDS[word]
