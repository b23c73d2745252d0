"""Event log -> flow: one reader over all inputs of the flow, never blocking.

Delivery is at least once: after a crash the flow resumes at the offsets of the last committed epoch and
reads at most one epoch again. The first start is at explicit offsets, never "the end".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypedDict

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from flows.connectors.lifecycle import PROCESS, Lifecycle
from kitepilot.ports import LogReader, LogRecord, TopicPartition

PART = "log"
Note = Callable[[Mapping[TopicPartition, int]], None]


class Position(TypedDict):
    """The recovery state of a source: plain data, read by the next release too."""

    version: int
    next_offsets: dict[TopicPartition, int]


class ReadableLog(Protocol):
    """What a source asks of a log: any `EventLog`, or records kept elsewhere."""

    def reader(self, start: Mapping[TopicPartition, int]) -> LogReader: ...

    def close(self) -> None: ...


class LogSourcePart(StatefulSourcePartition[list[LogRecord], Position]):
    """The one partition of `LogSource`."""

    def __init__(
        self,
        log: ReadableLog,
        reader: LogReader,
        max_records: int,
        cadence: timedelta | None,
        process: Lifecycle,
        note: Note | None = None,
    ) -> None:
        self._log = log
        self._reader = reader
        self._max_records = max_records
        self._cadence = cadence
        self._process = process
        self._note = note
        self._idle = False

    def next_batch(self) -> list[list[LogRecord]]:
        if self._process.draining:
            raise StopIteration
        records = self._reader.poll(self._max_records)
        self._idle = not records
        return [records] if records else []

    def next_awake(self) -> datetime | None:
        if self._cadence is None or not self._idle:
            return None
        return datetime.now(UTC) + self._cadence

    def snapshot(self) -> Position:
        positions = dict(self._reader.positions())
        if self._note is not None:
            self._note(positions)
        return {"version": 1, "next_offsets": positions}

    def close(self) -> None:
        self._reader.close()
        self._log.close()


class LogSource(FixedPartitionedSource[list[LogRecord], Position]):
    """Stream of `list[LogRecord]`, one non-empty list per poll, in log order per topic-partition.

    `start` holds the next offset per topic-partition for a first start; a resumed flow goes on where its
    last epoch ended (a topic-partition new to it begins at `start`). `cadence` is the pause after an empty
    poll: None looks again in 1 ms, for the live path; an archive does well with 20 ms and costs less. `note`
    hears the positions as each epoch is committed.
    SIGTERM ends the stream (see `lifecycle`): `on_eof` does not mean that the session is over.

    Raises (when the flow starts):
        LogError: the log cannot be opened; `OffsetOutOfRangeError` if retention removed the resume point.
    """

    def __init__(
        self,
        open_log: Callable[[], ReadableLog],
        start: Mapping[TopicPartition, int],
        max_records: int = 1000,
        cadence: timedelta | None = None,
        process: Lifecycle = PROCESS,
        note: Note | None = None,
    ) -> None:
        self._open_log = open_log
        self._start = dict(start)
        self._max_records = max_records
        self._cadence = cadence
        self._process = process
        self._note = note

    def list_parts(self) -> list[str]:
        return [PART]

    def build_part(self, step_id: str, for_part: str, resume_state: Position | None) -> LogSourcePart:
        resumed = resume_state["next_offsets"] if resume_state else {}
        start = {where: resumed.get(where, offset) for where, offset in self._start.items()}
        log = self._open_log()
        reader = log.reader(start)
        self._process.source_built()
        return LogSourcePart(log, reader, self._max_records, self._cadence, self._process, self._note)
