"""A seal: a signed statement about the chain so far. What is signed is text, and the text is kept.

The signature (Ed25519) is over the bytes `kitepilot-audit-seal-1` followed by the statement's own bytes: JSON
with sorted keys. Each statement names the SHA-256 of the one before, so a seal cannot be taken out of
the middle either.
"""

from __future__ import annotations

import hashlib

import msgspec

DOMAIN = b"kitepilot-audit-seal-1"


class SealedStream(msgspec.Struct, frozen=True, kw_only=True):
    """What a topic held of the run; see `kitepilot.audit.streams` for the digest (hex)."""

    topic: str
    first_offset: int
    next_offset: int
    records: int
    digest: str


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What a seal says: records `first_seq` to `last_seq` end in the hash `root` (hex)."""

    number: int  # from 1
    previous: str  # SHA-256 (hex) of the statement before; "" for number 1
    run_id: str
    session_date: str
    sealed_at: int  # machine clock, ns UTC
    first_seq: int
    last_seq: int
    root: str
    streams: tuple[SealedStream, ...]
    code_version: str


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """A statement's own bytes (as text), the signature and the key to check it with, both hex."""

    statement: str
    signature: str
    public_key: str

    def read(self) -> Statement:
        """Raises `msgspec.MsgspecError` for a text that is no statement."""
        return msgspec.json.decode(self.statement, type=Statement)

    @property
    def signed(self) -> bytes:
        """The bytes under the signature."""
        return DOMAIN + self.statement.encode()

    @property
    def fingerprint(self) -> str:
        """What the next statement calls `previous`."""
        return hashlib.sha256(self.statement.encode()).hexdigest()


def text_of(statement: Statement) -> str:
    """The one way a statement is written."""
    return msgspec.json.encode(msgspec.to_builtins(statement), order="sorted").decode()
