"""Every topic of a run -> ClickHouse, each message exactly once.

    log records -> rows (drop what a producer sent again, letter what cannot be read) -> batches -> inserts

How exactly once is reached, in three parts, each of which would not be enough alone:

* **Tables are the truth about what is stored.** An insert is one block, so a batch is in a table whole or
  not at all; batches of a topic arrive in offset order. After a restart `max(log_offset)` per table and
  topic separates what is stored from what is not, wherever the batches were cut.
* **An insert in flight when the process died** might still land after that question was asked. Its bytes
  and token are in the spool and are sent again first; the server keeps one of the two.
* **Epochs commit after the rows are durable**: `snapshot` flushes, so the committed offsets, the last
  sequence number per topic and source, and the counters never run ahead of the tables.

Fixed offset ranges as batch boundaries would let tokens alone do it, but would hold back the last rows of
every topic until its range is full; ReplacingMergeTree would need FINAL in every query for ever.

Memory is bounded by `BATCH_ROWS` and one poll: where ClickHouse is slow or away, the flush waits, and the
source is not asked again before it is done.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import partial
from typing import Any, TypedDict

import bytewax.operators as op
import msgspec
import numpy as np
import pyarrow as pa
from bytewax.dataflow import Dataflow
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from flows.connectors import LogSource
from flows.connectors.lifecycle import PROCESS
from flows.run import run_flow
from infra.clickhouse.client import ClickHouseUnreachableError, connect
from infra.clickhouse.event_columns import event_columns
from infra.clickhouse.event_rows import SHAPES, Rows, UnstorableError, rows_of
from infra.clickhouse.inserts import Insert, Inserter, InsertError, constant, insert_of
from infra.clickhouse.tick_columns import own_records, tick_columns
from infra.eventlog import open_log
from infra.read_positions import Positions
from kitepilot.events import AnyEvent, DeadLetter, UndecodableError, decode
from kitepilot.orders.permission import permitted
from kitepilot.ports import LogRecord, TopicPartition
from kitepilot.risk.admission import UnusableError, admit
from kitepilot.run import Run
from kitepilot.topics import INTENTS, SESSION, TICKS, TOPICS

NAME = "archive"
PART = "clickhouse"
BATCH_ROWS = 20_000
#: Records per poll. A `ticks` message has at most a few thousand rows, so a poll stays far below one block.
POLL_RECORDS = 200
CADENCE = timedelta(milliseconds=20)
#: One insert per table and epoch. Half as many parts to merge as with one second, and nobody trades by it.
EPOCH = timedelta(seconds=2)


class Count(msgspec.Struct):
    """What became of the messages of one topic: archived + duplicates + dead + empty = messages read."""

    next_offset: int
    archived: int = 0
    duplicates: int = 0
    dead: int = 0
    empty: int = 0
    rows: int = 0
    own_records: int = 0


class ArchiveState(TypedDict):
    """Recovery state of the sink: plain data."""

    version: int
    last_seq: dict[tuple[str, str], int]
    counts: dict[str, dict[str, int]]


#: Bytes of one topic -> event; raises `UndecodableError` or `UnusableError` for what the topic's own readers
#: refuse: it must not take a sequence number, or a row, here either.
Read = Callable[[bytes], AnyEvent]


class Batch:
    """Rows of one table from one topic-partition that wait for the next flush."""

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.parts: list[Any] = []
        self.rows = 0

    def add(self, offset: int, part: Any, rows: int) -> None:
        self.offsets.append(offset)
        self.parts.append(part)
        self.rows += rows


class Archive:
    """Turns records of one run into inserts. `add` is pure bookkeeping; `flush` talks to ClickHouse."""

    def __init__(
        self,
        run_id: str,
        session_date: date,
        start: Mapping[TopicPartition, int],
        inserter: Inserter,
        state: ArchiveState | None = None,
        read: Mapping[str, Read] | None = None,
    ) -> None:
        self._run_id = run_id
        self._session_date = session_date
        self._start = dict(start)
        self._inserter = inserter
        self._read = {SESSION.name: admit, **(read or {})}
        self._last_seq = dict(state["last_seq"]) if state else {}
        counts = state["counts"] if state else {}
        self._counts = {
            where: Count(**counts[_label(where)]) if _label(where) in counts else Count(offset)
            for where, offset in start.items()
        }
        self._batches: dict[tuple[str, TopicPartition], Batch] = defaultdict(Batch)
        self._waiting = 0
        self._changed: set[TopicPartition] = set()
        inserter.finish_last()
        self._stored = inserter.high_water([TICKS.name, *SHAPES], run_id)

    def add(self, records: list[LogRecord]) -> None:
        """Take records in log order; flushes when `BATCH_ROWS` rows are waiting."""
        for record in records:
            where = (record.topic, record.partition)
            count = self._counts[where]
            count.next_offset = record.offset + 1
            self._changed.add(where)
            if record.topic == TICKS.name:
                self._add_ticks(record, where, count)
            else:
                self._add_event(record, where, count)
            if self._waiting >= BATCH_ROWS:
                self.flush()

    def _add_ticks(self, record: LogRecord, where: TopicPartition, count: Count) -> None:
        try:
            total, ours = own_records(record.value)
        except ValueError as err:
            return self._bury(record, where, count, str(err))
        count.own_records += ours
        if total == ours:
            count.empty += 1
            return None
        count.archived += 1
        count.rows += total - ours
        return self._put(TICKS.name, where, record.offset, record.value, total - ours)

    def _add_event(self, record: LogRecord, where: TopicPartition, count: Count) -> None:
        try:
            event = self._read.get(record.topic, decode)(record.value)
            parts = rows_of(event)
        except (UndecodableError, UnusableError, UnstorableError) as err:
            return self._bury(record, where, count, str(err))
        producer = (record.topic, event.source)
        if event.seq <= self._last_seq.get(producer, -1):
            count.duplicates += 1
            return None
        self._last_seq[producer] = event.seq
        if not parts:
            count.empty += 1
            return None
        count.archived += 1
        for table, part in parts:
            self._put_counted(table, where, record.offset, part, count)
        return None

    def _bury(self, record: LogRecord, where: TopicPartition, count: Count, detail: str) -> None:
        """What cannot be read is kept with its bytes; the day goes on."""
        letter = DeadLetter(
            source=NAME,
            seq=record.offset,
            event_at=record.appended_at,
            reason="undecodable",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            count=1,
            detail=detail,
            payload=record.value,
        )
        count.dead += 1
        for table, part in rows_of(letter):
            self._put_counted(table, where, record.offset, part, count)

    def _put_counted(self, table: str, where: TopicPartition, offset: int, part: Rows, count: Count) -> None:
        rows = len(part["row"]) if isinstance(part, dict) else 1
        count.rows += rows
        self._put(table, where, offset, part, rows)

    def _put(self, table: str, where: TopicPartition, offset: int, part: Any, rows: int) -> None:
        if offset > self._stored.get((table, where), -1):
            self._batches[(table, where)].add(offset, part, rows)
            self._waiting += rows

    def flush(self) -> None:
        """Everything added so far is in the tables when this returns, and `archived_offsets` says so.

        Raises:
            InsertError: it is not; nothing is forgotten.
        """
        if not self._changed:
            return
        inserts = [self._insert(table, where, batch) for (table, where), batch in self._batches.items()]
        inserts.append(self._progress())
        self._inserter.flush(inserts)
        self._batches.clear()
        self._waiting = 0
        self._changed.clear()

    def _insert(self, table: str, where: TopicPartition, batch: Batch) -> Insert:
        build = tick_columns if table == TICKS.name else partial(event_columns, table)
        columns = build(batch.offsets, batch.parts)
        topic, partition = where
        columns |= {
            "run_id": constant(self._run_id, batch.rows),
            "session_date": pa.array(np.full(batch.rows, self._session_date, dtype="M8[D]")),
            "log_topic": constant(topic, batch.rows),
            "log_partition": pa.array(np.full(batch.rows, partition, dtype=np.uint16)),
        }
        first, last = batch.offsets[0], batch.offsets[-1]
        return insert_of(table, columns, f"{self._run_id}:{topic}-{partition}:{first}-{last}:{table}")

    def _progress(self) -> Insert:
        changed = sorted(self._changed)
        counts = [self._counts[where] for where in changed]
        figures = {
            name: pa.array([getattr(count, name) for count in counts], pa.uint64())
            for name in Count.__struct_fields__
        }
        columns = {
            "run_id": constant(self._run_id, len(changed)),
            "topic": pa.array([topic for topic, _ in changed]),
            "partition": pa.array([partition for _, partition in changed], pa.uint16()),
            "start_offset": pa.array([self._start[where] for where in changed], pa.uint64()),
            **figures,
        }
        reached = ",".join(f"{_label(where)}:{self._counts[where].next_offset}" for where in changed)
        return insert_of("archived_offsets", columns, f"{self._run_id}:{reached}")

    def state(self) -> ArchiveState:
        counts = {_label(where): msgspec.structs.asdict(count) for where, count in self._counts.items()}
        return {"version": 1, "last_seq": dict(self._last_seq), "counts": counts}

    def close(self) -> None:
        self._inserter.close()


def _label(where: TopicPartition) -> str:
    return f"{where[0]}-{where[1]}"


class ArchivePart(StatefulSinkPartition[list[LogRecord], ArchiveState]):
    """The one partition of the sink; an epoch commits after its rows are durable."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def write_batch(self, values: list[list[LogRecord]]) -> None:
        for records in values:
            self._archive.add(records)

    def snapshot(self) -> ArchiveState:
        self._archive.flush()
        return self._archive.state()

    def close(self) -> None:
        self._archive.close()


class ArchiveSink(FixedPartitionedSink[list[LogRecord], ArchiveState]):
    """Takes `(key, list[LogRecord])`. `open_archive` gets the recovery state, None on a first start."""

    def __init__(self, open_archive: Callable[[ArchiveState | None], Archive]) -> None:
        self._open_archive = open_archive

    def list_parts(self) -> list[str]:
        return [PART]

    def build_part(self, step_id: str, for_part: str, resume_state: ArchiveState | None) -> ArchivePart:
        return ArchivePart(self._open_archive(resume_state))


def start_of(run: Run) -> dict[TopicPartition, int]:
    """Where the run begins on each topic-partition."""
    starts = run.start_offsets()
    return {(topic.name, part): starts[topic.name] for topic in TOPICS for part in range(topic.partitions)}


def open_archive(run: Run, state: ArchiveState | None) -> Archive:
    """The archive of a run, with what a crashed predecessor left unfinished done first."""
    spool = run.folder / f"{NAME}.spool"
    inserter = Inserter(connect(run, "sink"), spool, stopping=lambda: PROCESS.draining)
    session_date = date.fromisoformat(run.config.session.date)
    intents = partial(permitted, run_id=run.run_id, config_hash=run.config_hash)
    return Archive(run.run_id, session_date, start_of(run), inserter, state, {INTENTS.name: intents})


def build(run: Run) -> Dataflow:
    """records -> key -> archive. The step ids are part of the recovery state: never rename them."""
    flow = Dataflow(NAME)
    source = LogSource(
        partial(open_log, run),
        start_of(run),
        max_records=POLL_RECORDS,
        cadence=CADENCE,
        note=Positions(run, NAME).note,
    )
    records = op.input("log", flow, source)
    keyed = op.key_on("archive_key", records, lambda _: PART)
    op.output("archive", keyed, ArchiveSink(partial(open_archive, run)))
    return flow


def main(run: Run) -> int:
    """Archive until SIGTERM; what was read is flushed on the way out. 1 with one line if ClickHouse fails."""
    try:
        return run_flow(build(run), run, NAME, EPOCH)
    except Exception as err:
        failure = _clickhouse_failure(err)
        if failure is None:
            raise
        sys.stderr.write(f"{NAME}: {failure}\n")
        return 1


def _clickhouse_failure(err: BaseException | None) -> BaseException | None:
    while err is not None and not isinstance(err, (InsertError, ClickHouseUnreachableError)):
        err = err.__cause__ or err.__context__
    return err
