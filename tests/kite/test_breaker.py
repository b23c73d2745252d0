"""Closed, open, one try: a breaker over any history of answers and failures."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from broker_adapter.kite.breaker import REST_S, TRIPS_AFTER, Breaker, BreakerState


class AnyHistory(RuleBasedStateMachine):
    """Against the table in the module's first lines."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.told: list[tuple[BreakerState, BreakerState]] = []
        self.breaker = Breaker(
            "b",
            lambda _name, before, after, _why: self.told.append((before, after)),
            monotonic=lambda: self.now,
        )
        self.troubles = 0
        self.opened_at = 0.0

    @rule(seconds=st.floats(0, 2 * REST_S))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def an_answer_closes_it(self) -> None:
        self.breaker.well()
        self.troubles = 0
        assert self.breaker.health.state is BreakerState.CLOSED
        assert self.breaker.allows()

    @rule()
    def trouble_opens_it_at_the_fifth_in_a_row_or_in_the_try(self) -> None:
        before = self.breaker.health.state
        self.breaker.trouble("down")
        self.troubles += 1
        opens = before is not BreakerState.CLOSED or self.troubles >= TRIPS_AFTER
        assert self.breaker.health.state is (BreakerState.OPEN if opens else BreakerState.CLOSED)
        self.opened_at = self.now

    @rule()
    def somebody_asks(self) -> None:
        before = self.breaker.health.state
        rested = self.now - self.opened_at >= REST_S
        assert self.breaker.allows() is (before is BreakerState.CLOSED or rested)
        if before is not BreakerState.CLOSED and rested:
            assert self.breaker.health.state is BreakerState.HALF_OPEN
            assert not self.breaker.allows(), "one try, not two"
            self.opened_at = self.now

    @invariant()
    def every_change_is_told_once_and_in_order(self) -> None:
        assert all(before is not after for before, after in self.told)
        assert all(a[1] is b[0] for a, b in zip(self.told, self.told[1:], strict=False))
        last = self.told[-1][1] if self.told else BreakerState.CLOSED
        assert last is self.breaker.health.state


TestAnyHistory = AnyHistory.TestCase
