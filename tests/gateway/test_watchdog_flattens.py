"""The watchdog on a real exchange: a gateway dies with positions open, and later finds every book equal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
import sqlalchemy as sa
from test_account_watch import place_by_hand, told
from test_gateway_trades import ended, gateway, until
from trading_floor import Exchange, Floor, opened, venue_at_leisure

from broker_adapter.kite.client import BrokerReadError, KiteBroker
from broker_adapter.watchdog import journal
from broker_adapter.watchdog.main import Watchdog
from infra.fence import Fence, Raised, Wish, ask
from kitepilot.cli.opening import decision_parameters
from kitepilot.events import (
    AccountMarked,
    Alarmed,
    ForeignFilled,
    Purpose,
    Reconciled,
    Side,
    TradingState,
    encode,
)
from kitepilot.ports import Accepted, Outcome, Unknown
from kitepilot.risk.foreign import WATCHDOG
from kitepilot.topics import DECISIONS

pytestmark = pytest.mark.stack
SILENCE_S = 2.0


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    """One of this file's own: a watchdog flattens whatever the account holds."""
    with venue_at_leisure() as venue:
        yield venue


@pytest.fixture
def watched(exchange: Exchange, postgres_url: str, tmp_path: Path) -> Iterator[Floor]:
    with opened(exchange, postgres_url, tmp_path, {"watchdog": {"silence_s": SILENCE_S}}) as floor:
        parameters = decision_parameters(floor.run, frozenset())
        (floor.run.folder / "parameters.json").write_bytes(msgspec.json.encode(parameters))
        yield floor


@asynccontextmanager
async def watchdog(floor: Floor, broker: KiteBroker | None = None) -> AsyncIterator[Watchdog]:
    dog = Watchdog(floor.run, broker or KiteBroker(floor.run))
    stopping = asyncio.Event()
    serving = asyncio.create_task(dog.serve(stopping))
    try:
        yield dog
        assert not serving.done(), serving.result()
    finally:
        stopping.set()
        await asyncio.wait_for(serving, 30)


@asynccontextmanager
async def deciding(floor: Floor) -> AsyncIterator[None]:
    """Decisions that speak: the account each machine second, at the exchange's time."""

    async def speak() -> None:
        for number in range(10_000):
            now = await asyncio.to_thread(floor.exchange.get, "/admin/state")
            said = AccountMarked(
                source="decisions", seq=number, event_at=now["session_time_ns"], run_id=floor.run.run_id,
                state=TradingState.ACTIVE, realised_paise=0, unrealised_paise=0, charges_paise=0,
                open_positions=0, gross_exposure_paise=0, working_orders=0, oldest_working_at=0, orders=0,
                fills=0,
            )  # fmt: skip
            floor.log.append(DECISIONS.name, [encode(said, emitted_at=time.time_ns())])
            await asyncio.sleep(0.3)

    speaking = asyncio.create_task(speak())
    try:
        yield
    finally:
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)


def lines(floor: Floor, kind: str) -> list[journal.Line]:
    return [line for line in journal.read(floor.run.folder / journal.FILE) if line.kind == kind]


def flat(floor: Floor) -> bool:
    return bool(lines(floor, "flat"))


def positions(floor: Floor) -> dict[int, int]:
    return {row.token: row.quantity for row in KiteBroker(floor.run).positions() if row.quantity}


async def passed(floor: Floor, session_s: float) -> None:
    """Session time goes on at five seconds a second."""
    state = floor.exchange.get("/admin/state")
    at = state["session_time_ns"] + int(session_s * 1e9)
    await until(lambda: floor.exchange.get("/admin/state")["session_time_ns"] >= at, 60)


async def bought(floor: Floor, count: int = 3) -> None:
    """`count` instruments of ours, bought through a gateway that then ends with its beat on record."""
    prices = floor.quotes()
    intents = [floor.intent(number, prices=prices) for number in range(count)]
    async with gateway(floor):
        floor.send(*intents)
        await until(ended(floor, *intents))
        await until(lambda: Fence(floor.run.folder).last_beat("gateway") is not None)


async def test_a_gateway_that_dies_with_positions_is_flattened_for_and_finds_every_book_equal(
    watched: Floor,
) -> None:
    floor = watched
    before = positions(floor)
    await bought(floor)
    through = floor.intent(side=Side.BUY).limit_price_paise / 100
    place_by_hand(floor, Side.BUY, 4, through)
    assert len(positions(floor)) == 3
    async with watchdog(floor), deciding(floor):
        await until(lambda: flat(floor), 60)
    (fence,) = lines(floor, "fence")
    assert "the gateway has been silent" in fence.detail
    left = positions(floor)
    assert sum(left.values()) - sum(before.values()) == 4, "the owner's own shares are his"
    late = floor.intent(side=Side.SELL, purpose=Purpose.EXIT)
    async with gateway(floor):
        floor.send(late)
        await until(lambda: any(e.placed_by == WATCHDOG for e in told(floor, ForeignFilled)))
        await until(lambda: any(e.kind == "fence" for e in told(floor, Alarmed)))
        await until(ended(floor, late))
    assert floor.exchange.orders_of([late]) == [], "an order passed the fence"
    assert all(e.halts for e in told(floor, Alarmed) if e.kind in ("fence", "watchdog_order", "refused"))
    closed = [e for e in told(floor, ForeignFilled) if e.placed_by == WATCHDOG]
    assert sum(e.side.sign * e.quantity for e in closed) == -9
    assert list(told(floor, Reconciled))[-1].verdict == "equal", list(told(floor, Reconciled))[-1].differences
    assert sent_lines(floor) == copied(floor)


def sent_lines(floor: Floor) -> list[tuple[Any, ...]]:
    found = journal.read(floor.run.folder / journal.FILE)
    return [
        (line.kind, line.intent_id, line.config_hash, line.reason)
        for line in found
        if line.kind in journal.ORDER_KINDS
    ]


def copied(floor: Floor) -> list[tuple[Any, ...]]:
    url = sa.make_url(floor.run.config.storage.database_url).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as db:
        query = (
            "SELECT kind, intent_id, config_hash, reason FROM watchdog_orders WHERE run_id = %s ORDER BY seq"
        )
        return db.execute(query, (floor.run.run_id,)).fetchall()


class Forgetful(KiteBroker):
    """Its first order request is taken and its reply is lost."""

    lost = 0

    def submit(self, *given: Any) -> Outcome:
        outcome = super().submit(*given)
        if isinstance(outcome, Accepted) and not self.lost:
            self.lost += 1
            return Unknown("the reply never came")
        return outcome


async def test_an_exit_whose_reply_was_lost_is_looked_up_and_never_sent_twice(watched: Floor) -> None:
    floor = watched
    await bought(floor)
    before = {line["order_id"] for line in floor.exchange.get("/admin/book")["orders"]}
    broker = Forgetful(floor.run)
    async with watchdog(floor, broker):
        assert ask(floor.run.folder, Wish(command_id="1", by="test", reason="enough", at=0))
        await until(lambda: flat(floor), 60)
    assert broker.lost == 1
    ours = [r for r in floor.exchange.get("/admin/book")["orders"] if r["order_id"] not in before]
    sold: dict[str, int] = {}
    for row in ours:
        sold[row["tradingsymbol"]] = sold.get(row["tradingsymbol"], 0) + int(row["filled_quantity"])
    assert set(sold.values()) == {3}, sold


class Deaf(KiteBroker):
    """Cannot be read until told."""

    hears = False

    def orders(self) -> Any:
        if not self.hears:
            raise BrokerReadError("nobody answers")
        return super().orders()


async def test_while_the_broker_cannot_be_asked_it_calls_a_person_and_flattens_once_it_can(
    watched: Floor,
) -> None:
    floor = watched
    await bought(floor, 1)
    broker = Deaf(floor.run)
    async with watchdog(floor, broker), deciding(floor):
        await until(lambda: bool(lines(floor, "alarm")), 60)
        assert not Fence(floor.run.folder).stands() and lines(floor, "sending") == []
        broker.hears = True
        await until(lambda: flat(floor), 60)
    assert "cannot be asked" in lines(floor, "alarm")[0].detail


async def test_a_watchdog_that_is_killed_behind_its_fence_goes_on_where_it_was(watched: Floor) -> None:
    floor = watched
    await bought(floor)
    Fence(floor.run.folder).up(Raised(at=time.time_ns(), reason="an earlier watchdog's", by="watchdog"))
    async with watchdog(floor):
        await until(lambda: flat(floor), 60)
    assert {line.reason for line in lines(floor, "sending")} == {"an earlier watchdog's"}


async def test_nothing_is_done_while_both_speak_and_nothing_before_anybody_has_spoken(watched: Floor) -> None:
    floor = watched
    async with watchdog(floor):
        await passed(floor, 10 * SILENCE_S)
        assert not Fence(floor.run.folder).stands(), "before the first word"
        prices = floor.quotes()
        intents = [floor.intent(number, prices=prices) for number in range(2)]
        async with gateway(floor), deciding(floor):
            floor.send(*intents)
            await until(ended(floor, *intents))
            await passed(floor, 10 * SILENCE_S)
            assert not Fence(floor.run.folder).stands(), "while both speak"
            assert lines(floor, "alarm") == []
            assert ask(floor.run.folder, Wish(command_id="1", by="test", reason="enough", at=0))
            await until(lambda: flat(floor), 60)
