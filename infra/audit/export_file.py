"""The audit as one JSON object per line: records, and each seal behind the last record it covers.

The first line says where the chain begins, the last one where it ends, so a file that was cut shows. Every
line is written in one way only; a reader that finds it written otherwise calls it altered. The text of
`body` stands in the line as it is hashed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from kitepilot.audit.chain import Flaw
from kitepilot.audit.records import Head, Record
from kitepilot.audit.seals import Seal

VERSION = 1
MAX_LINE_BYTES = 8 << 20


class Begin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="line", tag="begin"):
    """`follows` is the number of the record before the first one, `prev_hash` its hash (hex)."""

    version: int
    follows: int
    prev_hash: str


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="line", tag="record"):
    """A record, hashes in hex."""

    seq: int
    run_id: str
    kind: str
    source: str
    topic: str
    log_offset: int
    subject: str
    intent_id: str
    order_id: str
    event_at: int
    recorded_at: int
    body: msgspec.Raw
    prev_hash: str
    hash: str


class Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="line", tag="seal"):
    """A seal, as it is kept."""

    statement: str
    signature: str
    public_key: str


class End(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="line", tag="end"):
    """How many records and seals there were, and the last record's number and hash (hex)."""

    records: int
    seals: int
    last_seq: int
    hash: str


Line = Begin | Row | Sealed | End
_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
_encoder = msgspec.json.Encoder()


def write(path: Path, head: Head, records: Iterable[Record], seals: Sequence[Seal]) -> int:
    """Write records that follow `head` to `path`, whole or not at all; returns how many."""
    fresh = path.with_name(f"{path.name}.new")
    count, sealed, last = 0, 0, head
    ends = {seal.read().last_seq: seal for seal in seals}
    with fresh.open("wb") as file:
        _write(file.write, Begin(VERSION, head.seq, head.hash.hex()))
        for record in records:
            _write(file.write, _row(record))
            count, last = count + 1, Head(record.seq, record.hash)
            if (seal := ends.get(record.seq)) is not None:
                _write(file.write, Sealed(seal.statement, seal.signature, seal.public_key))
                sealed += 1
        _write(file.write, End(count, sealed, last.seq, last.hash.hex()))
    fresh.replace(path)
    return count


class ExportReader:
    """Reads a file once: iterate `records`; `seals`, `flaw` and `ended` are complete after that."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.head = Head()
        self.seals: list[Seal] = []
        self.flaw: Flaw | None = None
        self.ended = False
        self._last = Head()
        self._count = 0

    def begin(self) -> None:
        """Read where the chain begins. Leaves a flaw when there is no such line."""
        first = next(self._lines(), None)
        if not isinstance(first, Begin) or first.version != VERSION:
            self.flaw = self.flaw or Flaw("altered", 1, 0, f"{self._path} does not begin as an export does")
            return
        self.head = self._last = Head(first.follows, bytes.fromhex(first.prev_hash))

    def records(self) -> Iterator[Record]:
        """The records as they stand, up to the first line that cannot be read."""
        lines = self._lines()
        next(lines, None)
        for line in lines:
            if self.ended or isinstance(line, Begin):
                self.flaw = Flaw("repeated", self._last.seq, 0, "a line that does not belong there follows")
                return
            if isinstance(line, Row):
                record = _record(line)
                self._last, self._count = Head(record.seq, record.hash), self._count + 1
                yield record
            elif isinstance(line, Sealed):
                self._sealed(line)
            else:
                self._end(line)
            if self.flaw is not None:
                return
        if self.flaw is None and not self.ended:
            detail = f"{self._path} has no last line: it was cut after record {self._last.seq}"
            self.flaw = Flaw("truncated", self._last.seq + 1, 0, detail)

    def _sealed(self, line: Sealed) -> None:
        """A seal stands behind the last record it covers, and the seals follow from one another."""
        seal = Seal(statement=line.statement, signature=line.signature, public_key=line.public_key)
        try:
            said = seal.read()
        except msgspec.MsgspecError as err:
            self.flaw = Flaw("bad_seal", self._last.seq, 0, f"it is not a statement: {err}")
            return
        before = self.seals[-1] if self.seals else None
        if said.last_seq != self._last.seq or (before and said.previous != before.fingerprint):
            self.flaw = Flaw("bad_seal", 0, said.number, "it stands where it does not belong")
        self.seals.append(seal)

    def _end(self, line: End) -> None:
        self.ended = True
        told = (line.records, line.seals, line.last_seq, line.hash)
        if told != (self._count, len(self.seals), self._last.seq, self._last.hash.hex()):
            detail = (
                f"the last line tells of {line.records} records up to {line.last_seq}, {line.seals} seals"
            )
            self.flaw = Flaw("truncated", self._last.seq + 1, 0, detail)

    def _lines(self) -> Iterator[Line]:
        with self._path.open("rb") as file:
            number = 0
            while raw := file.readline(MAX_LINE_BYTES):
                number += 1
                try:
                    line = _decoder.decode(raw)
                    if _encoder.encode(line) + b"\n" != raw or not _is_hex(line):
                        raise ValueError("it is not written as an export writes it")
                except ValueError as err:  # msgspec's errors are ValueErrors too
                    self.flaw = Flaw("altered", self._last.seq + 1, 0, f"line {number}: {err}")
                    return
                yield line


def _is_hex(line: Line) -> bool:
    texts = {Begin: ("prev_hash",), Row: ("prev_hash", "hash"), End: ("hash",), Sealed: ()}[type(line)]
    return all(len(bytes.fromhex(getattr(line, name))) == 32 for name in texts)


def _write(out: object, line: Line) -> None:
    assert callable(out)
    out(_encoder.encode(line) + b"\n")


def _row(record: Record) -> Row:
    return Row(
        seq=record.seq,
        run_id=record.run_id,
        kind=record.kind,
        source=record.source,
        topic=record.topic,
        log_offset=record.log_offset,
        subject=record.subject,
        intent_id=record.intent_id,
        order_id=record.order_id,
        event_at=record.event_at,
        recorded_at=record.recorded_at,
        body=msgspec.Raw(record.body.encode()),
        prev_hash=record.prev_hash.hex(),
        hash=record.hash.hex(),
    )


def _record(row: Row) -> Record:
    return Record(
        seq=row.seq,
        run_id=row.run_id,
        kind=row.kind,
        source=row.source,
        topic=row.topic,
        log_offset=row.log_offset,
        subject=row.subject,
        intent_id=row.intent_id,
        order_id=row.order_id,
        event_at=row.event_at,
        recorded_at=row.recorded_at,
        body=bytes(row.body).decode(),
        prev_hash=bytes.fromhex(row.prev_hash),
        hash=bytes.fromhex(row.hash),
    )
