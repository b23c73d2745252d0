"""No calendar second, minute or day of the broker sees more than it allows, and exits pass first."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_clock import BEGIN, VirtualClock

from broker_adapter.kite.allowances import (
    CANDLES_PER_SECOND,
    DAY_NS,
    MINUTE_NS,
    MODIFICATIONS_PER_ORDER,
    ORDERS_PER_DAY,
    ORDERS_PER_MINUTE,
    ORDERS_PER_SECOND,
    OTHERS_PER_SECOND,
    QUOTES_PER_SECOND,
    SECOND_NS,
    Scope,
)
from broker_adapter.kite.clock import VenueClock
from broker_adapter.kite.limits import (
    ARRIVES_WITHIN_NS,
    BlockingLimits,
    DayCapError,
    EntryShares,
    ModificationCapError,
    PatientTime,
    RateLimits,
)

MS = 1_000_000
SHARES = EntryShares()


@dataclass(frozen=True)
class Request:
    """When it is wanted, how long it takes to the broker and back (ns), whose it is."""

    wanted: int
    out: int
    back: int
    exit: bool
    followed: bool


class Account:
    """Requests through the limits, and what the broker sees of them."""

    def __init__(self, clock: VirtualClock | None = None) -> None:
        self.clock = clock or VirtualClock()
        self.limits = RateLimits(self.clock, SHARES, monotonic=lambda: self.clock.now() / SECOND_NS)
        self.let_go: list[tuple[int, Request]] = []
        self.arrived: list[int] = []

    async def send(self, request: Request, scope: Scope = "order") -> None:
        await self.clock.reached(request.wanted, 1.0)
        if request.followed:
            async with self.limits.sending(scope, request.exit):
                await self._travel(request)
        else:
            await self.limits.admit(scope, request.exit)
            await self._travel(request)

    async def _travel(self, request: Request) -> None:
        self.let_go.append((self.clock.now(), request))
        self.arrived.append(self.clock.now() + request.out)
        await self.clock.reached(self.clock.now() + request.out + request.back, 1.0)

    def burst(self, count: int, scope: Scope = "order", exit: bool = False) -> list[int]:
        """That many at once; seconds after the beginning at which each was let go."""
        begin = self.clock.now()
        one = Request(begin, 0, 0, exit, followed=True)
        asyncio.run(self.clock.play(*(self.send(one, scope) for _ in range(count))))
        return [(at - begin) // SECOND_NS for at, _ in self.let_go]


def most(times: list[int], span_ns: int) -> int:
    """The most that fall into one calendar span."""
    return max(Counter(at // span_ns for at in times).values(), default=0)


requests = st.builds(
    Request,
    wanted=st.integers(0, 3_000).map(lambda ms: BEGIN + ms * MS),
    out=st.integers(0, ARRIVES_WITHIN_NS // MS).map(lambda ms: ms * MS),
    back=st.integers(0, 400).map(lambda ms: ms * MS),
    exit=st.booleans(),
    followed=st.booleans(),
)
slow = st.builds(
    Request,
    wanted=st.integers(0, 3_000).map(lambda ms: BEGIN + ms * MS),
    out=st.integers(0, 7_000).map(lambda ms: ms * MS),
    back=st.just(0),
    exit=st.booleans(),
    followed=st.just(True),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(requests | slow, max_size=60), st.integers(0, 999))
def test_no_second_of_the_brokers_clock_sees_more_than_ten_orders(
    wanted: list[Request], skew_ms: int
) -> None:
    account = Account()
    asyncio.run(account.clock.play(*(account.send(request) for request in wanted)))
    assert len(account.arrived) == len(wanted)
    assert most([at + skew_ms * MS for at in account.arrived], SECOND_NS) <= ORDERS_PER_SECOND
    entries = [at for at, request in account.let_go if not request.exit]
    assert most(entries, SECOND_NS) <= SHARES.per_second


@settings(max_examples=40, deadline=None)
@given(st.lists(requests, max_size=60), st.integers(0, 3_000))
def test_an_exit_never_waits_behind_entries(wanted: list[Request], at_ms: int) -> None:
    entries = [Request(r.wanted, r.out, r.back, False, r.followed) for r in wanted]
    stop = Request(BEGIN + at_ms * MS, 0, 0, True, followed=True)
    account = Account()
    asyncio.run(account.clock.play(*(account.send(request) for request in [*entries, stop])))
    assert [at for at, request in account.let_go if request.exit] == [stop.wanted]


@settings(max_examples=40, deadline=None)
@given(st.lists(requests, max_size=60))
def test_within_a_class_it_is_first_come_first_served(wanted: list[Request]) -> None:
    account = Account()
    in_order = sorted(wanted, key=lambda request: request.wanted)
    asyncio.run(account.clock.play(*(account.send(request) for request in in_order)))
    for exit in (False, True):
        sent = [request.wanted for _, request in account.let_go if request.exit is exit]
        assert sent == sorted(sent)


@pytest.mark.parametrize(
    ("scope", "limit"),
    [
        ("order", ORDERS_PER_SECOND),
        ("change", ORDERS_PER_SECOND),
        ("other", OTHERS_PER_SECOND),
        ("candle", CANDLES_PER_SECOND),
        ("quote", QUOTES_PER_SECOND),
    ],
)
def test_at_the_limit_nothing_waits_and_one_past_it_waits_a_second(scope: Scope, limit: int) -> None:
    assert Account().burst(limit, scope, exit=True) == [0] * limit
    assert Account().burst(limit + 1, scope, exit=True) == [0] * limit + [1]


def test_entries_leave_two_of_ten_orders_of_a_second_to_exits() -> None:
    assert Account().burst(9) == [0] * 8 + [1]


def test_places_and_changes_share_the_second() -> None:
    account = Account()
    one = Request(BEGIN, 0, 0, True, followed=True)
    both: list[Scope] = ["order", "change"]
    asyncio.run(account.clock.play(*(account.send(one, both[n % 2]) for n in range(11))))
    assert [(at - BEGIN) // SECOND_NS for at, _ in account.let_go] == [0] * 10 + [1]
    assert account.limits.placed_today == 6, "changes do not count to the day"


@pytest.mark.parametrize(("exit", "limit"), [(True, ORDERS_PER_MINUTE), (False, SHARES.per_minute)])
def test_a_minute_has_four_hundred_orders_and_entries_leave_some_to_exits(exit: bool, limit: int) -> None:
    account = Account()
    seconds = account.burst(limit + 1, exit=exit)
    assert most(account.arrived, MINUTE_NS) == limit
    assert seconds[limit - 1] < 60 <= seconds[limit]


def test_entries_end_at_their_share_of_the_day_and_exits_go_on() -> None:
    account = Account()
    account.limits.counted(SHARES.per_day - 1)
    account.burst(1)
    with pytest.raises(DayCapError, match="no more entries today"):
        account.burst(1)
    account.burst(1, exit=True)
    assert account.limits.placed_today == SHARES.per_day + 1
    account.limits.counted(ORDERS_PER_DAY)
    account.burst(1, exit=True)  # our count may be wrong: the broker's word decides
    account.burst(1, "change")


def test_a_new_day_begins_at_midnight_in_mumbai() -> None:
    account = Account()
    account.burst(1)
    account.limits.counted(SHARES.per_day)
    hours = 15 * 3_600 - 15 * 60  # from 09:15 to midnight
    asyncio.run(account.clock.play(account.clock.reached(BEGIN + hours * SECOND_NS - 1, 1.0)))
    with pytest.raises(DayCapError):
        account.burst(1)
    asyncio.run(account.clock.play(account.clock.reached(BEGIN + hours * SECOND_NS, 1.0)))
    account.burst(1)
    assert account.limits.placed_today == 1 and hours * SECOND_NS < DAY_NS


def test_the_twenty_sixth_modification_of_an_order_is_refused_here() -> None:
    limits = Account().limits
    for _ in range(MODIFICATIONS_PER_ORDER):
        limits.modify("7")
    with pytest.raises(ModificationCapError, match="cancel it and place a new one"):
        limits.modify("7")
    limits.modify("8")


def test_after_a_429_nobody_passes_for_a_second_not_even_an_exit() -> None:
    account = Account()
    account.limits.refused("order")
    assert account.burst(3, exit=True) == [1, 1, 1]


def test_a_clock_that_shows_the_past_keeps_places_longer() -> None:
    account = Account(VirtualClock(coarse_ns=SECOND_NS // 2))
    begin = account.clock.now()
    account.burst(11, exit=True)
    assert account.let_go[-1][0] - begin == SECOND_NS + SECOND_NS // 2


def test_the_sandboxs_clock_is_further_behind_while_its_frames_wait_to_be_read() -> None:
    machine = [0.0]
    clock = VenueClock(lambda: machine[0])
    for frame in range(4):  # ten session seconds a machine second
        machine[0] = frame * 0.05
        clock.feed(BEGIN + frame * SECOND_NS // 2)
    assert clock.coarse_ns == SECOND_NS // 2
    machine[0] += 0.1
    assert clock.coarse_ns == pytest.approx(SECOND_NS // 2 + SECOND_NS, abs=10)
    machine[0] += 1.0
    assert clock.coarse_ns == SECOND_NS // 2, "the session stands still"


class Frozen:
    """A session clock that stands; a machine clock that moves when somebody is patient."""

    coarse_ns = 0

    def __init__(self) -> None:
        self.machine = 0.0

    def now(self) -> int:
        return BEGIN

    async def reached(self, at_ns: int, patience_s: float) -> bool:
        self.machine += patience_s
        return False


async def test_a_full_second_opens_again_though_the_session_clock_stands_still() -> None:
    clock = Frozen()
    limits = RateLimits(clock, SHARES, monotonic=lambda: clock.machine)
    for _ in range(3):
        await limits.admit("quote")
    assert 2 <= clock.machine <= 4


def test_a_clock_that_was_heard_late_is_not_counted_twice() -> None:
    machine, clock = [100.0], VenueClock(lambda: 0.0)
    clock.feed(BEGIN)
    time = PatientTime(clock, lambda: machine[0])
    machine[0] += 1.5  # our own process was busy: the frames wait to be read
    assert time.now() == BEGIN + SECOND_NS
    for tenth in range(1, 16):  # and now they come, one after the other
        clock.feed(BEGIN + tenth * SECOND_NS // 10)
        assert time.now() == BEGIN + max(SECOND_NS, tenth * SECOND_NS // 10)


def test_a_clock_that_did_stand_keeps_the_seconds_that_passed() -> None:
    machine, clock = [100.0], VenueClock(lambda: 0.0)
    clock.feed(BEGIN)
    time = PatientTime(clock, lambda: machine[0])
    machine[0] += 10
    assert time.now() == BEGIN + 10 * SECOND_NS
    seen = []
    for tenth in range(1, 31):
        machine[0] += 0.1
        clock.feed(BEGIN + tenth * SECOND_NS // 10)
        seen.append(time.now())
    assert seen == sorted(seen), "it never goes back"
    assert BEGIN + 11 * SECOND_NS <= seen[-1] <= BEGIN + 13 * SECOND_NS


def test_the_command_line_waits_the_same_way_without_an_event_loop() -> None:
    clock = VirtualClock()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock._now += round(seconds * SECOND_NS)

    limits = BlockingLimits(clock, SHARES, monotonic=lambda: clock.now() / SECOND_NS, sleep=sleep)
    for _ in range(CANDLES_PER_SECOND):
        with limits.sending("candle"):
            pass
    assert slept == []
    limits.admit("candle")
    assert clock.now() - BEGIN == SECOND_NS
    limits.admit("candle")
    limits.admit("candle")
    limits.admit("candle")
    assert clock.now() - BEGIN == 2 * SECOND_NS + ARRIVES_WITHIN_NS
