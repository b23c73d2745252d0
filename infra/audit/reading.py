"""Reads the audit back from PostgreSQL, in any length: a server-side cursor, some thousand rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString

import msgspec
import psycopg
from psycopg import sql

from infra.audit.trail import COLUMNS, Place, connect, positions
from kitepilot.audit.records import GENESIS, Head, Record
from kitepilot.audit.seals import Seal

FETCH = 2_000
CONNECT_WITHIN_S = 5.0
_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
#: An order's rows: by its intent, the signal behind it, and whatever names the order itself.
_STORY: LiteralString = """
    WITH own AS (SELECT DISTINCT run_id, intent_id FROM audit
                 WHERE (order_id = %(name)s OR intent_id = %(name)s) AND intent_id <> ''),
         signals AS (SELECT DISTINCT run_id, subject FROM audit
                     WHERE kind = 'approved_intent' AND subject <> ''
                     AND (run_id, intent_id) IN (SELECT * FROM own))
    SELECT {columns} FROM audit
    WHERE order_id = %(name)s OR intent_id = %(name)s OR (run_id, intent_id) IN (SELECT * FROM own)
        OR (run_id, subject) IN (SELECT * FROM signals)
    ORDER BY seq LIMIT %(limit)s"""


class Extent(msgspec.Struct, frozen=True):
    """Rows and their first and last number; zeros where there is none."""

    rows: int
    first_seq: int
    last_seq: int


class AuditBook:
    """One read-only connection. Close it, or use `open_book`."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def records(self, first_seq: int = 1, last_seq: int | None = None) -> Iterator[Record]:
        """Rows by number, both ends included."""
        query = sql.SQL(
            "SELECT {} FROM audit WHERE seq >= %s AND (%s::bigint IS NULL OR seq <= %s) ORDER BY seq"
        )
        with self._connection.transaction(), self._connection.cursor("audit_records") as cursor:
            cursor.itersize = FETCH
            cursor.execute(query.format(_COLUMNS), (first_seq, last_seq, last_seq))
            for row in cursor:
                yield Record(**dict(zip(COLUMNS, row, strict=True)))

    def head_before(self, seq: int) -> Head:
        """What record `seq` has to follow from, by the database's own word."""
        if seq <= 1:
            return Head()
        row = self._one("SELECT hash FROM audit WHERE seq = %s", seq - 1)
        return Head(seq - 1, bytes(row[0]) if row else GENESIS)

    def last_seq(self) -> int:
        """The number of the last record, 0 for none; in a whole chain that is how many there are."""
        row = self._one("SELECT coalesce(max(seq), 0) FROM audit")
        return int(row[0]) if row else 0

    def next_offsets(self, logs: Sequence[str]) -> dict[Place, int]:
        """What will be read next of each topic of these logs."""
        with self._connection.transaction():
            found = positions(self._connection, logs)
        return {place: stream.next_offset for place, stream in found.items()}

    def extent_of(self, run_id: str) -> Extent:
        query = "SELECT count(*), coalesce(min(seq), 0), coalesce(max(seq), 0) FROM audit WHERE run_id = %s"
        row = self._one(query, run_id)
        return Extent(*row) if row else Extent(0, 0, 0)

    def extent_between(self, first_at: int, end_at: int) -> Extent:
        """What was recorded in `[first_at, end_at)`, ns UTC."""
        query = (
            "SELECT count(*), coalesce(min(seq), 0), coalesce(max(seq), 0) FROM audit "
            "WHERE recorded_at >= %s AND recorded_at < %s"
        )
        row = self._one(query, first_at, end_at)
        return Extent(*row) if row else Extent(0, 0, 0)

    def seals(self) -> list[Seal]:
        """All seals, by number: one or a few for each day."""
        query = "SELECT statement, signature, public_key FROM audit_seals ORDER BY number"
        with self._connection.transaction():
            rows = self._connection.execute(query).fetchall()
        return [Seal(statement=row[0], signature=row[1], public_key=row[2]) for row in rows]

    def order_story(self, name: str, limit: int) -> list[Record]:
        """Everything about the order, or the intent, of that id: signal, verdict, intent, requests, fills."""
        query = sql.SQL(_STORY).format(columns=_COLUMNS)
        with self._connection.transaction():
            rows = self._connection.execute(query, {"name": name, "limit": limit}).fetchall()
        return [_record(row) for row in rows]

    def newest(self, run_id: str, kind: str, limit: int) -> list[Record]:
        """The last `limit` records of a run and kind ("" for any), oldest first."""
        query = sql.SQL(
            "SELECT {} FROM audit WHERE (%(run)s = '' OR run_id = %(run)s) "
            "AND (%(kind)s = '' OR kind = %(kind)s) ORDER BY seq DESC LIMIT %(limit)s"
        )
        with self._connection.transaction():
            found = self._connection.execute(
                query.format(_COLUMNS), {"run": run_id, "kind": kind, "limit": limit}
            )
            return [_record(row) for row in reversed(found.fetchall())]

    def kinds(self) -> list[str]:
        with self._connection.transaction():
            rows = self._connection.execute("SELECT DISTINCT kind FROM audit ORDER BY kind").fetchall()
        return [str(row[0]) for row in rows]

    def _one(self, query: LiteralString, *values: object) -> tuple[Any, ...] | None:
        with self._connection.transaction():
            return self._connection.execute(query, values).fetchone()


@contextmanager
def open_book(url: str) -> Iterator[AuditBook]:
    """Raises `TrailError` where PostgreSQL does not answer."""
    connection = connect(url, CONNECT_WITHIN_S)
    try:
        connection.execute("SET default_transaction_read_only = on")
        connection.commit()
        yield AuditBook(connection)
    finally:
        connection.close()


def _record(row: tuple[Any, ...]) -> Record:
    return Record(**dict(zip(COLUMNS, row, strict=True)))
