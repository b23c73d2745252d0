"""The desk's two truths: whatever order the news comes in, fills are told once and before the end."""

from __future__ import annotations

import asyncio
import itertools
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orders_on_paper import ID, NOW, intent, told

from broker_adapter.gateway.desk import ABSENT_AFTER_NS, ABSENT_MACHINE_NS, Change, Desk, OrderFile
from broker_adapter.gateway.submit import Submitter
from broker_adapter.kite.allowances import ORDERS_PER_SECOND
from broker_adapter.kite.clock import SECOND_NS, VenueClock, WallClock
from broker_adapter.kite.limits import EntryShares, RateLimits
from infra.fence import Fence
from kitepilot.config import BrokerSection, RiskSection
from kitepilot.events import ApprovedIntent, Filled, OrderStatus, OrderUpdated, Purpose, Side
from kitepilot.ports import (
    Accepted,
    AuthLost,
    OrderReport,
    Outcome,
    PositionReport,
    Rejected,
    Throttled,
    TradeReport,
    Unknown,
)

OPEN = Fence(Path("no-such-folder"))


def report(
    word: str, filled: int, quantity: int = 10, tag: str = f"{ID}00", order_id: str = "7"
) -> OrderReport:
    status = OrderStatus.WORKING  # the desk reads the venue's word
    return OrderReport(order_id, tag, "INFY", 408065, Side.BUY, quantity, filled, 0, status, word, "", NOW)


def trade(number: int, quantity: int) -> TradeReport:
    return TradeReport("7", f"t{number}", "INFY", 408065, Side.BUY, quantity, 100_00 + number, NOW + number)


def opened() -> tuple[Desk, OrderFile]:
    desk = Desk("r")
    (change,) = desk.open(intent(), (10,), NOW)
    return desk, change.file


def test_an_order_frame_that_overtakes_the_reply_is_believed() -> None:
    desk, file = opened()
    heard = desk.hear(report("OPEN", 0), NOW)
    assert heard is not None and heard[1] is not None
    settled = desk.settle(file, Accepted("7"), NOW, NOW, NOW, steady=NOW)
    assert file.truth.status is OrderStatus.WORKING
    assert told([settled]) == [], "the reply brought nothing new"


def test_the_end_of_an_order_waits_for_its_trades() -> None:
    desk, file = opened()
    desk.settle(file, Accepted("7"), NOW, NOW, NOW, steady=NOW)
    heard = desk.hear(report("COMPLETE", 10), NOW)
    assert heard == (file, None)
    first = desk.fill(file, [trade(1, 6)], NOW)
    assert first is not None and [type(e) for e in told([first])] == [Filled]
    second = desk.fill(file, [trade(1, 6), trade(2, 4)], NOW)
    assert second is not None
    assert [type(e) for e in told([second])] == [Filled, OrderUpdated]
    assert (second.status, second.filled_quantity) == (OrderStatus.FILLED, 10)
    assert desk.live() == []


def test_a_fill_after_the_cancel_still_counts() -> None:
    desk, file = opened()
    desk.settle(file, Accepted("7"), NOW, NOW, NOW, steady=NOW)
    desk.hear(report("CANCELLED", 0), NOW)
    assert desk.live() == []
    desk.hear(report("UPDATE", 4), NOW)
    assert desk.live() == [file]
    change = desk.fill(file, [trade(1, 4)], NOW)
    assert change is not None
    last = told([change])[-1]
    assert isinstance(last, OrderUpdated)
    assert (last.status, last.filled_quantity) == (OrderStatus.CANCELLED, 4)
    assert desk.live() == []


@given(
    st.permutations(
        [
            ("ack", 0),
            ("OPEN", 0),
            ("UPDATE", 3),
            ("UPDATE", 7),
            ("CANCELLED", 7),
            ("OPEN", 3),
            ("CANCELLED", 7),
        ]
    ),
    st.lists(st.integers(0, 2), max_size=8),
)
def test_every_order_of_the_news_tells_the_same_fills_once_and_the_end_last(
    news: list[tuple[str, int]], reads: list[int]
) -> None:
    desk, file = opened()
    trades = [trade(1, 3), trade(2, 4)]
    changes: list[Change] = []
    for (word, filled), upto in itertools.zip_longest(news, reads[: len(news)], fillvalue=2):
        if word == "ack":
            changes.append(desk.settle(file, Accepted("7"), NOW, NOW, NOW, steady=NOW))
        else:
            heard = desk.hear(report(str(word), int(filled)), NOW)
            assert heard is not None
            changes += [heard[1]] if heard[1] else []
        if file.hungry:
            change = desk.fill(file, trades[: int(upto)], NOW)
            changes += [change] if change else []
    if file.hungry:
        change = desk.fill(file, trades, NOW)
        changes += [change] if change else []
    events = told(changes)
    assert [e.trade_id for e in events if isinstance(e, Filled)] == ["t1", "t2"]
    ends = [i for i, e in enumerate(events) if isinstance(e, OrderUpdated) and e.status.terminal]
    assert ends
    last = events[-1]
    assert isinstance(last, OrderUpdated)
    assert (last.status, last.filled_quantity) == (OrderStatus.CANCELLED, 7)
    quantities = [e.filled_quantity for e in events if isinstance(e, OrderUpdated)]
    assert quantities == sorted(quantities)
    assert desk.live() == []


@pytest.mark.parametrize(
    ("outcome", "status", "kind"),
    [
        (Accepted("7"), OrderStatus.ACCEPTED, "accepted"),
        (Rejected("InputException", "bad"), OrderStatus.REJECTED, "rejected"),
        (Throttled("429"), OrderStatus.REJECTED, "throttled"),
        (AuthLost("dead"), OrderStatus.REJECTED, "rejected"),
        (Unknown("timeout"), OrderStatus.UNKNOWN, "unknown"),
    ],
)
def test_three_things_are_said_about_a_request(outcome: Outcome, status: OrderStatus, kind: str) -> None:
    desk, file = opened()
    change = desk.settle(file, outcome, NOW, NOW + 5, NOW, steady=NOW, sent_event_at=NOW - 7)
    line = change.lines[0].journaled
    assert (change.status, line.kind) == (status, kind)
    assert (line.latency_ns, line.submitted_at, line.submitted_event_at) == (5, NOW, NOW - 7)
    assert bool(desk.live()) is not status.terminal


def test_an_unknown_order_is_absent_only_after_time_on_both_clocks_and_three_looks() -> None:
    desk, file = opened()
    desk.settle(file, Unknown("timeout"), NOW, NOW, NOW, steady=NOW)
    long_ns, wall_ns = NOW + ABSENT_AFTER_NS, NOW + ABSENT_MACHINE_NS
    assert desk.missed(file, long_ns, wall_ns) is None, "one look"
    assert desk.missed(file, long_ns, wall_ns) is None, "two looks"
    assert desk.missed(file, long_ns - 1, wall_ns) is None, "too early in the session"
    assert desk.missed(file, long_ns, wall_ns - 1) is None, "too early for a request still on its way"
    change = desk.missed(file, long_ns, wall_ns)
    assert change is not None
    assert change.status is OrderStatus.REJECTED


@given(wall=st.integers(-7_200_000_000_000, 7_200_000_000_000))
def test_a_wall_clock_that_is_set_neither_proves_an_order_absent_nor_leaves_it_unknown(wall: int) -> None:
    desk, file = opened()
    desk.settle(file, Unknown("timeout"), NOW, NOW + wall, NOW + wall, steady=0)
    early, late = ABSENT_MACHINE_NS - 1, ABSENT_MACHINE_NS
    looks = [desk.missed(file, NOW + ABSENT_AFTER_NS, steady) for steady in (early, early, early, late)]
    assert [look is None for look in looks] == [True, True, True, False]


def test_an_absent_order_that_turns_up_after_all_still_moves_the_position() -> None:
    desk, file = opened()
    desk.settle(file, Unknown("timeout"), NOW, NOW, NOW, steady=NOW)
    for _ in range(3):
        desk.missed(file, NOW + ABSENT_AFTER_NS, NOW + ABSENT_AFTER_NS)
    assert desk.live() == []
    desk.hear(report("COMPLETE", 10), NOW)
    change = desk.fill(file, [trade(1, 10)], NOW)
    assert change is not None
    assert sum(e.quantity for e in told([change]) if isinstance(e, Filled)) == 10
    assert "rejected order has 10 filled" in file.seen.alarm


def test_an_order_with_an_id_that_leaves_the_book_is_unknown_for_good() -> None:
    desk, file = opened()
    desk.settle(file, Accepted("7"), NOW, NOW, NOW, steady=NOW)
    changes = [desk.missed(file, NOW + ABSENT_AFTER_NS, NOW + ABSENT_AFTER_NS) for _ in range(6)]
    assert [c.status for c in changes if c] == [OrderStatus.UNKNOWN]
    assert desk.live() == [file]


def test_orders_of_others_are_left_alone() -> None:
    desk, _ = opened()
    assert desk.hear(report("OPEN", 0, tag="", order_id="8"), NOW) is None
    assert desk.hear(report("OPEN", 0, tag=f"{ID}01", order_id="8"), NOW) is None
    assert desk.hear(report("OPEN", 0, tag="HANDMADE", order_id="8"), NOW) is None


class Counting:
    """A broker that notes the session second of each request; its answers are given."""

    def __init__(self, clock: VenueClock, answers: list[Outcome] | None = None) -> None:
        self.clock = clock
        self.answers = answers or []
        self.seconds: list[int] = []
        self.order: list[str] = []

    def submit(self, intent: ApprovedIntent, tag: str, quantity: int) -> Outcome:
        self.seconds.append(self.clock.now() // SECOND_NS)
        self.order.append(intent.intent_id)
        return self.answers.pop(0) if self.answers else Accepted(str(len(self.order)))

    def cancel(self, order_id: str) -> Outcome:
        return Accepted(order_id)

    def orders(self) -> list[OrderReport]:
        return []

    def trades(self, order_id: str | None = None) -> list[TradeReport]:
        return []

    def positions(self) -> list[PositionReport]:
        return []

    def instruments(self) -> bytes:
        return b""


async def run_clock(clock: VenueClock, seconds: int) -> None:
    for half in range(2 * seconds):
        clock.feed(NOW + half * SECOND_NS // 2)
        await asyncio.sleep(0.01)


def many(count: int, purpose: Purpose) -> list[ApprovedIntent]:
    return [
        intent(1, token=n, name=f"{'A' * 16}{chr(65 + n // 26)}{chr(65 + n % 26)}", purpose=purpose)
        for n in range(count)
    ]


@pytest.mark.parametrize(("purpose", "limit"), [(Purpose.ENTRY, 8), (Purpose.SQUARE_OFF, ORDERS_PER_SECOND)])
async def test_no_session_second_sees_more_orders_than_allowed(purpose: Purpose, limit: int) -> None:
    clock = VenueClock()
    clock.feed(NOW)
    broker = Counting(clock)
    submitter = Submitter(broker, RateLimits(clock, EntryShares()), RiskSection(), BrokerSection(), OPEN)
    ticking = asyncio.create_task(run_clock(clock, 20))
    async with asyncio.timeout(20):
        sent = await asyncio.gather(
            *(submitter.submit(i, f"{i.intent_id}00", i.quantity) for i in many(40, purpose))
        )
    ticking.cancel()
    submitter.close()
    assert all(NOW <= each.event_at <= clock.now() for each in sent)
    counts = [broker.seconds.count(second) for second in set(broker.seconds)]
    assert sum(counts) == 40
    assert max(counts) <= limit
    assert len(counts) >= 40 // limit


async def test_orders_of_one_instrument_leave_in_the_order_of_their_intents() -> None:
    clock = VenueClock()
    clock.feed(NOW)
    broker = Counting(clock)
    submitter = Submitter(broker, RateLimits(clock, EntryShares()), RiskSection(), BrokerSection(), OPEN)
    same = [intent(1, name=f"{'B' * 17}{letter}", purpose=Purpose.EXIT) for letter in "ABCDEFGH"]
    await asyncio.gather(*(submitter.submit(i, f"{i.intent_id}00", i.quantity) for i in same))
    submitter.close()
    assert broker.order == [i.intent_id for i in same]


async def test_an_exit_leaves_while_every_entry_waits_for_an_answer_that_does_not_come() -> None:
    clock = VenueClock()
    clock.feed(NOW)
    answer = threading.Event()

    class Dumb(Counting):
        def submit(self, intent: ApprovedIntent, tag: str, quantity: int) -> Outcome:
            if intent.purpose is Purpose.ENTRY:
                answer.wait()
            return super().submit(intent, tag, quantity)

    submitter = Submitter(Dumb(clock), RateLimits(clock, EntryShares()), RiskSection(), BrokerSection(), OPEN)
    entries = [asyncio.create_task(submitter.submit(i, "", i.quantity)) for i in many(8, Purpose.ENTRY)]
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(5):
            left = await submitter.submit(many(1, Purpose.EXIT)[0], "", 1)
        assert isinstance(left.outcome, Accepted)
        assert not any(entry.done() for entry in entries)
    finally:
        answer.set()
    await asyncio.gather(*entries)
    submitter.close()


async def test_only_an_order_refused_unseen_is_sent_again() -> None:
    clock = VenueClock()
    clock.feed(NOW)
    ticking = asyncio.create_task(run_clock(clock, 30))
    for answers, sends in [([Throttled(""), Accepted("7")], 2), ([Throttled("")] * 5, 3), ([Unknown("")], 1)]:
        broker = Counting(clock, list(answers))
        submitter = Submitter(broker, RateLimits(clock, EntryShares()), RiskSection(), BrokerSection(), OPEN)
        sent = await submitter.submit(intent(), f"{ID}00", 10)
        submitter.close()
        assert len(broker.order) == sends
        assert type(sent.outcome) is type(answers[min(sends, len(answers)) - 1])
    ticking.cancel()


async def test_session_clocks_wait_for_their_own_time() -> None:
    venue = VenueClock()
    venue.feed(NOW)
    venue.feed(NOW - 1)
    assert venue.now() == NOW, "time never goes back"
    assert await venue.reached(NOW, 0.01)
    assert not await venue.reached(NOW + 1, 0.01)
    wall = WallClock()
    wall.feed(NOW)
    assert await wall.reached(wall.now() + 1_000_000, 1.0)
    assert not await wall.reached(wall.now() + 10 * SECOND_NS, 0.01)
