"""The gateway between a real log, a real PostgreSQL and the sandbox exchange, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec
import pytest
from trading_floor import Floor, await_true

from broker_adapter.gateway.account_watch import BreakerChange
from broker_adapter.gateway.desk import Change
from broker_adapter.gateway.journal import Entry, Journal
from broker_adapter.gateway.main import Gateway, main
from broker_adapter.kite.client import KiteBroker
from infra.postgres import book
from kitepilot import config as configuration
from kitepilot.events import (
    ApprovedIntent,
    DeadLetter,
    Filled,
    OrderJournaled,
    OrderStatus,
    OrderUpdated,
    Purpose,
    Side,
    encode,
)
from kitepilot.ports import Broker, OrderReport, Outcome, Rejected, Unknown
from kitepilot.topics import DEAD_LETTER, INTENTS, ORDERS, SESSION

pytestmark = pytest.mark.stack


@contextlib.asynccontextmanager
async def gateway(
    floor: Floor,
    broker: Broker | None = None,
    changes: deque[BreakerChange] | None = None,
    journal: Journal | None = None,
) -> AsyncIterator[Gateway]:
    engine = book.engine_of(floor.run.config.storage.database_url)
    book.begin_run(engine, floor.run)
    engine.dispose()
    journal = journal or Journal(floor.run.config.storage.database_url, floor.run.run_id)
    house = Gateway(floor.run, floor.log, journal, broker or KiteBroker(floor.run), changes)
    stopping = asyncio.Event()
    serving = asyncio.create_task(house.serve(stopping))
    try:
        yield house
    finally:
        stopping.set()
        await asyncio.wait_for(serving, 30)
        journal.close()


async def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        await asyncio.sleep(0.02)


def updates(floor: Floor) -> list[OrderUpdated]:
    return [e for e in floor.read(SESSION.name) if isinstance(e, OrderUpdated)]


def fills(floor: Floor) -> list[Filled]:
    return [e for e in floor.read(SESSION.name) if isinstance(e, Filled)]


def ended(floor: Floor, *intents: ApprovedIntent) -> Callable[[], bool]:
    names = {intent.intent_id for intent in intents}
    return lambda: names <= {u.intent_id for u in updates(floor) if u.status.terminal}


async def test_an_intent_becomes_one_order_and_its_fills_are_told_before_its_end(floor: Floor) -> None:
    intent = floor.intent()
    async with gateway(floor):
        floor.send(intent)
        await until(ended(floor, intent))
    (row,) = floor.exchange.orders_of([intent])
    assert row["tag"] == f"{intent.intent_id}00"
    told = [e for e in floor.read(SESSION.name) if isinstance(e, OrderUpdated | Filled)]
    assert [e.seq for e in told] == list(range(len(told)))
    assert sum(e.quantity for e in told if isinstance(e, Filled)) == row["filled_quantity"] > 0
    assert isinstance(told[-1], OrderUpdated)
    assert (told[-1].status.terminal, told[-1].filled_quantity) == (True, row["filled_quantity"])
    lines = floor.read(ORDERS.name)
    assert [line.seq for line in lines] == list(range(len(lines)))
    assert next(line.kind for line in lines if isinstance(line, OrderJournaled)) == "submitting"


async def test_the_book_of_record_equals_the_exchange(floor: Floor) -> None:
    intents = [floor.intent(n, side=Side.BUY if n % 2 else Side.SELL, quantity=1 + n % 3) for n in range(12)]
    async with gateway(floor):
        floor.send(*intents)
        await until(ended(floor, *intents))
    engine = book.engine_of(floor.run.config.storage.database_url)
    orders = {order.order_id: order for order in book.booked_orders(engine, floor.run.run_id)}
    trades = book.booked_fills(engine, floor.run.run_id)
    engine.dispose()
    rows = floor.exchange.orders_of(intents)
    assert [u.message for u in updates(floor) if u.status is OrderStatus.REJECTED] == []
    assert {row["order_id"]: row["filled_quantity"] for row in rows} == {
        order_id: order.filled_quantity for order_id, order in orders.items()
    }
    ours = {row["order_id"] for row in rows}
    theirs = {
        (t["order_id"], t["trade_id"], t["quantity"], t["price_paise"])
        for t in floor.exchange.get("/admin/book")["trades"]
        if t["order_id"] in ours
    }
    assert {(t.order_id, t.trade_id, t.quantity, t.price_paise) for t in trades} == theirs
    assert len(fills(floor)) == len(theirs)


def large_exit(floor: Floor, slices: int) -> ApprovedIntent:
    """An exit of so much value that it leaves in `slices` children."""
    intent = floor.intent(purpose=Purpose.EXIT)
    each = floor.run.config.broker.slice_value_rupees * 100 // intent.limit_price_paise
    return msgspec.structs.replace(intent, quantity=each * slices)


async def test_a_large_exit_leaves_in_children_and_ends_once_as_their_sum(floor: Floor) -> None:
    intent = large_exit(floor, 3)
    async with gateway(floor):
        floor.send(intent)
        await until(ended(floor, intent))
    rows = sorted(floor.exchange.orders_of([intent]), key=lambda row: row["tag"])
    assert [row["tag"] for row in rows] == [f"{intent.intent_id}{n:02d}" for n in range(3)]
    assert sum(row["quantity"] for row in rows) == intent.quantity
    filled = sum(row["filled_quantity"] for row in rows)
    told = updates(floor)
    assert [u.status.terminal for u in told].index(True) == len(told) - 1
    assert (told[-1].quantity, told[-1].filled_quantity) == (intent.quantity, filled)
    assert sum(fill.quantity for fill in fills(floor)) == filled > 0
    engine = book.engine_of(floor.run.config.storage.database_url)
    booked = book.booked_orders(engine, floor.run.run_id)
    engine.dispose()
    assert {(o.tag, o.order_id, o.filled_quantity) for o in booked} == {
        (row["tag"], row["order_id"], row["filled_quantity"]) for row in rows
    }


class RefusesOneSlice(KiteBroker):
    """The real broker behind which one slice of each order is refused."""

    def submit(self, intent: ApprovedIntent, tag: str, quantity: int) -> Outcome:
        return Rejected("RMS", "no") if tag.endswith("01") else super().submit(intent, tag, quantity)


async def test_a_refused_slice_leaves_the_others_at_the_exchange_and_in_the_books(floor: Floor) -> None:
    intent = large_exit(floor, 3)
    async with gateway(floor, RefusesOneSlice(floor.run)):
        floor.send(intent)
        await until(ended(floor, intent))
    rows = floor.exchange.orders_of([intent])
    assert sorted(row["tag"][-2:] for row in rows) == ["00", "02"]
    last = updates(floor)[-1]
    assert last.status is OrderStatus.CANCELLED
    assert last.filled_quantity == sum(row["filled_quantity"] for row in rows) > 0


async def test_the_same_intent_twice_is_sent_once(floor: Floor) -> None:
    intent = floor.intent()
    async with gateway(floor):
        floor.send(intent, intent)
        await until(ended(floor, intent))
        floor.send(intent)
        marker = floor.intent(1)
        floor.send(marker)
        await until(ended(floor, marker))
    assert len(floor.exchange.orders_of([intent])) == 1


async def test_a_refused_order_is_rejected_and_says_why(floor: Floor) -> None:
    intent = floor.intent(limit_price_paise=1)
    async with gateway(floor):
        floor.send(intent)
        await until(ended(floor, intent))
    (last,) = [u for u in updates(floor) if u.status.terminal]
    assert last.status is OrderStatus.REJECTED
    assert last.message


async def test_what_is_no_intent_of_this_run_is_buried_and_the_day_goes_on(floor: Floor) -> None:
    good, other = floor.intent(), floor.intent(1)
    strangers = [
        msgspec.structs.replace(other, run_id="paper-19990101-0001"),
        msgspec.structs.replace(other, config_hash="0" * 16),
        msgspec.structs.replace(other, intent_id="short"),
        msgspec.structs.replace(other, quantity=-3),
    ]
    floor.log.append(INTENTS.name, [b"\xc1 not msgpack", *map(encode, strangers), encode(good)])
    async with gateway(floor):
        await until(ended(floor, good))
    letters = [e for e in floor.read(DEAD_LETTER.name) if isinstance(e, DeadLetter)]
    assert len(letters) == 5
    assert [letter.seq for letter in letters] == list(range(5))
    assert letters[0].payload == b"\xc1 not msgpack"
    assert floor.exchange.orders_of([other]) == []


class LosesReplies(KiteBroker):
    """The real broker over a line that loses the reply of some requests, before or after they arrive."""

    def __init__(self, floor: Floor, arrives: Callable[[ApprovedIntent], bool]) -> None:
        super().__init__(floor.run)
        self._arrives = arrives
        self.sent: list[str] = []

    def submit(self, intent: ApprovedIntent, tag: str, quantity: int) -> Outcome:
        self.sent.append(tag)
        if self._arrives(intent):
            super().submit(intent, tag, quantity)
        return Unknown("reply lost")


async def test_an_order_whose_reply_was_lost_is_found_by_its_tag_and_not_sent_again(floor: Floor) -> None:
    intent = floor.intent()
    broker = LosesReplies(floor, lambda _: True)
    async with gateway(floor, broker):
        floor.send(intent)
        await until(ended(floor, intent))
    assert len(broker.sent) == 1
    (row,) = floor.exchange.orders_of([intent])
    assert updates(floor)[-1].order_id == row["order_id"]
    assert sum(f.quantity for f in fills(floor)) == row["filled_quantity"]


async def test_an_order_that_never_arrived_is_given_up_only_after_looking_long_enough(floor: Floor) -> None:
    intent = floor.intent()
    broker = LosesReplies(floor, lambda _: False)
    started = time.monotonic()
    async with gateway(floor, broker):
        floor.send(intent)
        await until(ended(floor, intent), 40)
    assert time.monotonic() - started >= 2.0
    assert [u.status for u in updates(floor)] == [OrderStatus.UNKNOWN, OrderStatus.REJECTED]
    assert "absent" in updates(floor)[-1].message
    assert broker.sent == [f"{intent.intent_id}00"]


class BlindBook(KiteBroker):
    """The real broker whose order book cannot be read for a while."""

    fails = 3

    def orders(self) -> list[OrderReport]:
        from broker_adapter.kite.client import BrokerReadError

        if self.fails:
            self.fails -= 1
            raise BrokerReadError("orders: down")
        return super().orders()


async def test_a_book_that_cannot_be_read_for_a_while_only_delays_the_truth(floor: Floor) -> None:
    intent = floor.intent()
    async with gateway(floor, BlindBook(floor.run)):
        floor.send(intent)
        await until(ended(floor, intent), 40)
    assert len(floor.exchange.orders_of([intent])) == 1


async def test_a_restarted_gateway_goes_on_where_the_last_one_stopped(floor: Floor) -> None:
    first, second = floor.intent(), floor.intent(1)
    async with gateway(floor):
        floor.send(first)
        await until(ended(floor, first))
    floor.send(second)
    async with gateway(floor):
        await until(ended(floor, second))
    assert len(floor.exchange.orders_of([first, second])) == 2
    told = [e for e in floor.read(SESSION.name) if isinstance(e, OrderUpdated | Filled)]
    numbers = [e.seq for e in told]
    assert sorted(set(numbers)) == list(range(max(numbers) + 1))


async def test_a_resting_order_is_followed_until_the_market_comes_to_it(floor: Floor) -> None:
    quiet = floor.intent(validity="DAY", purpose=Purpose.EXIT)
    far = msgspec.structs.replace(quiet, limit_price_paise=_below(floor, quiet))
    async with gateway(floor) as house:
        floor.send(far)
        await until(lambda: any(u.status is OrderStatus.WORKING for u in updates(floor)))
        (row,) = floor.exchange.orders_of([far])
        await asyncio.to_thread(KiteBroker(floor.run).cancel, row["order_id"])
        await until(ended(floor, far))
        assert house.desk.live() == []
    assert updates(floor)[-1].status is OrderStatus.CANCELLED


def _below(floor: Floor, intent: ApprovedIntent) -> int:
    instrument = next(i for i in floor.instruments if i.token == intent.token)
    away = intent.decision_price_paise * 98 // 100
    return away - away % instrument.tick_size_paise


class StandsStill(Journal):
    """The real journal, whose bookkeeping waits for a disk that does not come back until it is let go."""

    def __init__(self, floor: Floor) -> None:
        super().__init__(floor.run.config.storage.database_url, floor.run.run_id)
        self.let_go = threading.Event()

    def write(self, changes: Sequence[Change]) -> list[Entry]:
        if any(change.opens for change in changes):
            assert self.let_go.wait(30)
        return super().write(changes)


async def test_a_new_intent_is_sent_while_the_bookkeeping_of_earlier_ones_stands_still(floor: Floor) -> None:
    first, second = floor.intent(), floor.intent(1)
    journal = await asyncio.to_thread(StandsStill, floor)
    async with gateway(floor, journal=journal):
        floor.send(first)
        await until(lambda: len(floor.exchange.orders_of([first])) == 1)
        floor.send(second)
        await until(lambda: len(floor.exchange.orders_of([second])) == 1)
        assert not floor.read(ORDERS.name), "nothing was told meanwhile"
        journal.let_go.set()
        await until(ended(floor, first, second))
    lines = [e for e in floor.read(ORDERS.name) if isinstance(e, OrderJournaled)]
    assert {e.intent_id for e in lines if e.kind == "submitting"} == {first.intent_id, second.intent_id}


def test_the_process_trades_until_sigterm_and_ends_cleanly(floor: Floor) -> None:
    intent = floor.intent()
    floor.send(intent)

    def stop_when_done() -> None:
        await_true(floor.run.ready_file("gateway").exists)
        await_true(ended(floor, intent))
        os.kill(os.getpid(), signal.SIGTERM)

    stopper = threading.Thread(target=stop_when_done)
    stopper.start()
    assert main(floor.run) == 0
    stopper.join()
    assert len(floor.exchange.orders_of([intent])) == 1


def test_without_a_database_or_a_login_the_process_says_what_is_missing(
    floor: Floor, capsys: pytest.CaptureFixture[str]
) -> None:
    (floor.run.folder / "session.sealed").unlink()
    assert main(floor.run) == 1
    assert "a login is needed" in capsys.readouterr().err
    homeless = dataclasses.replace(floor.run, config=configuration.Config())
    assert main(homeless) == 1
    assert "no embedded PostgreSQL" in capsys.readouterr().err
