"""The session clock: pace, credit, and what happens when it is late. Machine time is in the test's hand."""

from __future__ import annotations

import asyncio

import pytest
from small_market import SESSION, SmallMarket, ist

from broker_adapter.sandbox.errors import KiteError
from broker_adapter.sandbox.limits import RateLimiter
from broker_adapter.sandbox.player import first_instant
from broker_adapter.sandbox.session_clock import SessionClock

S = 1_000_000_000
HALF = S // 2


def nobody() -> int | None:
    return None


async def stands(step: asyncio.Task[int]) -> bool:
    """Whether the clock still waits after everything that can run has run."""
    for _ in range(20):
        await asyncio.sleep(0)
    return not step.done()


async def test_time_waits_for_the_start_and_then_moves():
    clock = SessionClock(0, "max", 20)
    step = asyncio.create_task(clock.step(HALF, nobody))
    assert await stands(step)
    clock.start()
    assert await step == HALF == clock.now()


async def test_at_max_the_session_stops_a_lead_after_its_start_until_it_is_acked():
    clock = SessionClock(0, "max", 1)
    clock.start()
    assert await clock.step(HALF, nobody) == HALF
    assert await clock.step(2 * HALF, nobody) == S
    step = asyncio.create_task(clock.step(3 * HALF, nobody))
    assert await stands(step)
    clock.ack(HALF)
    assert await step == 3 * HALF


async def test_without_any_ack_a_paced_clock_runs_free_and_after_one_it_is_held():
    clock = SessionClock(0, 100_000, 1)
    clock.start()
    for number in range(1, 11):
        assert await clock.step(number * HALF, nobody) == number * HALF
    clock.ack(S)
    step = asyncio.create_task(clock.step(11 * HALF, nobody))
    assert await stands(step)
    clock.ack(5 * S)
    assert await step == 11 * HALF


async def test_an_order_on_its_way_arrives_although_the_clock_is_held():
    clock = SessionClock(0, "max", 1)
    clock.start()
    await clock.step(S, nobody)
    assert await clock.step(S + HALF, lambda: S + 30_000_000) == S + 30_000_001
    assert clock.now() == S + 30_000_001


async def test_at_a_slow_pace_time_moves_in_steps_and_lands_on_the_half_second():
    clock = SessionClock(0, 2.0, 20)
    clock.start()
    reached = []
    while not reached or reached[-1] < HALF:
        reached.append(await clock.step(HALF, nobody))
    assert reached[-1] == HALF and len(reached) > 2
    assert reached == sorted(set(reached))


async def test_a_late_clock_slows_down_instead_of_rushing_after():
    machine = [0]
    clock = SessionClock(0, 1.0, 20, lambda: machine[0])
    clock.start()
    machine[0] = 10 * S  # the machine slept
    assert await clock.step(HALF, nobody) == HALF
    machine[0] += HALF // 2
    assert clock._ahead_ns(2 * HALF) == HALF // 2  # the next half second takes half a second again


async def test_speed_can_be_changed_on_the_way_and_nonsense_is_refused():
    clock = SessionClock(0, 0.001, 20)
    clock.start()
    step = asyncio.create_task(clock.step(HALF, nobody))
    assert await stands(step)
    clock.set_speed("max")
    assert await step == HALF
    for speed in (0, -1, 1e9, float("nan")):
        with pytest.raises(ValueError, match="speed"):
            clock.set_speed(speed)


def test_rate_limits_follow_session_seconds_but_never_lock_anybody_out_for_good():
    session, machine = [0], [0]
    limiter = RateLimiter(lambda: session[0], lambda: machine[0])

    def admitted() -> int:
        for count in range(100):
            try:
                limiter.admit("other")
            except KiteError as error:
                assert error.status == 429
                return count
        return 100

    assert admitted() == 10
    session[0] = S - 1
    assert admitted() == 0
    session[0] = S
    assert admitted() == 10
    machine[0] = S  # session time stands still for a second of the machine's
    assert admitted() == 10


def test_the_day_has_five_thousand_orders_and_the_minute_four_hundred():
    session = [0]
    limiter = RateLimiter(lambda: session[0], lambda: 0)
    placed = 0
    while placed < 5_000:
        try:
            limiter.admit_placement()
            placed += 1
        except KiteError:
            session[0] += S
        assert limiter.placed_today <= (session[0] // (60 * S) + 1) * 400
    session[0] += 60 * S
    with pytest.raises(KiteError, match="Maximum allowed order requests"):
        limiter.admit_placement()


def test_session_time_begins_where_a_recording_does_so_no_clock_ever_goes_back():
    early = ist("08:54")
    assert first_instant(SmallMarket(begins_at=early), SESSION) == early
    assert first_instant(SmallMarket(), SESSION) == SESSION.pre_open_at
    assert first_instant(SmallMarket(ends_at=SESSION.pre_open_at), SESSION) == SESSION.pre_open_at
