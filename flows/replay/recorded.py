"""Where a run's records are and what it began with: the input of every replay.

log or archive + offsets -> records in order, none missing; and `RunStarted`, the run's own first word
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from flows.connectors.lifecycle import Lifecycle
from kitepilot.events import Commanded, DecisionParameters, RunStarted, SessionEvent
from kitepilot.ports import LogError, LogReader, LogRecord, TopicPartition
from kitepilot.risk.admission import UnusableError, admit
from kitepilot.topics import SESSION

POLL_RECORDS = 2_000
POLL_S = 5.0
SILENT_POLLS = 12
_COMMANDED = b"commanded"
_RUN_STARTED = b"run_started"

Progress = Callable[[int], None]  # told how many more records were read


class UnreadableRunError(LogError):
    """The run's record cannot be replayed by this version, or is not whole; says why and what to do."""


class Records(Protocol):
    """The reading half of a log: an `EventLog`, or the archive of one run."""

    def reader(self, start: Mapping[TopicPartition, int]) -> LogReader: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class RecordedRun:
    """One run's stretch of every topic (partition 0), `starts` up to `ends`, and what it was started with.

    `ended_at`: session time (ns) of the word that ended the day in order; from there on the flows are being
    stopped, one by one, and need not have seen everything. None: the run was cut short.
    """

    run_id: str
    log: Records
    starts: Mapping[str, int]
    ends: Mapping[str, int]
    config_hash: str
    parameters: DecisionParameters
    ended_at: int | None

    def records(self, topic: str, progress: Progress | None = None) -> Iterator[LogRecord]:
        """Every record of the run on `topic`, in order.

        Raises:
            UnreadableRunError: offsets are missing, or the log stops giving them.
        """
        return stretch(self.log, topic, self.starts[topic], self.ends[topic], progress)

    def length(self, topic: str) -> int:
        return self.ends[topic] - self.starts[topic]


def open_recorded(
    run_id: str, log: Records, starts: Mapping[str, int], ends: Mapping[str, int], concluded: bool = False
) -> RecordedRun:
    """Read the run's first word and whether it ended in order: one pass over its session.

    Raises:
        UnreadableRunError: no `RunStarted` of this run, or one that this version cannot read.
    """
    began: RunStarted | None = None
    words: dict[str, int] = {}
    for record in stretch(log, SESSION.name, starts[SESSION.name], ends[SESSION.name]):
        if began is None and _RUN_STARTED in record.value:
            began = _beginning(record, run_id)
        if _COMMANDED in record.value and isinstance(event := _event(record), Commanded):
            words[event.command] = event.event_at
    if began is None:
        raise UnreadableRunError(
            f"session offsets {starts[SESSION.name]} to {ends[SESSION.name]} hold no start of {run_id}: "
            "the run was never announced, or these are not its offsets"
        )
    ended_at = words.get("end_of_day")
    if ended_at is None and concluded:  # a live day: flattened, or left to the broker at the close
        ended_at = words.get("flatten", began.parameters.close_at)
    return RecordedRun(run_id, log, starts, ends, began.config_hash, began.parameters, ended_at)


def _event(record: LogRecord) -> SessionEvent | None:
    try:
        return admit(record.value)
    except UnusableError:
        return None


def _beginning(record: LogRecord, run_id: str) -> RunStarted | None:
    try:
        event = admit(record.value)
    except UnusableError as err:
        raise UnreadableRunError(
            f"the start of a run at session offset {record.offset} cannot be read by this version "
            f"({err.detail}): replay this day with the version that recorded it"
        ) from err
    return event if isinstance(event, RunStarted) and event.run_id == run_id else None


def stretch(
    log: Records, topic: str, start: int, end: int, progress: Progress | None = None
) -> Iterator[LogRecord]:
    """Records `start` up to `end` of one topic, none missing. Raises `UnreadableRunError`."""
    if start >= end:
        return
    reader = log.reader({(topic, 0): start})
    expected, silent = start, 0
    try:
        while expected < end:
            records = reader.poll(POLL_RECORDS, timeout_s=POLL_S)
            silent = 0 if records else silent + 1
            if silent > SILENT_POLLS or (not records and _at_end(reader, topic, end)):
                raise UnreadableRunError(f"{topic!r} ends at offset {expected}; the run goes on to {end}")
            for record in records:
                if record.offset != expected:
                    raise UnreadableRunError(
                        f"{topic!r} lacks offsets {expected} to {record.offset - 1}: the day is not whole"
                    )
                if expected >= end:
                    break
                yield record
                expected += 1
            if progress:
                progress(len(records))
    finally:
        reader.close()


def _at_end(reader: LogReader, topic: str, end: int) -> bool:
    return reader.positions()[(topic, 0)] >= end


class UpToEnd:
    """A log for a flow's source that ends: past the run's last record the source's process drains."""

    def __init__(self, run: RecordedRun, topic: str, lifecycle: Lifecycle, progress: Progress) -> None:
        self._run = run
        self._topic = topic
        self._lifecycle = lifecycle
        self._progress = progress

    def reader(self, start: Mapping[TopicPartition, int]) -> LogReader:
        return _Stretch(self._run.records(self._topic, self._progress), self._lifecycle, start)

    def close(self) -> None:
        """The run's log belongs to whoever opened it."""


class _Stretch:
    """`RecordedRun.records` with the manners of a log reader."""

    def __init__(
        self, records: Iterator[LogRecord], lifecycle: Lifecycle, start: Mapping[TopicPartition, int]
    ) -> None:
        self._records = records
        self._lifecycle = lifecycle
        self._next = dict(start)

    def poll(self, max_records: int, timeout_s: float = 0.0) -> list[LogRecord]:
        found: list[LogRecord] = []
        while len(found) < max_records and (record := next(self._records, None)) is not None:
            found.append(record)
        if len(found) < max_records:
            self._lifecycle.draining = True
        if found:
            self._next[found[-1].topic, found[-1].partition] = found[-1].offset + 1
        return found

    def positions(self) -> Mapping[TopicPartition, int]:
        return self._next

    def close(self) -> None: ...
