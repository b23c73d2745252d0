"""One segment: a SQLite file with the records of one partition from a base offset on.

A row is a record, its primary key the offset. A sealed segment ends with one row whose value is NULL, at
the base offset of its successor; nothing is written after it. `appended_at` never falls along offsets
(a clock set back repeats the last stamp), so seeking by time is a binary search without an index.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

SUFFIX = ".sqlite"
DAY_NS = 86_400 * 1_000_000_000
BUSY_TIMEOUT_S = 10.0

_SCHEMA = """
CREATE TABLE origin (base INTEGER NOT NULL, floor_ns INTEGER NOT NULL);
CREATE TABLE record (
    position INTEGER PRIMARY KEY, appended_at INTEGER NOT NULL, key BLOB NOT NULL, value BLOB);
"""
_LAST = "SELECT position, appended_at, value IS NULL FROM record ORDER BY position DESC LIMIT 1"
_FIRST = "SELECT appended_at FROM record WHERE value IS NOT NULL ORDER BY position LIMIT 1"
_READ = "SELECT position, appended_at, key, value FROM record WHERE position >= ? ORDER BY position LIMIT ?"
_STAMP = "SELECT appended_at FROM record WHERE position = ?"
_INSERT = "INSERT INTO record (position, appended_at, key, value) VALUES (?, ?, ?, ?)"


class Tail(NamedTuple):
    """Where a segment ends: the next offset, the newest stamp (ns), and whether it is closed for good."""

    next_offset: int
    stamped_at: int
    sealed: bool


def segment_path(folder: Path, base: int) -> Path:
    return folder / f"{base:020d}{SUFFIX}"


def list_bases(folder: Path) -> list[int]:
    """Base offsets of the segments in `folder`, ascending."""
    return sorted(int(path.stem) for path in folder.iterdir() if path.suffix == SUFFIX)


def create_segment(folder: Path, base: int, floor_ns: int) -> None:
    """Make an empty segment, whole or not at all. The caller holds the folder's lock."""
    draft = folder / "draft"
    for leftover in folder.glob("draft*"):  # of a process that was killed in here
        leftover.unlink()
    database = sqlite3.connect(draft, isolation_level=None)
    try:
        database.executescript(_SCHEMA)
        database.execute("INSERT INTO origin VALUES (?, ?)", (base, floor_ns))
        database.execute("PRAGMA journal_mode=WAL")
    finally:
        database.close()
    draft.rename(segment_path(folder, base))


def delete_segment(folder: Path, base: int) -> None:
    """Remove a segment. A process that has it open keeps reading what it opened."""
    path = segment_path(folder, base)
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        (folder / name).unlink(missing_ok=True)


class Segment:
    """An open segment. Raises `sqlite3.Error` as it comes; the partition puts words to it."""

    def __init__(
        self, folder: Path, base: int, *, synchronous: str = "NORMAL", read_only: bool = False
    ) -> None:
        self.base = base
        self._database = sqlite3.connect(
            f"{segment_path(folder, base).absolute().as_uri()}?mode=rw",
            uri=True,
            isolation_level=None,
            timeout=BUSY_TIMEOUT_S,
            check_same_thread=False,
        )
        try:
            self._database.execute(f"PRAGMA synchronous={synchronous}")
            self._database.execute("PRAGMA cache_size=-1024")
            self._database.execute("PRAGMA wal_autocheckpoint=0")  # see `checkpoints`
            if read_only:
                self._database.execute("PRAGMA query_only=1")
            (self._floor_ns,) = self._database.execute("SELECT floor_ns FROM origin").fetchone()
        except BaseException:
            self._database.close()
            raise
        self._first_at: int | None = None

    def tail(self) -> Tail:
        row = self._database.execute(_LAST).fetchone()
        if row is None:
            return Tail(self.base, self._floor_ns, False)
        position, stamped_at, sealed = row
        return Tail(position if sealed else position + 1, stamped_at, bool(sealed))

    def first_at(self) -> int | None:
        """Stamp of the first record, None while there is none."""
        if self._first_at is None:
            row = self._database.execute(_FIRST).fetchone()
            self._first_at = row[0] if row else None
        return self._first_at

    def read(self, offset: int, limit: int) -> sqlite3.Cursor:
        """Rows (position, appended_at, key, value) from `offset` on, the seal row too. Close the cursor."""
        return self._database.execute(_READ, (offset, limit))

    def stamp_of(self, offset: int) -> int:
        (stamped_at,) = self._database.execute(_STAMP, (offset,)).fetchone()
        return int(stamped_at)

    def append(self, entries: Sequence[tuple[bytes, bytes]], now_ns: int, max_bytes: int) -> int | None:
        """Write (key, value) entries in one transaction; the first offset, or None if the segment is closed.

        A segment that is full, or that began on an earlier UTC day, is sealed by the call that notices.
        """
        database = self._database
        database.execute("BEGIN IMMEDIATE")
        try:
            tail = self.tail()
            if not tail.sealed and self._is_full(tail, now_ns, max_bytes):
                self._seal(tail)
                tail = tail._replace(sealed=True)
            elif not tail.sealed:
                stamp = max(now_ns, tail.stamped_at)
                rows = ((tail.next_offset + i, stamp, key, value) for i, (key, value) in enumerate(entries))
                database.executemany(_INSERT, rows)
            database.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        return None if tail.sealed else tail.next_offset

    def seal_if_older(self, before_ns: int) -> bool:
        """Close the segment for good if it holds records and all are older than `before_ns`."""
        database = self._database
        database.execute("BEGIN IMMEDIATE")
        try:
            tail = self.tail()
            old = not tail.sealed and tail.next_offset > self.base and tail.stamped_at < before_ns
            if old:
                self._seal(tail)
            database.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        return old or tail.sealed

    def checkpoint(self) -> int:
        """Move what is committed from the write-ahead log into the file, holding nobody up.

        Returns the length of the write-ahead log in pages. The next append starts it over if nothing was
        appended meanwhile.
        """
        _, logged, _ = self._database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return int(logged)

    def close(self) -> None:
        self._database.close()

    def _is_full(self, tail: Tail, now_ns: int, max_bytes: int) -> bool:
        first_at = self.first_at()
        if first_at is None:
            return False
        (pages,) = self._database.execute("PRAGMA page_count").fetchone()
        (page_bytes,) = self._database.execute("PRAGMA page_size").fetchone()
        return bool(pages * page_bytes >= max_bytes or first_at // DAY_NS < now_ns // DAY_NS)

    def _seal(self, tail: Tail) -> None:
        self._database.execute(_INSERT, (tail.next_offset, tail.stamped_at, b"", None))

    def _roll_back(self) -> None:
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")
