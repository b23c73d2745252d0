"""Somebody else trades the same account, on a real exchange: adopted, told, reconciled, never touched."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from test_gateway_trades import ended, gateway, until
from trading_floor import Floor

from broker_adapter.gateway.account_watch import BreakerChange
from broker_adapter.kite.breaker import TRIPS_AFTER
from broker_adapter.kite.client import BrokerReadError, KiteBroker
from broker_adapter.kite.session import KITE_VERSION, load
from infra.postgres import book
from infra.postgres.tables import foreign_orders, reconciliations
from kitepilot.events import Alarmed, AnyEvent, ForeignFilled, ForeignOrderUpdated, Purpose, Reconciled, Side
from kitepilot.risk.ladder import ASK_BROKER_AFTER
from kitepilot.topics import SESSION

pytestmark = pytest.mark.stack


class WatchedBroker(KiteBroker):
    """The real one; every order that a request names is written down."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.named: list[str] = []

    def cancel(self, order_id: str) -> Any:
        self.named.append(order_id)
        return super().cancel(order_id)

    def modify(self, order_id: str, limit_price_paise: int) -> Any:
        self.named.append(order_id)
        return super().modify(order_id, limit_price_paise)


def place_by_hand(floor: Floor, side: Side, quantity: int, price: float, number: int = 0) -> str:
    """As the owner would from his phone: no tag. Returns the broker's order id."""
    held = load(floor.run)
    form = {
        "exchange": "NSE", "tradingsymbol": floor.instruments[number].tradingsymbol, "product": "MIS",
        "transaction_type": side.value, "quantity": quantity, "order_type": "LIMIT", "price": price,
        "validity": "DAY",
    }  # fmt: skip
    headers = {**KITE_VERSION, "Authorization": f"token {held.api_key}:{held.access_token}"}
    url = f"{floor.exchange.rest}/orders/regular"
    reply = httpx.post(url, data=form, headers=headers, trust_env=False)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["data"]["order_id"])


def told(floor: Floor, kind: type[AnyEvent]) -> Iterator[Any]:
    return (event for event in floor.read(SESSION.name) if isinstance(event, kind))


def rows(floor: Floor, table: sa.Table) -> list[Any]:
    engine = book.engine_of(floor.run.config.storage.database_url)
    with engine.connect() as db:
        found = db.execute(sa.select(table).where(table.c.run_id == floor.run.run_id)).all()
    engine.dispose()
    return list(found)


async def test_an_order_by_hand_is_adopted_told_with_its_trades_and_never_touched(floor: Floor) -> None:
    broker = WatchedBroker(floor.run)
    through = floor.intent(side=Side.BUY).limit_price_paise / 100
    ours = floor.intent(1)
    async with gateway(floor, broker):
        floor.send(ours)
        filled = place_by_hand(floor, Side.BUY, 4, through)
        resting = place_by_hand(floor, Side.BUY, 1, round(through * 0.97, 1))
        await until(lambda: sum(e.quantity for e in told(floor, ForeignFilled) if e.order_id == filled) == 4)
        await until(lambda: resting in {e.order_id for e in told(floor, ForeignOrderUpdated)})
        await until(ended(floor, ours))
    assert broker.named == [], "a request named an order"
    live = [r for r in floor.exchange.get("/admin/book")["orders"] if r["order_id"] == resting]
    assert live[0]["status"] == "OPEN"
    alarms = {e.subject: e for e in told(floor, Alarmed)}
    assert alarms[filled].kind == "foreign_order" and not alarms[filled].halts
    kept = {row.order_id: row for row in rows(floor, foreign_orders)}
    assert (kept[filled].status, kept[filled].filled_quantity) == ("filled", 4)
    assert kept[resting].status == "working"
    mine = {r["order_id"] for r in floor.exchange.orders_of([ours])}
    assert not mine & kept.keys(), "our own order was taken for a stranger's"


async def test_the_account_is_reconciled_on_the_start_and_at_the_end_and_equal(floor: Floor) -> None:
    intents = [floor.intent(n) for n in range(3)]
    async with gateway(floor):
        floor.send(*intents)
        await until(ended(floor, *intents))
    found = list(told(floor, Reconciled))
    assert (found[0].occasion, found[-1].occasion) == ("start", "end_of_day")
    assert [each.verdict for each in found if each.verdict == "halt"] == [], found[-1].differences
    assert found[-1].verdict == "equal" and found[-1].trades > 0 and found[-1].positions > 0
    assert [(r.seq, r.occasion, r.verdict) for r in rows(floor, reconciliations)] == [
        (each.seq, each.occasion, each.verdict) for each in found
    ]


async def test_a_second_gateway_of_the_run_tells_of_a_foreign_order_only_what_is_new(floor: Floor) -> None:
    price = floor.intent(side=Side.BUY).limit_price_paise / 100
    async with gateway(floor):
        order_id = place_by_hand(floor, Side.BUY, 2, price)
        await until(lambda: any(e.order_id == order_id for e in told(floor, ForeignFilled)))
    async with gateway(floor):
        pass
    about = [e for e in told(floor, ForeignFilled) if e.order_id == order_id]
    assert len({e.trade_id for e in about}) == len(about) and sum(e.quantity for e in about) == 2
    assert sum(e.subject == order_id for e in told(floor, Alarmed)) == 1
    numbers = [e.seq for e in floor.read(SESSION.name) if e.source == "gateway.findings"]
    assert numbers == list(range(len(numbers)))


async def test_an_exit_that_finds_nobody_asks_the_broker_at_once(floor: Floor) -> None:
    intent = floor.intent(purpose=Purpose.EXIT, attempt=ASK_BROKER_AFTER)
    async with gateway(floor):
        floor.send(intent)
        await until(lambda: "exit_ladder" in {e.occasion for e in told(floor, Reconciled)})


class RefusingBroker(WatchedBroker):
    """Nobody answers reads for a while; the breaker is the real one."""

    down = False

    def orders(self) -> Any:
        if self.down:
            for _ in range(TRIPS_AFTER):
                self._reads.trouble("nobody answers")
            raise BrokerReadError("orders: nobody answers")
        return super().orders()


async def test_a_broker_that_does_not_answer_is_an_alarm_and_the_gateway_goes_on(floor: Floor) -> None:
    changes: deque[BreakerChange] = deque(maxlen=10)
    broker = RefusingBroker(floor.run, lambda *change: changes.append(change))
    intent = floor.intent(purpose=Purpose.EXIT)
    async with gateway(floor, broker, changes):
        broker.down = True
        await until(lambda: "breaker" in {e.kind for e in told(floor, Alarmed)})
        broker.down = False
        floor.send(intent)
        await until(ended(floor, intent))
    alarm = next(e for e in told(floor, Alarmed) if e.kind == "breaker")
    assert alarm.state == "open"
    assert (alarm.subject, alarm.halts) == ("kite.reads", False)
    assert alarm.detail == "closed to open: nobody answers"
