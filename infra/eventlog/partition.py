"""One topic-partition of the embedded log: a folder of segments, one appender and any number of cursors."""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
import sys
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.eventlog.bounds import MAX_POLL_BYTES
from infra.eventlog.checkpoints import ENTRY_BYTES, Checkpoints
from infra.eventlog.segment import (
    Segment,
    Tail,
    create_segment,
    delete_segment,
    list_bases,
    segment_path,
)
from kitepilot.ports import LogError, LogRecord, OffsetOutOfRangeError

_RETENTION_FILE = "retention_ns"
_LOCK_FILE = "lock"
_MAX_ROLLS = 1_000  # an append that meets more sealed segments than this has lost its way


@dataclass(frozen=True)
class Partition:
    """Where a partition lives and how it is written. `max_bytes` is the size at which a segment is sealed."""

    folder: Path
    topic: str
    number: int
    synchronous: str
    max_bytes: int

    def create(self, retention_ns: int) -> None:
        """Make the folder and its first segment; keep what is there. Raises `LogError`."""
        with self.explained("create"):
            self.folder.mkdir(parents=True, exist_ok=True)
            with self.locked():
                draft = self.folder / f"{_RETENTION_FILE}.draft"
                draft.write_text(str(retention_ns))
                draft.rename(self.folder / _RETENTION_FILE)
                if not list_bases(self.folder):
                    create_segment(self.folder, 0, 0)

    def bases(self) -> list[int]:
        """Base offsets, ascending, never empty. Raises `LogError` if the topic was not created."""
        bases = list_bases(self.folder) if self.folder.is_dir() else []
        if not bases:
            raise LogError(
                f"topic {self.topic!r} partition {self.number} does not exist in {self.folder.parent}; "
                "create_topics first"
            )
        return bases

    def open(self, base: int, *, read_only: bool) -> Segment:
        """Raises `OffsetOutOfRangeError` if another process has just removed the segment."""
        try:
            return Segment(self.folder, base, synchronous=self.synchronous, read_only=read_only)
        except sqlite3.OperationalError as err:
            if segment_path(self.folder, base).exists():
                raise
            raise self._removed(base) from err

    def holding(self, offset: int) -> Segment:
        """The open segment that holds, or will hold, `offset`. Raises `OffsetOutOfRangeError`."""
        bases = self.bases()
        found = bisect_right(bases, offset)
        if found == 0:
            raise self._removed(offset)
        return self.open(bases[found - 1], read_only=True)

    def retention_ns(self) -> int:
        return int((self.folder / _RETENTION_FILE).read_text())

    def offset_at(self, at_ns: int) -> int:
        """First offset stamped at or after `at_ns`; the end offset if there is none."""
        with self.explained("seek in"):
            bases = self.bases()
            found = bisect_left(bases, at_ns, key=self._first_stamp)
            if found == 0:
                return bases[0]
            segment = self.open(bases[found - 1], read_only=True)
            try:
                offsets = range(segment.base, segment.tail().next_offset)
                return segment.base + bisect_left(offsets, at_ns, key=segment.stamp_of)
            finally:
                segment.close()

    def continue_after(self, sealed: Tail) -> Segment:
        """The newest segment, open to append; makes the successor of `sealed` if nothing follows it."""
        with self.locked():
            newest = self.bases()[-1]
            if newest < sealed.next_offset:
                newest = sealed.next_offset
                create_segment(self.folder, newest, sealed.stamped_at)
        return self.open(newest, read_only=False)

    def drop_before(self, before_ns: int) -> int:
        """Delete sealed segments whose newest record is older; returns the new begin offset."""
        with self.explained("trim"), self.locked():
            bases = self.bases()
            for base in bases[:-1]:
                tail = self._tail_of(base)
                if not tail.sealed or tail.stamped_at >= before_ns:
                    return base
                delete_segment(self.folder, base)
            return bases[-1]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time makes or removes segments; the kernel frees the lock of one that dies."""
        with (self.folder / _LOCK_FILE).open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def explained(self, doing: str) -> Iterator[None]:
        """Turn SQLite's and the system's errors into a `LogError` that says where and what to do."""
        try:
            yield
        except (sqlite3.Error, OSError) as err:
            free = _free_bytes(self.folder)
            raise LogError(
                f"cannot {doing} topic {self.topic!r} partition {self.number} in {self.folder}: {err} "
                f"({free / 1e6:.1f} MB free on that disk). Free some space or check the folder's owner, "
                "then start again; records already acknowledged are safe"
            ) from err

    def _removed(self, offset: int) -> OffsetOutOfRangeError:
        return OffsetOutOfRangeError(
            f"offset {offset} of topic {self.topic!r} partition {self.number} in {self.folder} was "
            f"removed by retention; the oldest kept is {self.bases()[0]}"
        )

    def _tail_of(self, base: int) -> Tail:
        segment = self.open(base, read_only=True)
        try:
            return segment.tail()
        finally:
            segment.close()

    def _first_stamp(self, base: int) -> int:
        segment = self.open(base, read_only=True)
        try:
            first_at = segment.first_at()
        finally:
            segment.close()
        return sys.maxsize if first_at is None else first_at


class Appender:
    """Appends to the newest segment and rolls to the next one. Threads may share it."""

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._lock = threading.Lock()
        self._segment: Segment | None = None
        self._checkpoints = Checkpoints()

    def append(self, entries: Sequence[tuple[bytes, bytes]]) -> int:
        """Write (key, value) entries, all or nothing, at consecutive offsets; returns the first one."""
        with self._lock, self._partition.explained("append to"):
            for _ in range(_MAX_ROLLS):
                segment = self._newest()
                first = segment.append(entries, time.time_ns(), self._partition.max_bytes)
                if first is not None:
                    self._count(segment, entries)
                    return first
                self._roll(segment)
            raise self._lost()

    def tail(self) -> Tail:
        with self._lock, self._partition.explained("read the end of"):
            return self._open_tail()

    def trim(self, before_ns: int) -> int:
        """Forget segments older than `before_ns`, the newest one included; returns the new begin offset."""
        with self._lock, self._partition.explained("trim"):
            self._open_tail()
            if self._newest().seal_if_older(before_ns):
                self._roll(self._newest())
            return self._partition.drop_before(before_ns)

    def expire(self) -> int:
        """`trim` to the topic's retention."""
        return self.trim(time.time_ns() - self._partition.retention_ns())

    def close(self) -> None:
        with self._lock:
            self._checkpoints.close()
            if self._segment is not None:
                self._segment.close()
                self._segment = None

    def _count(self, segment: Segment, entries: Sequence[tuple[bytes, bytes]]) -> None:
        written = sum(len(value) + ENTRY_BYTES for _, value in entries)
        self._checkpoints.count(written, segment, lambda: self._partition.open(segment.base, read_only=False))

    def _newest(self) -> Segment:
        if self._segment is None:
            self._segment = self._partition.open(self._partition.bases()[-1], read_only=False)
        return self._segment

    def _open_tail(self) -> Tail:
        """The tail of the segment that takes the next append."""
        for _ in range(_MAX_ROLLS):
            tail = self._newest().tail()
            if not tail.sealed:
                return tail
            self._roll(self._newest())
        raise self._lost()

    def _roll(self, sealed: Segment) -> None:
        """Go from a sealed segment to the newest one, making it if need be, and apply retention."""
        partition = self._partition
        successor = partition.continue_after(sealed.tail())
        sealed.close()
        self._segment = successor
        partition.drop_before(time.time_ns() - partition.retention_ns())

    def _lost(self) -> LogError:
        return LogError(f"{self._partition.folder} holds only sealed segments; is another version writing?")


class Cursor:
    """Reads one partition from an offset on, across segments. One thread at a time."""

    def __init__(self, partition: Partition, offset: int) -> None:
        self.next_offset = offset
        self._partition = partition
        with partition.explained("read"):
            self._segment = partition.holding(offset)
            end = self._segment.tail().next_offset
        if offset > end:
            self.close()
            raise OffsetOutOfRangeError(
                f"offset {offset} of topic {partition.topic!r} partition {partition.number} in "
                f"{partition.folder} is past the end {end}"
            )

    def read(self, max_records: int) -> list[LogRecord]:
        """Up to `max_records` and about `MAX_POLL_BYTES`, without blocking."""
        records: list[LogRecord] = []
        topic, number = self._partition.topic, self._partition.number
        budget = MAX_POLL_BYTES
        with self._partition.explained("read"):
            while len(records) < max_records and budget > 0:
                rows = self._segment.read(self.next_offset, max_records - len(records))
                sealed = False
                for position, appended_at, key, value in rows:
                    if value is None:
                        sealed = True
                        break
                    records.append(LogRecord(topic, number, position, appended_at, key, value))
                    self.next_offset = position + 1
                    budget -= len(value)
                    if budget <= 0:
                        break
                rows.close()
                if not (sealed and self._move_on()):
                    break
        return records

    def close(self) -> None:
        self._segment.close()

    def _move_on(self) -> bool:
        """Step to the successor; False while the process that sealed has not made it yet."""
        successor = self._partition.holding(self.next_offset)
        if successor.base == self._segment.base:
            successor.close()
            return False
        self._segment.close()
        self._segment = successor
        return True


def _free_bytes(folder: Path) -> int:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(existing).free
