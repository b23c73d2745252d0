"""A run's records for the telling of an order's story: the log while the run goes on, else its archive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from infra.session_archive import ArchivedLog, kept_folders, read_card
from kitepilot.ports import EventLog, LogReader, LogRecord, TopicPartition
from kitepilot.run import Run

BACK_NS = 2_000_000_000  # a producer hands a message over before the log stamps it: look so much earlier
BATCH = 2_000
FIRST_BATCH = 32  # from a known instant on: what is looked for is near
POLL_S = 1.0


class Readable(Protocol):
    """The reading half of a log."""

    def reader(self, start: Mapping[TopicPartition, int]) -> LogReader: ...


@dataclass(frozen=True)
class RunShelf:
    """One run's stretch of every topic, `starts` up to `ends`."""

    run_id: str
    where: str
    log: Readable
    starts: Mapping[str, int]
    ends: Mapping[str, int]
    session_date: str
    index: EventLog | None = None  # finds an instant; None: read from the start

    def records(self, topic: str, since_ns: int = 0, back: int = 0) -> Iterator[LogRecord]:
        """Those that are there: a story is told with what is left."""
        start, end = self.starts[topic], self.ends[topic]
        if self.index is not None:
            start = max(start, self.index.begin_offset(topic))
            if since_ns:
                lead_ns = 0 if back else BACK_NS
                start = max(start, self.index.offset_at(topic, since_ns - lead_ns) - back)
        if start >= end:
            return
        reader = self.log.reader({(topic, 0): start})
        size = FIRST_BATCH if since_ns else BATCH
        try:
            while found := reader.poll(size, timeout_s=POLL_S):
                size = min(4 * size, BATCH)
                yield from (record for record in found if record.offset < end)
                if found[-1].offset >= end - 1:
                    return
        finally:
            reader.close()


def of_running(run: Run, log: EventLog) -> RunShelf:
    """As far as the log is written now."""
    starts = run.start_offsets()
    ends = {topic: log.end_offset(topic) for topic in starts}
    return RunShelf(run.run_id, "the event log", log, starts, ends, run.config.session.date, log)


def of_kept(home: Path, run_id: str) -> RunShelf | None:
    """A run that was kept as files; None where it was not. Raises `LogError`."""
    for folder in kept_folders(home):
        if folder.name == run_id:
            card = read_card(folder)
            topics = card.topics
            starts = {name: topic.start for name, topic in topics.items()}
            ends = {name: topic.end for name, topic in topics.items()}
            return RunShelf(run_id, "the archive", ArchivedLog(folder), starts, ends, card.session_date)
    return None
