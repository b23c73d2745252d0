"""One run's topics, read from about an instant on: the event log, or the archive of what it forgot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from kitepilot.cli import days
from kitepilot.cli.days import KnownRun
from kitepilot.ports import LogError, LogRecord

if TYPE_CHECKING:
    from flows.replay.recorded import Records

BACK_NS = 2_000_000_000  # a producer hands a message over before the log stamps it: look so much earlier


@runtime_checkable
class SeekableLog(Protocol):
    """What the event log can do and the archive cannot."""

    def begin_offset(self, topic: str, partition: int = 0) -> int: ...

    def offset_at(self, topic: str, at_ns: int, partition: int = 0) -> int: ...


@dataclass(frozen=True)
class Shelf:
    """A run's stretch of every topic. `where`: in words, for people."""

    known: KnownRun
    log: Records
    ends: Mapping[str, int]
    where: str

    @property
    def run_id(self) -> str:
        return self.known.run_id

    def records(self, topic: str, since_ns: int = 0, back: int = 0) -> Iterator[LogRecord]:
        """Records appended from about `since_ns` (machine clock) on; with `back`, so many before it.

        The log finds the instant by its index; the archive is read from the run's start.
        """
        from flows.replay.recorded import stretch

        start = self.known.starts[topic]
        log = self.log
        if isinstance(log, SeekableLog):
            start = max(start, log.begin_offset(topic))
            if since_ns:
                lead_ns = 0 if back else BACK_NS
                start = max(start, log.offset_at(topic, since_ns - lead_ns) - back)
        return stretch(self.log, topic, start, self.ends[topic])


@contextmanager
def taken(known: KnownRun, home: Path, topics: Sequence[str]) -> Iterator[tuple[Shelf, list[str]]]:
    """The shelf that holds most of `topics`, and what it lacks. Raises `LogError` when it has none."""
    from infra.session_archive import ArchivedLog, read_card

    with days.reading_log(known.run(home)) as log:
        ends = days.ends_in_log(known, days.known_runs(home), log)
        lacking = [text for topic in topics if (text := days.holds(log, known, ends, [topic]))]
        if not lacking or (known.archive is None and len(lacking) < len(topics)):
            yield Shelf(known, log, ends, f"the event log ({known.log_kind})"), lacking
            return
    if known.archive is None:
        raise LogError(f"the records of {known.run_id} are gone from the log, and it was not kept as files")
    kept = {name: topic.end for name, topic in read_card(known.archive).topics.items()}
    yield Shelf(known, ArchivedLog(known.archive), kept, "the archive"), []
