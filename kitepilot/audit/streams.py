"""How far one topic was read for one run, and the digest of every byte of it: small, and easily stored.

The digest is rolled: `next = SHA-256(digest + SHA-256(value))`, from 32 zero bytes, over the values of all
records in offset order. It covers what the audit leaves out (quotes, marks) and can be made again from the
log or from any copy of it.
"""

from __future__ import annotations

import hashlib

import msgspec

from kitepilot.audit.records import GENESIS


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """The part of one topic-partition (number 0) that belongs to a run: `[first_offset, next_offset)`."""

    log: str  # which log: a home's, by kind
    topic: str
    turn: int  # counts the runs, and the gaps, of this topic; the highest is being read
    run_id: str
    first_offset: int
    next_offset: int
    records: int = 0
    digest: bytes = GENESIS


def rolled(digest: bytes, value: bytes) -> bytes:
    """The digest after one more value."""
    return hashlib.sha256(digest + hashlib.sha256(value).digest()).digest()
