"""One topic of a run <-> one Parquet file: offset, both clocks, key and value of every record.

`event_at` (session time) stands beside `appended_at` (the writer's machine clock) for people and for queries;
it is empty for values that carry none. Reading gives the records back as the log gave them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from infra.session_archive.card import Card, Digest, TopicCard, read_card
from kitepilot.ports import LogError, LogRecord, OffsetOutOfRangeError, TopicPartition

MIB = 1 << 20
GROUP_BYTES = 16 * MIB
GROUP_RECORDS = 50_000
READ_RECORDS = 1_000
_SCHEMA = pa.schema(
    [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("appended_at", pa.int64(), nullable=False),
        pa.field("event_at", pa.int64()),
        pa.field("key", pa.binary(), nullable=False),
        pa.field("value", pa.binary(), nullable=False),
    ]
)


class _Dated(msgspec.Struct):
    """The one field of a message that this module looks at."""

    event_at: int


_dated = msgspec.msgpack.Decoder(_Dated)


def topic_path(folder: Path, topic: str) -> Path:
    return folder / f"{topic}.parquet"


def write_topic(folder: Path, topic: str, start: int, end: int, records: Iterable[LogRecord]) -> TopicCard:
    """Write records (ascending offsets within `start`..`end`) to the topic's file; what was written."""
    digest, count, size = Digest(), 0, 0
    gaps: list[tuple[int, int]] = []
    expected = start
    with pq.ParquetWriter(
        topic_path(folder, topic),
        _SCHEMA,
        compression="zstd",
        compression_level=3,
        use_dictionary=["key"],
        write_page_checksum=True,
    ) as writer:
        for group in _groups(records):
            for record in group:
                if record.offset > expected:
                    gaps.append((expected, record.offset - 1))
                expected = record.offset + 1
                digest.add(record)
                size += len(record.value)
            count += len(group)
            writer.write_batch(_batch(group))
    if expected < end:
        gaps.append((expected, end - 1))
    return TopicCard(
        start=start, end=end, records=count, value_bytes=size, sha256=digest.hex(), gaps=tuple(gaps)
    )


def _groups(records: Iterable[LogRecord]) -> Iterator[list[LogRecord]]:
    """Row groups of bounded size: neither writing nor reading ever holds more."""
    group: list[LogRecord] = []
    size = 0
    for record in records:
        group.append(record)
        size += len(record.value)
        if size >= GROUP_BYTES or len(group) >= GROUP_RECORDS:
            yield group
            group, size = [], 0
    if group:
        yield group


def _batch(group: list[LogRecord]) -> pa.RecordBatch:
    columns = [
        pa.array([record.offset for record in group], pa.int64()),
        pa.array([record.appended_at for record in group], pa.int64()),
        pa.array([_event_at(record.value) for record in group], pa.int64()),
        pa.array([record.key for record in group], pa.binary()),
        pa.array([record.value for record in group], pa.binary()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)


def _event_at(value: bytes) -> int | None:
    try:
        return _dated.decode(value).event_at
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None  # ticks, and what nobody could read


class ArchivedLog:
    """The reading half of an event log, over the files of one run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.card: Card = read_card(folder)

    def begin_offset(self, topic: str, partition: int = 0) -> int:
        return self._topic(topic, partition).start

    def end_offset(self, topic: str, partition: int = 0) -> int:
        return self._topic(topic, partition).end

    def reader(self, start: Mapping[TopicPartition, int]) -> ArchivedReader:
        """Raises `LogError` where a file is gone, `OffsetOutOfRangeError` for offsets outside the run."""
        for (topic, partition), offset in start.items():
            kept = self._topic(topic, partition)
            if not kept.start <= offset <= kept.end:
                raise OffsetOutOfRangeError(
                    f"offset {offset} of {topic!r} is outside the archived run: {kept.start} to {kept.end}"
                )
        return ArchivedReader(self._folder, self.card, start)

    def close(self) -> None:
        """Nothing is held open between readers."""

    def _topic(self, topic: str, partition: int) -> TopicCard:
        found = self.card.topics.get(topic) if partition == 0 else None
        if found is None:
            raise LogError(f"topic {topic!r} partition {partition} is not archived in {self._folder}")
        return found


class ArchivedReader:
    """Records in offset order, one topic after the other. A file that was changed is named at its end."""

    def __init__(self, folder: Path, card: Card, start: Mapping[TopicPartition, int]) -> None:
        self._next = dict(start)
        self._waiting = [
            (where, _records(folder, where[0], card.topics[where[0]], offset))
            for where, offset in start.items()
        ]

    def poll(self, max_records: int, timeout_s: float = 0.0) -> list[LogRecord]:
        """Up to `max_records`; empty at the end, whatever `timeout_s` says."""
        found: list[LogRecord] = []
        while self._waiting and len(found) < max_records:
            where, records = self._waiting[0]
            record = next(records, None)
            if record is None:
                self._waiting.pop(0)
                continue
            found.append(record)
            self._next[where] = record.offset + 1
        return found

    def positions(self) -> Mapping[TopicPartition, int]:
        return self._next

    def close(self) -> None:
        self._waiting.clear()


def _records(folder: Path, topic: str, card: TopicCard, start: int) -> Iterator[LogRecord]:
    path = topic_path(folder, topic)
    if not path.exists():
        raise LogError(f"{path} is gone: the archive keeps ticks, bars and features of the newest days only")
    digest, whole = Digest(), start == card.start
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(READ_RECORDS, columns=["offset", "appended_at", "key", "value"]):
                for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    record = LogRecord(topic, 0, *row)
                    if whole:
                        digest.add(record)
                    if record.offset >= start:
                        yield record
    except (OSError, pa.ArrowException) as err:
        raise LogError(f"{path} cannot be read: {err}; the file was damaged after it was written") from err
    if whole and digest.hex() != card.sha256:
        raise LogError(
            f"{path} does not hold what its card says (SHA-256 differs): one of the two was changed"
        )
