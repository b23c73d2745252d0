"""One line of the audit and its hash: a stated encoding, so that anybody can check it without KitePilot.

Encoding, version 1. The hash of a record is SHA-256 over, in this order and without anything between:

    the 17 ASCII bytes `kitepilot-audit-1`
    seq, event_at, recorded_at, log_offset      each 8 bytes, signed, big-endian
    prev_hash                                   32 bytes; zeros for the record with seq 1
    run_id, kind, source, topic, subject, intent_id, order_id, body
                                                each 4 bytes of length (unsigned, big-endian), then UTF-8

`body` is JSON text without line breaks; its bytes count, not what they mean.
"""

from __future__ import annotations

import hashlib
import struct

import msgspec

VERSION = 1
GENESIS = bytes(32)
_DOMAIN = b"kitepilot-audit-1"
_NUMBERS = struct.Struct(">qqqq")
_LENGTH = struct.Struct(">I")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be recorded, before it has a number. Times in ns UTC; `log_offset` is -1 outside a log.

    `subject` is what it is about besides orders: a signal, a command, an alarm's subject, a user.
    """

    run_id: str
    kind: str
    source: str
    topic: str
    log_offset: int
    subject: str
    intent_id: str
    order_id: str
    event_at: int
    body: str


class Record(Entry, frozen=True, kw_only=True):
    """One row of the audit. `recorded_at` is the machine's clock, ns UTC, when it was written down."""

    seq: int
    recorded_at: int
    prev_hash: bytes
    hash: bytes


class Head(msgspec.Struct, frozen=True):
    """The end of a chain: the last number and its hash."""

    seq: int = 0
    hash: bytes = GENESIS


def linked(entry: Entry, head: Head, recorded_at: int) -> Record:
    """The record that follows `head`."""
    seq = head.seq + 1
    return Record(
        run_id=entry.run_id,
        kind=entry.kind,
        source=entry.source,
        topic=entry.topic,
        log_offset=entry.log_offset,
        subject=entry.subject,
        intent_id=entry.intent_id,
        order_id=entry.order_id,
        event_at=entry.event_at,
        body=entry.body,
        seq=seq,
        recorded_at=recorded_at,
        prev_hash=head.hash,
        hash=digest(entry, seq, recorded_at, head.hash),
    )


def digest(entry: Entry, seq: int, recorded_at: int, prev_hash: bytes) -> bytes:
    """SHA-256 over the encoding of version 1."""
    parts = [_DOMAIN, _NUMBERS.pack(seq, entry.event_at, recorded_at, entry.log_offset), prev_hash]
    for text in (
        *(entry.run_id, entry.kind, entry.source, entry.topic),
        *(entry.subject, entry.intent_id, entry.order_id, entry.body),
    ):
        raw = text.encode("utf-8", "surrogatepass")
        parts += (_LENGTH.pack(len(raw)), raw)
    return hashlib.sha256(b"".join(parts)).digest()


def own_hash(record: Record) -> bytes:
    """What `record.hash` has to be, by everything else in it."""
    return digest(record, record.seq, record.recorded_at, record.prev_hash)
