"""Writes the audit: entries, their place in the chain, and how far the topics were read, in one transaction.

Gap-free and unforked whoever writes: each transaction takes an advisory lock, reads the chain's end and
goes on from there. Exactly once whatever is killed: the rows and the offsets they came from commit together,
and a writer whose offsets are not the database's any more is refused. A commit need not reach the disk
before the next one begins: what a power cut takes, rows and offsets alike, is read from the log again.
"""

from __future__ import annotations

import time
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg
import sqlalchemy as sa

from kitepilot.audit.records import Entry, Head, Record, linked
from kitepilot.audit.seals import Seal
from kitepilot.audit.streams import Stream

LOCK_KEY = 0x4B50_4155_4449_5400  # "KPAUDIT"
CONNECT_TIMEOUT_S = 60.0

_BY_TYPE = {str: "text", int: "int8", bytes: "bytea"}
COLUMNS = Record.__struct_fields__
_COPY = f"COPY audit ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)"
_TYPES = [_BY_TYPE[typing.get_type_hints(Record)[name]] for name in COLUMNS]
_LAST = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1"
_STREAMS = """
    SELECT DISTINCT ON (log, topic) log, topic, turn, run_id, first_offset, next_offset, records, digest
    FROM audit_streams WHERE log = ANY(%s) ORDER BY log, topic, turn DESC"""
_MOVE_STREAM = """
    INSERT INTO audit_streams (log, topic, turn, run_id, first_offset, next_offset, records, digest)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (log, topic, turn) DO UPDATE
    SET next_offset = excluded.next_offset, records = excluded.records, digest = excluded.digest"""
_MOVE_SOURCE = """
    INSERT INTO audit_sources (run_id, topic, source, last_seq) VALUES (%s, %s, %s, %s)
    ON CONFLICT (run_id, topic, source) DO UPDATE SET last_seq = excluded.last_seq"""
_ADD_SEAL = """
    INSERT INTO audit_seals
        (number, run_id, session_date, first_seq, last_seq, statement, signature, public_key)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"""

Source = tuple[str, str, str]  # run_id, topic, source
Place = tuple[str, str]  # log, topic


class TrailError(RuntimeError):
    """The audit cannot be written; says why and what to do."""


class Trail:
    """One connection, one thread. `clock` is the machine's, ns UTC."""

    def __init__(self, url: str, clock: Callable[[], int] = time.time_ns) -> None:
        self._connection = connect(url)
        self._connection.execute("SET synchronous_commit = off")
        self._connection.commit()
        self._clock = clock

    def close(self) -> None:
        self._connection.close()

    def positions(self, logs: Sequence[str]) -> dict[Place, Stream]:
        """How far each topic of these logs was read, by place."""
        with self._connection.transaction():
            return positions(self._connection, logs)

    def last_of(self, run_id: str) -> dict[Source, int]:
        """The last number taken from each source of a run."""
        with self._connection.transaction():
            rows = self._connection.execute(
                "SELECT topic, source, last_seq FROM audit_sources WHERE run_id = %s", (run_id,)
            ).fetchall()
        return {(run_id, topic, source): seq for topic, source, seq in rows}

    def append(
        self,
        entries: Sequence[Entry],
        streams: Sequence[Stream] = (),
        expected: Mapping[Place, Stream | None] | None = None,
        sources: Mapping[Source, int] | None = None,
    ) -> Head:
        """All of it or nothing; returns the chain's new end.

        `streams`: how far the topics are read with this. `expected`: how far they were, by the database, when
        the reading began.

        Raises:
            TrailError: somebody else has read those topics meanwhile.
        """
        connection = self._connection
        with connection.transaction(), connection.cursor() as cursor:
            head = self._lock()
            self._require_unmoved(expected or {})
            head = self._copy(cursor, entries, head)
            if streams:
                cursor.executemany(_MOVE_STREAM, [_stream_row(stream) for stream in streams])
            if sources:
                cursor.executemany(_MOVE_SOURCE, [(*who, seq) for who, seq in sources.items()])
        return head

    def seal(self, make: Callable[[Head, Seal | None], Seal | None]) -> Seal | None:
        """Ask `make` for a seal over the chain as it ends now, and keep it: on the disk on return.

        `make` gets the last seal, if any, and may decline.
        """
        connection = self._connection
        with connection.transaction():
            connection.execute("SET LOCAL synchronous_commit = on")
            head = self._lock()
            last = connection.execute(
                "SELECT statement, signature, public_key FROM audit_seals ORDER BY number DESC LIMIT 1"
            ).fetchone()
            seal = make(head, _seal(last) if last else None)
            if seal is not None:
                said = seal.read()
                row = (said.number, said.run_id, said.session_date, said.first_seq, said.last_seq)
                connection.execute(_ADD_SEAL, (*row, seal.statement, seal.signature, seal.public_key))
        return seal

    def streams_of(self, run_id: str) -> list[Stream]:
        """What was read of each topic for a run, in order."""
        with self._connection.transaction():
            rows = self._connection.execute(
                "SELECT log, topic, turn, run_id, first_offset, next_offset, records, digest "
                "FROM audit_streams WHERE run_id = %s ORDER BY topic, turn",
                (run_id,),
            ).fetchall()
        return [_stream(row) for row in rows]

    def _lock(self) -> Head:
        self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK_KEY,))
        row = self._connection.execute(_LAST).fetchone()
        return Head(*row) if row else Head()

    def _require_unmoved(self, expected: Mapping[Place, Stream | None]) -> None:
        found = positions(self._connection, sorted({log for log, _ in expected}))
        for place, before in expected.items():
            now = found.get(place)
            if now != before:
                raise TrailError(
                    f"topic {place[1]} stands at {now.next_offset if now else 'nothing'} in the audit, "
                    f"not at {before.next_offset if before else 'nothing'}: another process writes it too; "
                    "this one starts over"
                )

    def _copy(self, cursor: psycopg.Cursor[Any], entries: Sequence[Entry], head: Head) -> Head:
        if not entries:
            return head
        now = self._clock()
        with cursor.copy(_COPY) as copy:
            copy.set_types(_TYPES)
            for entry in entries:
                record = linked(entry, head, now)
                copy.write_row([getattr(record, name) for name in COLUMNS])
                head = Head(record.seq, record.hash)
        return head


def positions(connection: psycopg.Connection[Any], logs: Sequence[str]) -> dict[Place, Stream]:
    """How far each topic of these logs was read, within the transaction that is open."""
    rows = connection.execute(_STREAMS, (list(logs),)).fetchall()
    return {(row[0], row[1]): _stream(row) for row in rows}


def connect(url: str, within_s: float = CONNECT_TIMEOUT_S) -> psycopg.Connection[Any]:
    """A connection to the database of an SQLAlchemy URL; waits for a server that is being started again.

    Raises:
        TrailError: it does not answer within `within_s`.
    """
    dsn = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    deadline = time.monotonic() + within_s
    while True:
        try:
            return psycopg.connect(dsn, connect_timeout=5)
        except psycopg.OperationalError as err:
            if time.monotonic() > deadline:
                raise TrailError(f"PostgreSQL does not answer: {err}; see `kitepilot logs postgres`") from err
            time.sleep(0.1)


def _stream(row: tuple[Any, ...]) -> Stream:
    log, topic, turn, run_id, first_offset, next_offset, records, digest = row
    return Stream(
        log=log,
        topic=topic,
        turn=turn,
        run_id=run_id,
        first_offset=first_offset,
        next_offset=next_offset,
        records=records,
        digest=bytes(digest),
    )


def _stream_row(stream: Stream) -> tuple[object, ...]:
    place = (stream.log, stream.topic, stream.turn, stream.run_id, stream.first_offset)
    return (*place, stream.next_offset, stream.records, stream.digest)


def _seal(row: tuple[str, str, str]) -> Seal:
    return Seal(statement=row[0], signature=row[1], public_key=row[2])
