"""The embedded event log: one folder per topic-partition, SQLite segments in WAL mode, no server.

Several processes write and read at once; SQLite's write lock gives the one order. A process may be killed
at any instant: what was committed stays, what was not leaves no trace (`synchronous=NORMAL`). The topics
money depends on (`DURABLE_TOPICS`) are also synced to disk at each commit (`synchronous=FULL`), so they
survive a power cut. Measured on two shared cores (`benchmarks/log.py`, 2026-11-21) an append then takes
0.4 ms p50 and 0.6 ms p95 instead of 0.1 and 0.2, far below the 5 ms that an order may cost. Segments are
sealed by size or at the UTC day's end, and retention deletes whole files.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from infra.eventlog.bounds import MAX_BUFFERED_BYTES, MIB, check_append, check_value
from infra.eventlog.partition import Appender, Cursor, Partition
from kitepilot.ports import EventLog, LogError, LogReader, LogRecord, LogWriter, TopicPartition
from kitepilot.topics import ACTS, DECISIONS, INTENTS, ORDERS, SESSION, Topic

DURABLE_TOPICS = frozenset({SESSION.name, DECISIONS.name, INTENTS.name, ORDERS.name, ACTS.name})
SEGMENT_BYTES = 256 * MIB
_IDLE_PAUSE_S = 0.001  # between looks of a poll that may wait


class SqliteLog(EventLog):
    """The log in `folder`. Cheap to open; files are opened at first use. Threads may share it."""

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._appenders: dict[TopicPartition, Appender] = {}

    def create_topics(self, topics: Iterable[Topic]) -> None:
        """Make what is missing and apply retention to what is there."""
        for topic in topics:
            retention_ns = topic.retention // timedelta(microseconds=1) * 1_000
            for number in range(topic.partitions):
                self._partition(topic.name, number).create(retention_ns)
                self._appender(topic.name, number).expire()

    def append(self, topic: str, values: Sequence[bytes], *, partition: int = 0, key: bytes = b"") -> int:
        check_append(topic, values)
        return self._appender(topic, partition).append([(key, value) for value in values])

    def reader(self, start: Mapping[TopicPartition, int]) -> LogReader:
        if not start:
            raise LogError("a reader needs at least one topic-partition to start from")
        return SqliteReader(
            [Cursor(self._partition(*where), offset) for where, offset in start.items()], start
        )

    def writer(self) -> LogWriter:
        return SqliteWriter(self)

    def begin_offset(self, topic: str, partition: int = 0) -> int:
        return self._partition(topic, partition).bases()[0]

    def end_offset(self, topic: str, partition: int = 0) -> int:
        return self._appender(topic, partition).tail().next_offset

    def offset_at(self, topic: str, at_ns: int, partition: int = 0) -> int:
        return self._partition(topic, partition).offset_at(at_ns)

    def trim(self, topic: str, before_ns: int, partition: int = 0) -> int:
        return self._appender(topic, partition).trim(before_ns)

    def close(self) -> None:
        for appender in self._appenders.values():
            appender.close()
        self._appenders.clear()

    def append_entries(self, where: TopicPartition, entries: Sequence[tuple[bytes, bytes]]) -> int:
        """One transaction of (key, value) entries; for `SqliteWriter`, which bounds them."""
        return self._appender(*where).append(entries)

    def _partition(self, topic: str, number: int) -> Partition:
        if not topic or "/" in topic or topic.startswith("."):
            raise LogError(f"{topic!r} is no name for a topic")
        synchronous = "FULL" if topic in DURABLE_TOPICS else "NORMAL"
        folder = self._folder / f"{topic}-{number}"
        return Partition(folder, topic, number, synchronous, self._segment_bytes)

    def _appender(self, topic: str, number: int) -> Appender:
        where = (topic, number)
        found = self._appenders.get(where)
        return found or self._appenders.setdefault(where, Appender(self._partition(topic, number)))


class SqliteReader(LogReader):
    """One indexed SELECT per partition and poll. One thread at a time."""

    def __init__(self, cursors: Sequence[Cursor], start: Mapping[TopicPartition, int]) -> None:
        self._cursors = list(zip(start, cursors, strict=True))

    def poll(self, max_records: int, timeout_s: float = 0.0) -> list[LogRecord]:
        records = self._sweep(max_records)
        if records or timeout_s <= 0:
            return records
        deadline = time.monotonic() + timeout_s
        while not records and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(_IDLE_PAUSE_S, left))
            records = self._sweep(max_records)
        return records

    def positions(self) -> Mapping[TopicPartition, int]:
        return {where: cursor.next_offset for where, cursor in self._cursors}

    def close(self) -> None:
        for _, cursor in self._cursors:
            cursor.close()

    def _sweep(self, max_records: int) -> list[LogRecord]:
        records: list[LogRecord] = []
        for _, cursor in self._cursors:
            if len(records) >= max_records:
                break
            records += cursor.read(max_records - len(records))
        # the partition that was asked first goes last next time, so a busy one cannot starve the others
        self._cursors.append(self._cursors.pop(0))
        return records


class SqliteWriter(LogWriter):
    """Gathers appends; `push` and `flush` write one transaction per topic, in order of first appearance."""

    def __init__(self, log: SqliteLog) -> None:
        self._log = log
        self._pending: dict[TopicPartition, list[tuple[bytes, bytes]]] = {}
        self._pending_bytes = 0

    def append(self, topic: str, value: bytes, *, partition: int = 0, key: bytes = b"") -> None:
        check_value(topic, value)
        self._pending.setdefault((topic, partition), []).append((key, value))
        self._pending_bytes += len(value)
        if self._pending_bytes > MAX_BUFFERED_BYTES:
            self.push()

    def push(self) -> None:
        while self._pending:
            where = next(iter(self._pending))
            self._log.append_entries(where, self._pending[where])
            del self._pending[where]
        self._pending_bytes = 0

    def flush(self, timeout_s: float = 10.0) -> None:
        self.push()

    def close(self) -> None:
        self._pending.clear()
