"""The gateway's journal in PostgreSQL: intents before they are sent, everything heard before it is told.

One gateway per run (an advisory lock), two connections, each for one thread. New intents and their orders go
by the first, in one round trip, so that a request never waits behind the bookkeeping of earlier ones; all
else goes by the second. Rows of `order_events` are the outbox: each has a gap-free `seq`, and what was not
surely published is published again after a restart, under the same numbers. Any failure here ends the
process: it is started again and finds the truth by looking.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import psycopg
import sqlalchemy as sa

from broker_adapter.gateway.desk import Change, OrderFile
from kitepilot.events import ApprovedIntent, Filled, OrderJournaled, OrderStatus, OrderUpdated, Purpose, Side
from kitepilot.orders.order_machine import OrderTruth
from kitepilot.topics import INTENTS

CONSUMER = "gateway"
PUBLISHER = "gateway.publisher"
OUTBOX = "order_events"
CONNECT_TIMEOUT_S = 60.0

Told = OrderUpdated | Filled


class JournalError(RuntimeError):
    """The journal cannot be used; nothing may be sent without it."""


class Entry(NamedTuple):
    """One numbered line, as it goes out: `told` to `session` (or nothing), `journaled` to `orders`."""

    seq: int
    told: Told | None
    journaled: OrderJournaled


class Progress(NamedTuple):
    """Where a gateway takes up its work."""

    next_intent: int | None  # offset in `intents`; None before the first
    unpublished: list[Entry]


_ADD_INTENT = """
    INSERT INTO intents (run_id, intent_id, seq, signal_id, verdict_id, config_hash, strategy, purpose, token,
        tradingsymbol, side, quantity, order_type, limit_price_paise, validity, decision_price_paise,
        event_at_ns, protection_bps, attempt, models)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT DO NOTHING"""
_ADD_ORDER = """
    INSERT INTO orders (run_id, intent_id, slice, tag, status, quantity) VALUES (%s, %s, %s, %s, %s, %s)"""
_CHANGE_ORDER = """
    UPDATE orders SET order_id = nullif(%s, ''), status = %s, venue_status = %s, filled_quantity = %s,
        outcome = %s, message = %s, submitted_at = coalesce(%s, submitted_at),
        replied_at = coalesce(%s, replied_at), updated_at = clock_timestamp()
    WHERE run_id = %s AND intent_id = %s AND slice = %s"""
_ADD_FILL = """
    INSERT INTO fills (run_id, order_id, trade_id, intent_id, token, tradingsymbol, side, quantity,
        price_paise, traded_at_ns)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_ADD_EVENT = """
    INSERT INTO order_events (run_id, seq, intent_id, order_id, kind, body, session_seq, session_body, at_ns)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_MOVE_OFFSET = """
    INSERT INTO consumer_offsets (run_id, consumer, topic, partition, next_offset) VALUES (%s, %s, %s, 0, %s)
    ON CONFLICT (run_id, consumer, topic, partition) DO UPDATE SET next_offset = excluded.next_offset"""


def connect(url: str) -> psycopg.Connection[Any]:
    """Waits for a server that is being started again; gives up after a minute."""
    dsn = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    deadline = time.monotonic() + CONNECT_TIMEOUT_S
    while True:
        try:
            connection = psycopg.connect(dsn, connect_timeout=5)
        except psycopg.OperationalError as err:
            if time.monotonic() > deadline:
                raise JournalError(
                    f"PostgreSQL does not answer: {err}; nothing is sent without a journal"
                ) from err
            time.sleep(0.1)
        else:
            connection.execute("SET synchronous_commit = on")
            connection.commit()
            return connection


Connect = Callable[[str], psycopg.Connection[Any]]


class Journal:
    """The journal of one run: `open` from one thread, everything else from one other."""

    def __init__(self, url: str, run_id: str, connect: Connect = connect) -> None:
        self.run_id = run_id
        self._connection = connect(url)
        self._opening = connect(url)
        self._take_lock()
        self._seq = self._next("seq")
        self._session_seq = self._next("session_seq")
        self._connection.commit()

    def close(self) -> None:
        self._connection.close()
        self._opening.close()

    def open(self, changes: Sequence[Change], next_intent: int) -> None:
        """New orders, their intents, and how far `intents` has been taken: durable on return.

        Their lines follow by `write`, perhaps after the request; `unopened` finds those that a crash cut off.
        """
        files = [change.file for change in changes]
        heads = [_intent_row(self.run_id, file.intent) for file in files if file.slice == 0]
        rows = [_new_order_row(self.run_id, file) for file in files]
        opening = self._opening
        try:
            with opening.pipeline(), opening.transaction(), opening.cursor() as cursor:
                if files:
                    cursor.executemany(_ADD_INTENT, heads)
                    cursor.executemany(_ADD_ORDER, rows)
                cursor.execute(_MOVE_OFFSET, (self.run_id, CONSUMER, INTENTS.name, next_intent))
        except psycopg.errors.UniqueViolation as err:
            raise JournalError(f"journaled already, another gateway writes here: {err}") from err

    def unopened(self) -> set[str]:
        """Tags of orders that were journaled and whose first line was not."""
        with self._connection.transaction():
            return {tag for (tag,) in self._connection.execute(_UNOPENED, (self.run_id,)).fetchall()}

    def write(self, changes: Sequence[Change]) -> list[Entry]:
        """All changes in one durable transaction."""
        connection = self._connection
        with connection.pipeline(), connection.transaction(), connection.cursor() as cursor:
            return [entry for change in changes for entry in self._apply(cursor, change)]

    def published(self, next_seq: int) -> None:
        """Everything below `next_seq` is on the log. Lost on a crash, it only causes repetition."""
        with self._connection.transaction():
            self._connection.execute("SET LOCAL synchronous_commit = off")
            self._connection.execute(_MOVE_OFFSET, (self.run_id, PUBLISHER, OUTBOX, next_seq))

    def progress(self) -> Progress:
        """What an earlier gateway of this run left behind."""
        with self._connection.transaction():
            done = self._offset(PUBLISHER, OUTBOX) or 0
            rows = self._connection.execute(_UNPUBLISHED, (self.run_id, done)).fetchall()
            return Progress(self._offset(CONSUMER, INTENTS.name), [_entry(*row) for row in rows])

    def files(self) -> list[OrderFile]:
        """All orders of the run with their trades, as of the last transaction."""
        with self._connection.transaction():
            rows = self._connection.execute(_FILES, (self.run_id,)).fetchall()
            trades: dict[str, list[tuple[str, int]]] = {}
            for order_id, trade_id, quantity in self._connection.execute(_TRADES, (self.run_id,)).fetchall():
                trades.setdefault(order_id, []).append((trade_id, quantity))
        return [_file(row, self.run_id, trades.get(row[17], [])) for row in rows]

    def _apply(self, cursor: psycopg.Cursor[Any], change: Change) -> list[Entry]:
        file, intent = change.file, change.file.intent
        if not change.opens:
            cursor.execute(_CHANGE_ORDER, (*_order_row(change), self.run_id, intent.intent_id, file.slice))
        for trade in change.fills:
            what = (intent.intent_id, trade.token, trade.tradingsymbol, trade.side.value)
            numbers = (trade.quantity, trade.price_paise, trade.traded_at)
            cursor.execute(_ADD_FILL, (self.run_id, trade.order_id, trade.trade_id, *what, *numbers))
        entries = [self._number(line.told, line.journaled) for line in change.lines]
        for entry in entries:
            cursor.execute(_ADD_EVENT, _event_row(self.run_id, entry))
        return entries

    def _number(self, told: Told | None, journaled: OrderJournaled) -> Entry:
        seq = self._seq
        self._seq += 1
        if told is not None:
            told = msgspec.structs.replace(told, seq=self._session_seq)
            self._session_seq += 1
        return Entry(seq, told, msgspec.structs.replace(journaled, seq=seq))

    def _take_lock(self) -> None:
        key = int.from_bytes(
            hashlib.blake2b(self.run_id.encode(), digest_size=8).digest(), "big", signed=True
        )
        deadline = time.monotonic() + CONNECT_TIMEOUT_S
        while not self._one("SELECT pg_try_advisory_lock(%s)", key):
            # The server may take a moment to notice that a killed gateway is gone.
            if time.monotonic() > deadline:
                raise JournalError(f"another gateway holds the journal of run {self.run_id}: stop it first")
            time.sleep(0.05)

    def _next(self, column: str) -> int:
        query = {
            "seq": "SELECT max(seq) FROM order_events WHERE run_id = %s",
            "session_seq": "SELECT max(session_seq) FROM order_events WHERE run_id = %s",
        }[column]
        last = self._one(query, self.run_id)
        return 0 if last is None else int(last) + 1

    def _offset(self, consumer: str, topic: str) -> int | None:
        query = "SELECT next_offset FROM consumer_offsets WHERE (run_id, consumer, topic) = (%s, %s, %s)"
        found = self._one(query, self.run_id, consumer, topic)
        return None if found is None else int(found)

    def _one(self, query: str, *values: object) -> Any:
        row = self._connection.execute(query.encode(), values).fetchone()
        return row[0] if row else None


def _intent_row(run_id: str, intent: ApprovedIntent) -> tuple[object, ...]:
    who = (run_id, intent.intent_id, intent.seq, intent.signal_id, intent.verdict_id, intent.config_hash)
    what = (intent.strategy, intent.purpose.value, intent.token, intent.tradingsymbol, intent.side.value)
    how = (intent.quantity, intent.order_type, intent.limit_price_paise, intent.validity)
    ladder = (intent.protection_bps, intent.attempt, list(intent.models))
    return (*who, *what, *how, intent.decision_price_paise, intent.event_at, *ladder)


def _new_order_row(run_id: str, file: OrderFile) -> tuple[object, ...]:
    status = OrderStatus.SUBMITTING.value
    return (run_id, file.intent.intent_id, file.slice, file.tag, status, file.truth.quantity)


def _order_row(change: Change) -> tuple[object, ...]:
    state = (change.order_id, change.status.value, change.venue_status, change.filled_quantity)
    return (*state, change.outcome, change.message, _when(change.sent_at), _when(change.replied_at))


def _event_row(run_id: str, entry: Entry) -> tuple[object, ...]:
    line = entry.journaled
    told = (entry.told.seq, _json(entry.told)) if entry.told else (None, None)
    return (run_id, entry.seq, line.intent_id, line.order_id, line.kind, _json(line), *told, line.event_at)


def _when(ns: int) -> datetime | None:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1000) if ns else None


def _json(event: Told | OrderJournaled) -> str:
    return msgspec.json.encode(event).decode()


_told = msgspec.json.Decoder(OrderUpdated | Filled)
_journaled = msgspec.json.Decoder(OrderJournaled)


def _entry(seq: int, session_body: str | None, body: str) -> Entry:
    return Entry(seq, _told.decode(session_body) if session_body else None, _journaled.decode(body))


_UNPUBLISHED = """
    SELECT seq, session_body, body FROM order_events WHERE run_id = %s AND seq >= %s ORDER BY seq"""
_FILES = """
    SELECT i.intent_id, i.seq, i.signal_id, i.verdict_id, i.config_hash, i.strategy, i.purpose, i.token,
        i.tradingsymbol, i.side, i.quantity, i.order_type, i.limit_price_paise, i.validity,
        i.decision_price_paise, i.event_at_ns, o.tag, coalesce(o.order_id, ''), o.status, o.venue_status,
        o.outcome, o.message, o.quantity, i.protection_bps, i.attempt
    FROM orders o JOIN intents i USING (run_id, intent_id)
    WHERE run_id = %s ORDER BY i.seq, o.slice"""
_UNOPENED = """
    SELECT tag FROM orders o WHERE run_id = %s AND NOT EXISTS (
        SELECT FROM order_events e WHERE e.run_id = o.run_id AND e.intent_id = o.intent_id
            AND e.kind = 'submitting' AND coalesce((e.body::json ->> 'slice')::int, 0) = o.slice)"""
_TRADES = "SELECT order_id, trade_id, quantity FROM fills WHERE run_id = %s"


def _file(row: Sequence[Any], run_id: str, trades: list[tuple[str, int]]) -> OrderFile:
    intent = ApprovedIntent(
        source="journal", run_id=run_id, intent_id=row[0], seq=row[1], signal_id=row[2], verdict_id=row[3],
        config_hash=row[4], strategy=row[5], purpose=Purpose(row[6]), token=row[7], tradingsymbol=row[8],
        side=Side(row[9]), quantity=row[10], order_type=row[11], limit_price_paise=row[12], validity=row[13],
        decision_price_paise=row[14], event_at=row[15], received_at=0, signal_emitted_at=0,
        protection_bps=row[23], attempt=row[24],
    )  # fmt: skip
    filled = sum(quantity for _, quantity in trades)
    truth = OrderTruth(row[22], OrderStatus(row[18]), filled, row[19])
    return OrderFile(
        intent, row[16], truth, truth, row[17], row[20], row[21], filled, {trade_id for trade_id, _ in trades}
    )
