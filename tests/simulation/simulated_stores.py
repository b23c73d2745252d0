"""The log and the book of record in memory: what a crash leaves of them is what the real ones promise.

The log: a returned append is durable; a writer's pushed messages arrive a little later, and a suffix of them
is lost with their writer; a message may be there twice. PostgreSQL: the real migrations' tables in SQLite,
behind the few things of psycopg that the gateway uses; commits are atomic and durable, those with
`synchronous_commit = off` may be lost with the server.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib import util
from pathlib import Path
from typing import Any

import psycopg
from virtual_loop import PROCESS, KilledError, Process

from kitepilot.ports import LogError, LogRecord, TopicPartition
from kitepilot.topics import TOPICS, Topic

MIGRATIONS = Path(__file__).parents[2] / "infra/migrations/versions"


class Effects:
    """What outlives a process. Before and after each effect its process may die, and a dead one has none."""

    def __init__(self, die: Callable[[Process], None]) -> None:
        self._die = die
        self.count = 0

    def point(self) -> None:
        """Raises KilledError when the process that is here is dead, or dies here."""
        self.count += 1
        process = PROCESS.get()
        if process is None:
            return
        if process.alive and process.doom is not None:
            process.doom -= 1
            if process.doom < 0:
                self._die(process)
        if not process.alive:
            raise KilledError


class MemoryLog:
    """`kitepilot.ports.EventLog`. `heard` is told of each topic that grew."""

    def __init__(self, effects: Effects, machine_ns: Callable[[], int], later: Callable[..., None]) -> None:
        self._effects = effects
        self._machine_ns = machine_ns
        self._later = later
        self.records: dict[str, list[LogRecord]] = {topic.name: [] for topic in TOPICS}
        self.heard: Callable[[str], None] = lambda _: None
        self.twice: Callable[[], bool] = lambda: False
        self.down = False

    def create_topics(self, topics: Iterable[Topic]) -> None:
        """They are all there."""

    def append(self, topic: str, values: Sequence[bytes], *, partition: int = 0, key: bytes = b"") -> int:
        self._effects.point()
        if self.down:
            raise LogError(f"the log does not take {topic}: simulated outage")
        first = self._write(topic, values)
        self._effects.point()
        return first

    def _write(self, topic: str, values: Sequence[bytes]) -> int:
        records, now = self.records[topic], self._machine_ns()
        first = len(records)
        for value in [*values, *(values if self.twice() else ())]:
            records.append(LogRecord(topic, 0, len(records), now, b"", value))
        self.heard(topic)
        return first

    def reader(self, start: Mapping[TopicPartition, int]) -> MemoryReader:
        return MemoryReader(self, start)

    def writer(self) -> MemoryWriter:
        return MemoryWriter(self)

    def begin_offset(self, topic: str, partition: int = 0) -> int:
        return 0

    def end_offset(self, topic: str, partition: int = 0) -> int:
        return len(self.records[topic])

    def offset_at(self, topic: str, at_ns: int, partition: int = 0) -> int:
        found = (record.offset for record in self.records[topic] if record.appended_at >= at_ns)
        return next(found, len(self.records[topic]))

    def trim(self, topic: str, before_ns: int, partition: int = 0) -> int:
        return 0

    def close(self) -> None:
        """Nothing is open."""


class MemoryReader:
    def __init__(self, log: MemoryLog, start: Mapping[TopicPartition, int]) -> None:
        self._log = log
        self._next = dict(start)

    def poll(self, max_records: int, timeout_s: float = 0.0) -> list[LogRecord]:
        found: list[LogRecord] = []
        for (topic, partition), offset in self._next.items():
            records = self._log.records[topic][offset : offset + max_records - len(found)]
            self._next[topic, partition] = offset + len(records)
            found += records
        return found

    def positions(self) -> Mapping[TopicPartition, int]:
        return dict(self._next)

    def close(self) -> None:
        """Nothing is open."""


class MemoryWriter:
    """Pushed messages arrive milliseconds later, in order, and those on their way when it dies may not."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._process = PROCESS.get()
        self._buffer: list[tuple[str, bytes]] = []
        self._pushed: list[tuple[str, bytes]] = []

    def append(self, topic: str, value: bytes, *, partition: int = 0, key: bytes = b"") -> None:
        self._buffer.append((topic, value))

    def push(self) -> None:
        self._log._effects.point()
        self._pushed += self._buffer
        self._buffer = []
        self._log._later(self._arrive, len(self._pushed))

    def _arrive(self, _upto: int) -> None:
        """With a dead process they may still arrive: some did not get as far as the log."""
        if self._log.down:
            return
        for topic, value in self._pushed:
            self._log._write(topic, [value])
        self._pushed = []

    def lose(self, keep: int) -> None:
        """The process is dead; only the first `keep` messages had left it."""
        del self._pushed[keep:]

    @property
    def on_their_way(self) -> int:
        return len(self._pushed)

    def flush(self, timeout_s: float = 10.0) -> None:
        self.push()
        if self._log.down:
            raise LogError("the log does not take what was written: simulated outage")
        self._arrive(len(self._pushed))
        self._log._effects.point()

    def close(self) -> None:
        """What was not flushed stays on its way."""


# --- PostgreSQL --------------------------------------------------------------------------------------------


class MemoryPostgres:
    """One database; `connect` has the shape the gateway asks for. `running` False: nobody is answered."""

    def __init__(self, effects: Effects) -> None:
        self.effects = effects
        self.sql = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self.sql.create_function("pg_try_advisory_lock", 1, lambda _: 1)
        self.sql.create_function("regexp", 2, lambda pattern, text: bool(re.search(pattern, text)))
        for statement in schema():
            self.sql.execute(statement)
        self.generation = 0  # connections of an earlier one are broken
        self._unsynced: dict[tuple[Any, ...], Any] = {}

    def connect(self, _url: str) -> Any:
        return MemoryConnection(self)

    def crash(self, lose: bool) -> None:
        """All connections break; commits nobody waited for may be lost."""
        self.generation += 1
        if lose:
            for (run_id, consumer), value in self._unsynced.items():
                where = "WHERE run_id = ? AND consumer = ?"
                if value is None:
                    self.sql.execute(f"DELETE FROM consumer_offsets {where}", (run_id, consumer))
                else:
                    self.sql.execute(
                        f"UPDATE consumer_offsets SET next_offset = ? {where}", (value, run_id, consumer)
                    )
        self._unsynced.clear()

    def not_synced(self, run_id: str, consumer: str) -> None:
        """This offset's value is about to be replaced without waiting for the disk."""
        where = "SELECT next_offset FROM consumer_offsets WHERE run_id = ? AND consumer = ?"
        row = self.sql.execute(where, (run_id, consumer)).fetchone()
        self._unsynced.setdefault((run_id, consumer), row[0] if row else None)

    def synced(self) -> None:
        self._unsynced.clear()

    def rows(self, query: str, *values: object) -> list[Any]:
        """For those who look from outside."""
        return self.sql.execute(query, values).fetchall()


class MemoryConnection:
    """What the gateway uses of `psycopg.Connection` (and of its cursor)."""

    def __init__(self, database: MemoryPostgres) -> None:
        self._database = database
        self._generation = database.generation
        self._asynchronous = False
        self._found: Any = None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        self._check()
        effects, sql = self._database.effects, self._database.sql
        effects.point()
        self._asynchronous = False
        sql.execute("BEGIN")
        try:
            yield
            effects.point()
        except BaseException:
            sql.execute("ROLLBACK")
            raise
        sql.execute("COMMIT")
        if not self._asynchronous:
            self._database.synced()
        effects.point()

    def pipeline(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def cursor(self) -> contextlib.AbstractContextManager[MemoryConnection]:
        return contextlib.nullcontext(self)

    def execute(self, query: str | bytes, values: Sequence[object] = ()) -> MemoryConnection:
        self._check()
        text = query.decode() if isinstance(query, bytes) else query
        if text.startswith("SET "):
            self._asynchronous = "off" in text
            return self
        if self._asynchronous and "consumer_offsets" in text:
            self._database.not_synced(str(values[0]), str(values[1]))
        try:
            self._found = self._database.sql.execute(translated(text), [_plain(value) for value in values])
        except sqlite3.IntegrityError as err:
            raise psycopg.errors.UniqueViolation(str(err)) from err
        return self

    def executemany(self, query: str, rows: Iterable[Sequence[object]]) -> None:
        for row in rows:
            self.execute(query, row)

    def fetchone(self) -> Any:
        return self._found.fetchone()

    def fetchall(self) -> list[Any]:
        found: list[Any] = self._found.fetchall()
        return found

    def commit(self) -> None:
        """Outside of `transaction` only reads are made."""

    def close(self) -> None:
        """Nothing is open."""

    def _check(self) -> None:
        if self._generation != self._database.generation:
            raise psycopg.OperationalError("server closed the connection unexpectedly (simulated)")


def _plain(value: object) -> Any:
    if isinstance(value, list):
        return json.dumps(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return value


@functools.lru_cache(maxsize=256)
def translated(query: str) -> str:
    """PostgreSQL's words of the gateway's statements in SQLite's."""
    query = query.replace("%s", "?").replace("clock_timestamp()", "'now'")
    query = query.replace("(e.body::json ->> 'slice')::int", "json_extract(e.body, '$.slice')")
    query = query.replace("EXISTS (\n        SELECT FROM", "EXISTS (SELECT 1 FROM")
    return query.replace("= ANY(?)", "IN (SELECT value FROM json_each(?))")


@functools.lru_cache(maxsize=1)
def schema() -> tuple[str, ...]:
    """The tables of the migrations that the gateway writes, with their constraints, append-only ones too."""
    parts = ("0001_*.TABLES", "0002_*.TABLES", "0006_*.INTENTS")
    text = "\n".join(_statements(*part.split(".")) for part in parts).replace("text[]", "text")
    text = re.sub(r"bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "integer PRIMARY KEY", text)
    text = text.replace("clock_timestamp()", "'now'").replace(" ~ ", " REGEXP ")
    made = []
    for statement in (each.strip() for each in text.split(";")):
        if statement.startswith("ALTER TABLE"):
            table, *columns = re.split(r"ADD COLUMN", statement)
            made += [f"{table} ADD COLUMN {column.strip().rstrip(',')}" for column in columns]
        elif statement:
            made.append(statement)
    for table in ("order_events", "fills", "intents", "foreign_fills", "reconciliations", "findings"):
        for verb in ("UPDATE", "DELETE"):
            refused = f"SELECT RAISE(ABORT, '{verb} on {table} refused')"
            made.append(f"CREATE TRIGGER {table}_{verb} BEFORE {verb} ON {table} BEGIN {refused}; END")
    return tuple(made)


def _statements(migration: str, name: str) -> str:
    (path,) = MIGRATIONS.glob(f"{migration}.py")
    spec = util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    statements: str = getattr(module, name)
    return statements
