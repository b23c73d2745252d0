"""Kite's rate limits at the limit and one past it, in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_adapter.sandbox.errors import KiteError
from broker_adapter.sandbox.limits import (
    ORDERS_PER_DAY,
    ORDERS_PER_MINUTE,
    PER_SECOND,
    RateLimiter,
)

S = 1_000_000_000


class Hands:
    """Both clocks, moved by hand; machine time runs along."""

    def __init__(self) -> None:
        self.session = self.machine = 1_000 * 60 * S
        self.saved = b""
        self.limiter = self.restarted()

    def restarted(self) -> RateLimiter:
        return RateLimiter(lambda: self.session, lambda: self.machine, self._keep)

    def _keep(self, saved: bytes) -> None:
        self.saved = saved

    def pass_s(self, seconds: float) -> None:
        self.session += int(seconds * S)
        self.machine += int(seconds * S)

    def refused(self, call) -> str:
        with pytest.raises(KiteError) as refusal:
            call()
        assert (refusal.value.status, refusal.value.error_type) == (429, "NetworkException")
        return refusal.value.message

    def place_at_a_legal_pace(self, orders: int) -> None:
        for number in range(orders):
            if number and number % 6 == 0:
                self.pass_s(1)
            self.limiter.admit_placement()


@pytest.mark.parametrize(("scope", "limit"), PER_SECOND.items())
def test_a_second_takes_as_many_requests_as_kite_says_and_not_one_more(scope, limit):
    hands = Hands()
    for _ in range(limit):
        hands.limiter.admit(scope)
    assert hands.refused(lambda: hands.limiter.admit(scope)) == "Too many requests"
    hands.pass_s(1)
    hands.limiter.admit(scope)


def test_the_figures_are_those_of_the_exceptions_page():
    assert PER_SECOND == {"order": 10, "quote": 1, "candle": 3, "other": 10}
    assert (ORDERS_PER_MINUTE, ORDERS_PER_DAY) == (400, 5_000)


def test_placing_modifying_and_cancelling_share_ten_a_second():
    hands = Hands()
    for _ in range(5):
        hands.limiter.admit_placement()
        hands.limiter.admit("order")
    assert hands.refused(hands.limiter.admit_placement) == "Too many requests"


def test_a_minute_takes_four_hundred_placements_and_no_more():
    hands = Hands()
    for second in range(40):
        for _ in range(10):
            hands.limiter.admit_placement()
        assert hands.limiter.placed_today == 10 * (second + 1)
        hands.pass_s(1)
    assert hands.refused(hands.limiter.admit_placement) == "Too many requests"
    hands.limiter.admit("order")  # a cancellation is not a placement
    hands.pass_s(20)
    hands.limiter.admit_placement()


def test_the_day_takes_five_thousand_orders_and_then_refuses_exits_too():
    hands = Hands()
    hands.place_at_a_legal_pace(ORDERS_PER_DAY)
    hands.pass_s(60)
    said = hands.refused(hands.limiter.admit_placement)
    assert said == "Maximum allowed order requests exceeded"
    hands.pass_s(1)
    hands.limiter.admit("order")  # cancelling still goes


def test_legs_and_slices_count_for_the_day_but_not_for_the_second():
    hands = Hands()
    hands.limiter.admit_placement()
    hands.limiter.count_more(49)
    assert hands.limiter.placed_today == 50
    for _ in range(9):
        hands.limiter.admit_placement()
    assert hands.refused(hands.limiter.admit_placement) == "Too many requests"


def test_a_refused_request_does_not_use_up_the_day():
    hands = Hands()
    for _ in range(10):
        hands.limiter.admit_placement()
    hands.refused(hands.limiter.admit_placement)
    assert hands.limiter.placed_today == 10


def test_a_restart_forgets_neither_the_day_nor_the_minute():
    hands = Hands()
    for _ in range(39):
        for _ in range(10):
            hands.limiter.admit_placement()
        hands.pass_s(1)
    hands.limiter = hands.restarted()
    hands.limiter.restore(hands.saved)
    assert hands.limiter.placed_today == 390
    for _ in range(10):
        hands.limiter.admit_placement()
    hands.pass_s(1)
    assert hands.refused(hands.limiter.admit_placement) == "Too many requests"


def test_while_session_time_stands_a_second_of_the_machine_opens_the_next_window():
    hands = Hands()
    hands.limiter.admit("quote")
    hands.machine += S - 1
    hands.refused(lambda: hands.limiter.admit("quote"))
    hands.machine += 1
    hands.limiter.admit("quote")


@settings(max_examples=50)
@given(st.lists(st.integers(0, 1_500), min_size=20, max_size=300))
def test_no_calendar_second_ever_holds_more_than_ten_orders(gaps_ms):
    hands, admitted = Hands(), {}
    for gap in gaps_ms:
        hands.pass_s(gap / 1_000)
        try:
            hands.limiter.admit("order")
        except KiteError:
            continue
        second = hands.session // S
        admitted[second] = admitted.get(second, 0) + 1
    assert max(admitted.values()) <= 10
