"""The topics of a run, and the acts of the command line -> the audit, each message exactly once.

Not a dataflow: its offsets belong into the same transaction as its rows, and a flow commits its own. Reading
goes on where the audit in PostgreSQL says it ended, whatever run that was, so what was said while no audit
ran is taken up by the next one; where the log has lost what comes next, the audit says that instead.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import msgspec
import psycopg

from infra.audit.acts import acts_log, log_names
from infra.audit.trail import Place, Source, Trail, TrailError
from infra.eventlog import open_log
from infra.postgres.embedded import PostgresError, database_url
from infra.read_positions import Positions
from kitepilot.audit import entries
from kitepilot.audit.records import Entry
from kitepilot.audit.streams import Stream, rolled
from kitepilot.events import RunStarted
from kitepilot.ports import EventLog, LogError, LogReader, LogRecord, TopicPartition
from kitepilot.run import Run
from kitepilot.topics import ACTS

NAME = "audit"
BATCH_RECORDS = 2_000
EVERY_S = 0.5  # at live pace: two transactions a second, so that the disk is left to the gateway
DRAIN_WITHIN_S = 20.0


@dataclass(frozen=True)
class Followed:
    """A log and the topics read from it. `starts` is where `run_id` begins, and where a first audit does."""

    name: str
    log: EventLog
    starts: Mapping[str, int]
    run_id: str
    config_hash: str = ""


def acts_of(home: Path) -> Followed:
    """What the command line did, of no run in particular."""
    return Followed(log_names(home, "")[1], acts_log(home), {ACTS.name: 0}, "")


def topics_of(run: Run) -> Followed:
    """The topics of a run that are read."""
    starts = run.start_offsets()
    name, _ = log_names(run.home, run.config.log.kind)
    begin = {topic.name: starts[topic.name] for topic in entries.FOLLOWED}
    return Followed(name, open_log(run), begin, run.run_id, run.config_hash)


@dataclass
class Batch:
    """What one transaction will hold. `expected` and `streams`: see `Trail.append`."""

    entries: list[tuple[int, Entry]] = field(default_factory=list)  # with the log's own stamp
    streams: dict[tuple[Place, int], Stream] = field(default_factory=dict)
    expected: dict[Place, Stream | None] = field(default_factory=dict)
    sources: dict[Source, int] = field(default_factory=dict)


class Follower:
    """Reads several logs into one trail. `step` is one poll of each and one transaction."""

    def __init__(self, trail: Trail, logs: Sequence[Followed]) -> None:
        self._trail = trail
        self._logs = logs
        self._stored = trail.positions([each.name for each in logs])  # as the database has it
        self._streams: dict[Place, Stream] = {}  # with what the batch adds
        self._last: dict[Source, int] = {}
        self._known_runs: set[str] = set()
        self._batch = Batch()
        self._readers = [self._open(each) for each in logs]
        self._commit()  # gaps, if any

    def close(self) -> None:
        for reader in self._readers:
            reader.close()
        for each in self._logs:
            each.log.close()

    def step(self) -> int:
        """Take up what has come; returns how many records of the logs that were.

        Raises:
            TrailError, psycopg.Error: not written, and nothing is forgotten: a new follower reads it again.
        """
        taken = 0
        for followed, reader in zip(self._logs, self._readers, strict=True):
            for record in reader.poll(BATCH_RECORDS):
                self._take(followed, record)
                taken += 1
        self._commit()
        return taken

    def behind(self) -> int:
        """Records that were appended and not yet taken."""
        return sum(
            each.log.end_offset(topic) - offset
            for each, reader in zip(self._logs, self._readers, strict=True)
            for (topic, _), offset in reader.positions().items()
        )

    def reached(self, followed: Followed) -> dict[TopicPartition, int]:
        """How far the trail has come in one of its logs."""
        return {(topic, 0): self._stored[(followed.name, topic)].next_offset for topic in followed.starts}

    def _open(self, followed: Followed) -> LogReader:
        for topic, start in followed.starts.items():
            place = (followed.name, topic)
            known = self._stored.get(place)
            first, end = followed.log.begin_offset(topic), followed.log.end_offset(topic)
            if known is None:
                self._turn(place, followed.run_id, max(start, first))
            elif known.next_offset > end:
                begin = end if known.run_id == followed.run_id else max(start, first)
                self._skip(
                    place, known, begin, f"the log ends at {end}: its end was lost, or it is another log"
                )
            elif known.next_offset < first:
                self._skip(place, known, first, "removed from the log by its retention before it was read")
            else:
                self._streams[place] = known
        at = {(topic, 0): self._streams[(followed.name, topic)].next_offset for topic in followed.starts}
        return followed.log.reader(at)

    def _skip(self, place: Place, known: Stream, begin: int, why: str) -> None:
        said = entries.gap(place[1], known.next_offset, begin, why, known.run_id, 0)
        self._batch.entries.append((0, said))
        self._streams[place] = known
        self._turn(place, known.run_id, begin)

    def _turn(self, place: Place, run_id: str, offset: int) -> Stream:
        """From `offset` on the topic is another run's (or goes on after a gap)."""
        before = self._streams.get(place)
        log, topic = place
        turn = before.turn + 1 if before else 0
        stream = Stream(
            log=log, topic=topic, turn=turn, run_id=run_id, first_offset=offset, next_offset=offset
        )
        self._move(place, stream)
        return stream

    def _move(self, place: Place, stream: Stream) -> None:
        self._batch.expected.setdefault(place, self._stored.get(place))
        self._batch.streams[(place, stream.turn)] = stream
        self._streams[place] = stream

    def _take(self, followed: Followed, record: LogRecord) -> None:
        place = (followed.name, record.topic)
        stream = self._streams[place]
        if stream.run_id != followed.run_id and record.offset >= followed.starts[record.topic]:
            stream = self._turn(place, followed.run_id, record.offset)
        said = entries.read(record, followed.run_id, followed.config_hash)
        if isinstance(said, RunStarted) and said.run_id != stream.run_id:
            stream = self._turn(place, said.run_id, record.offset)
        self._note(said, record, stream.run_id)
        moved = msgspec.structs.replace(
            stream,
            next_offset=record.offset + 1,
            records=stream.records + 1,
            digest=rolled(stream.digest, record.value),
        )
        self._move(place, moved)

    def _note(self, said: entries.Said | entries.Refused, record: LogRecord, run_id: str) -> None:
        if isinstance(said, entries.Refused):
            self._batch.entries.append((record.appended_at, entries.unreadable(said, record, run_id)))
            return
        if record.topic != ACTS.name and not self._is_new(said, record.topic, run_id):
            return
        entry = entries.entry_of(said, record, run_id)
        if entry is not None:
            self._batch.entries.append((record.appended_at, entry))

    def _is_new(self, said: entries.Said, topic: str, run_id: str) -> bool:
        """A producer that was started again repeats its last numbers."""
        run_id = getattr(said, "run_id", "") or run_id
        if run_id not in self._known_runs:
            self._known_runs.add(run_id)
            self._last |= self._trail.last_of(run_id)
        source = (run_id, topic, said.source)
        if said.seq <= self._last.get(source, -1):
            return False
        self._last[source] = self._batch.sources[source] = said.seq
        return True

    def _commit(self) -> None:
        batch = self._batch
        if not (batch.streams or batch.entries):
            return
        in_time = sorted(batch.entries, key=lambda stamped: stamped[0])  # stable: a topic keeps its order
        found = [entry for _, entry in in_time]
        self._trail.append(found, list(batch.streams.values()), batch.expected, batch.sources)
        self._stored |= self._streams
        self._batch = Batch()


def main(run: Run) -> int:
    """Follow until SIGTERM; what was said by then is taken up first. 1 with one line on a failure."""
    stopping = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    try:
        _follow(run, stopping)
    except (TrailError, PostgresError, LogError, psycopg.Error) as err:
        sys.stderr.write(f"{NAME}: {(str(err).splitlines() or [type(err).__name__])[0]}\n")
        return 1
    return 0


def _follow(run: Run, stopping: threading.Event) -> None:
    trail = Trail(database_url(run))
    own = topics_of(run)
    follower, positions = Follower(trail, (own, acts_of(run.home))), Positions(run, NAME)
    run.mark_ready(NAME)
    try:
        while not stopping.is_set():
            taken = follower.step()
            positions.note(follower.reached(own))
            if taken < BATCH_RECORDS:
                stopping.wait(EVERY_S)
        drain(follower)
    finally:
        follower.close()
        trail.close()


def drain(follower: Follower, within_s: float = DRAIN_WITHIN_S) -> None:
    """Until nothing is left to take, or the time is up: the next follower goes on there."""
    deadline = time.monotonic() + within_s
    while follower.step() and time.monotonic() < deadline:
        pass
