"""What was found at the broker besides our orders' own life -> PostgreSQL first, then `session`.

Foreign orders and fills, alarms, reconciliations, and facts (funds, circuit limits, the clock). They have a
connection, a numbering (source `gateway.findings`) and a task of their own, so that they never stand in the
way of an order. Each is a row of `findings` before it is told; what was not surely told is told again after a
restart under the same number.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import psycopg

from broker_adapter.gateway.books import BookedTrade, JournalView, OurOrder
from broker_adapter.gateway.foreign import SOURCE
from broker_adapter.gateway.journal import Connect, connect
from broker_adapter.kite.clock import Machine
from kitepilot.events import (
    Alarmed,
    BandsMarked,
    ClockMeasured,
    ForeignFilled,
    ForeignOrderUpdated,
    FundsMarked,
    OrderStatus,
    Reconciled,
    Side,
    encode,
)
from kitepilot.ports import EventLog
from kitepilot.topics import SESSION

QUEUED = 1_000
BATCH = 100
PUBLISHER = "gateway.findings"
OUTBOX = "findings"

Fact = FundsMarked | BandsMarked | ClockMeasured
Finding = ForeignOrderUpdated | ForeignFilled | Alarmed | Reconciled | Fact
_findings = msgspec.json.Decoder(Finding)

_ADD = "INSERT INTO findings (run_id, seq, kind, body, at_ns) VALUES (%s, %s, %s, %s, %s)"
_KEEP_ORDER = """
    INSERT INTO foreign_orders (run_id, order_id, token, tradingsymbol, side, product, quantity,
        filled_quantity, status, venue_status, placed_by, by_broker, seen_at_ns, updated_at_ns)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (run_id, order_id) DO UPDATE SET filled_quantity = excluded.filled_quantity,
        status = excluded.status, venue_status = excluded.venue_status,
        updated_at_ns = excluded.updated_at_ns"""
_ADD_FILL = """
    INSERT INTO foreign_fills (run_id, order_id, trade_id, token, tradingsymbol, side, quantity, price_paise,
        by_broker, traded_at_ns)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_ADD_RECONCILIATION = """
    INSERT INTO reconciliations (run_id, seq, occasion, verdict, orders, trades, positions, differences,
        at_ns)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_MOVE_OFFSET = """
    INSERT INTO consumer_offsets (run_id, consumer, topic, partition, next_offset) VALUES (%s, %s, %s, 0, %s)
    ON CONFLICT (run_id, consumer, topic, partition) DO UPDATE SET next_offset = excluded.next_offset"""
_ORDERS = """
    SELECT o.tag, coalesce(o.order_id, ''), i.token, i.side, o.quantity, o.status
    FROM orders o JOIN intents i USING (run_id, intent_id) WHERE run_id = %s"""
_FILLS = "SELECT order_id, trade_id, token, side, quantity, price_paise FROM fills WHERE run_id = %s"
_FOREIGN_FILLS = _FILLS.replace("fills", "foreign_fills")
_EARLIER = "SELECT tag FROM orders WHERE run_id <> %s AND tag = ANY(%s)"


class FindingsBook:
    """The tables of one run. Not thread-safe: use it from one thread."""

    def __init__(self, url: str, run_id: str, connect: Connect = connect) -> None:
        self.run_id = run_id
        self._connection = connect(url)
        with self._connection.transaction():
            last = self._one("SELECT max(seq) FROM findings WHERE run_id = %s")
        self._next = 0 if last is None else last + 1

    def close(self) -> None:
        self._connection.close()

    def unpublished(self) -> list[Finding]:
        """What an earlier gateway of this run wrote and perhaps did not tell."""
        with self._connection.transaction():
            done = self._one(
                "SELECT next_offset FROM consumer_offsets WHERE run_id = %s AND consumer = %s", PUBLISHER
            )
            rows = self._all(
                "SELECT body FROM findings WHERE run_id = %s AND seq >= %s ORDER BY seq", done or 0
            )
        return [_findings.decode(body) for (body,) in rows]

    def foreign(self) -> list[tuple[ForeignOrderUpdated, list[tuple[str, int]]]]:
        """Each foreign order as it was told last, with its trades as (id, quantity)."""
        with self._connection.transaction():
            bodies = self._all(
                "SELECT body FROM findings WHERE run_id = %s AND kind = %s ORDER BY seq",
                "ForeignOrderUpdated",
            )
            fills = self._all(_FOREIGN_FILLS)
        last = {told.order_id: told for told in (_findings.decode(body) for (body,) in bodies)}
        return [
            (told, [(row[1], row[4]) for row in fills if row[0] == told.order_id])
            for told in last.values()
            if isinstance(told, ForeignOrderUpdated)
        ]

    def write(self, findings: Sequence[Finding]) -> list[Finding]:
        """All of them in one durable transaction, numbered as they will be told."""
        numbered: list[Finding] = [
            msgspec.structs.replace(each, seq=self._next + number) for number, each in enumerate(findings)
        ]
        with self._connection.transaction(), self._connection.cursor() as cursor:
            for each in numbered:
                body = msgspec.json.encode(each).decode()
                cursor.execute(_ADD, (self.run_id, each.seq, type(each).__name__, body, each.event_at))
                self._apply(cursor, each)
        self._next += len(numbered)
        return numbered

    def published(self, next_seq: int) -> None:
        """Everything below is on the log. Lost in a crash it only causes repetition."""
        with self._connection.transaction():
            self._connection.execute("SET LOCAL synchronous_commit = off")
            self._connection.execute(_MOVE_OFFSET, (self.run_id, PUBLISHER, OUTBOX, next_seq))

    def journal(self, tags: Sequence[str]) -> JournalView:
        """The journal's side of a reconciliation; `tags` are those the broker's book shows."""
        with self._connection.transaction():
            orders = [
                OurOrder(tag, order_id, token, Side(side), quantity, OrderStatus(status))
                for tag, order_id, token, side, quantity, status in self._all(_ORDERS)
            ]
            adopted = self._all("SELECT order_id FROM foreign_orders WHERE run_id = %s")
            return JournalView(
                orders=tuple(orders),
                fills=tuple(_booked(row) for row in self._all(_FILLS)),
                foreign_orders=frozenset(order_id for (order_id,) in adopted),
                foreign_fills=tuple(_booked(row) for row in self._all(_FOREIGN_FILLS)),
                earlier_tags=frozenset(tag for (tag,) in self._all(_EARLIER, list(tags))),
            )

    def _apply(self, cursor: psycopg.Cursor[Any], found: Finding) -> None:
        match found:
            case ForeignOrderUpdated():
                cursor.execute(_KEEP_ORDER, (self.run_id, *_order_row(found)))
            case ForeignFilled():
                cursor.execute(_ADD_FILL, (self.run_id, *_fill_row(found)))
            case Reconciled():
                cursor.execute(_ADD_RECONCILIATION, (self.run_id, *_reconciliation_row(found)))

    def _all(self, query: str, *more: object) -> list[Any]:
        return self._connection.execute(query.encode(), (self.run_id, *more)).fetchall()

    def _one(self, query: str, *more: object) -> Any:
        rows = self._all(query, *more)
        return rows[0][0] if rows else None


class Findings:
    """Tells findings in the order they were handed in. All methods run on the event loop."""

    def __init__(self, book: FindingsBook, log: EventLog, machine: Machine = time) -> None:
        self._machine = machine
        self._book = book
        self._log = log
        self._waiting: asyncio.Queue[list[Finding]] = asyncio.Queue(QUEUED)
        self._thread = ThreadPoolExecutor(1, "findings")

    def close(self) -> None:
        self._thread.shutdown()
        self._book.close()

    async def tell(self, findings: Iterable[Finding]) -> None:
        """Hand in and do not wait for the disk. Waits only when a thousand are waiting."""
        listed = list(findings)
        if listed:
            await self._waiting.put(listed)

    async def told(self) -> None:
        """Everything handed in so far is durable and on the log."""
        await self._waiting.join()

    async def restore(self) -> list[tuple[ForeignOrderUpdated, list[tuple[str, int]]]]:
        """Tell again what may not have been told; returns the foreign orders known. Call it before `run`."""
        unpublished = await self._on_thread(self._book.unpublished)
        if unpublished:
            await self._on_thread(self._publish, unpublished)
        known: list[tuple[ForeignOrderUpdated, list[tuple[str, int]]]] = await self._on_thread(
            self._book.foreign
        )
        return known

    async def journal(self, tags: Sequence[str]) -> JournalView:
        """The journal's side of a reconciliation."""
        view: JournalView = await self._on_thread(self._book.journal, tags)
        return view

    async def run(self) -> None:
        """Ends by cancellation or with the first failure: what cannot be journaled is not told."""
        while True:
            batches = [await self._waiting.get()]
            while not self._waiting.empty() and len(batches) < BATCH:
                batches.append(self._waiting.get_nowait())
            findings = [each for batch in batches for each in batch]
            await self._on_thread(self._write_and_publish, findings)
            for _ in batches:
                self._waiting.task_done()

    def _write_and_publish(self, findings: list[Finding]) -> None:
        self._publish(self._book.write(findings))

    def _publish(self, numbered: list[Finding]) -> None:
        now = self._machine.time_ns()
        self._log.append(SESSION.name, [encode(each, emitted_at=now) for each in numbered])
        self._book.published(numbered[-1].seq + 1)

    async def _on_thread(self, work: Any, *given: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)


def alarm(
    run_id: str, now: int, kind: str, subject: str, detail: str, *, halts: bool, state: str = ""
) -> Alarmed:
    """An alarm ready to be told. `now` is session time, ns."""
    return Alarmed(
        source=SOURCE,
        seq=0,
        event_at=now,
        run_id=run_id,
        kind=kind,
        subject=subject,
        detail=detail,
        halts=halts,
        state=state,
    )


def _booked(row: Sequence[Any]) -> BookedTrade:
    order_id, trade_id, token, side, quantity, price_paise = row
    return BookedTrade(order_id, trade_id, token, Side(side), quantity, price_paise)


def _order_row(told: ForeignOrderUpdated) -> tuple[object, ...]:
    what = (told.order_id, told.token, told.tradingsymbol, told.side.value, told.product, told.quantity)
    state = (told.filled_quantity, told.status.value, told.venue_status, told.placed_by, told.by_broker)
    return (*what, *state, told.event_at, told.event_at)


def _fill_row(told: ForeignFilled) -> tuple[object, ...]:
    what = (told.order_id, told.trade_id, told.token, told.tradingsymbol, told.side.value)
    return (*what, told.quantity, told.price_paise, told.by_broker, told.filled_at)


def _reconciliation_row(told: Reconciled) -> tuple[object, ...]:
    counts = (told.orders, told.trades, told.positions)
    differences = msgspec.json.encode(told.differences).decode()
    return (told.seq, told.occasion, told.verdict, *counts, differences, told.event_at)
