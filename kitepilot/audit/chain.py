"""Reads a chain from its beginning and names the first record that is not as it was written.

What each finding means, and what cannot be told apart: docs/explanation/audit.md. Bounded memory: one hash
and one number, whatever the length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from kitepilot.audit.records import Head, Record, own_hash
from kitepilot.audit.seals import Seal, Statement

SignatureCheck = Callable[[Seal], str]


class Flaw(msgspec.Struct, frozen=True):
    """The first thing that is wrong. `what`: altered | unlinked | missing | out_of_order | repeated |
    truncated | rewritten | bad_seal | bad_signature | lost_seal | unsealed.

    `seq` is the record (0: it is about a seal alone), `number` the seal (0: none).
    """

    what: str
    seq: int
    number: int
    detail: str

    def __str__(self) -> str:
        where = f"record {self.seq}" if self.seq else f"seal {self.number}"
        return f"{where} is {self.what.replace('_', ' ')}: {self.detail}"


class Chain:
    """Takes records one after the other; `flaw` stays None as long as all is well."""

    def __init__(self, head: Head | None = None) -> None:
        self.head = head or Head()
        self.records = 0
        self.flaw: Flaw | None = None

    def take(self, record: Record) -> bool:
        """Whether the record is the next of the chain; nothing more is taken after the first that is not."""
        if self.flaw is None:
            self.flaw = self._flaw_of(record)
        if self.flaw is not None:
            return False
        self.head = Head(record.seq, record.hash)
        self.records += 1
        return True

    def _flaw_of(self, record: Record) -> Flaw | None:
        due = self.head.seq + 1
        if record.seq > due:
            return Flaw("missing", due, 0, f"the record after {self.head.seq} says {record.seq}")
        if record.seq < due:
            what = "repeated" if record.seq == self.head.seq else "out_of_order"
            return Flaw(what, record.seq, 0, f"it stands where record {due} belongs")
        if own_hash(record) != record.hash:
            return Flaw("altered", record.seq, 0, "its hash is not that of its contents")
        if record.prev_hash != self.head.hash:
            before = f"it does not follow from record {due - 1}: one of the two was replaced, hash and all"
            return Flaw("unlinked", record.seq, 0, before)
        return None


def settle_missing(flaw: Flaw, rest: Iterable[Record]) -> Flaw:
    """A record that is missing where it belongs, and turns up later, is out of order."""
    for record in rest:
        if record.seq == flaw.seq:
            return Flaw("out_of_order", flaw.seq, 0, "it stands further back than it belongs")
    return flaw


def first_flaw(
    records: Iterable[Record], seals: Iterable[Statement], head: Head | None = None
) -> Flaw | None:
    """The first flaw of the records after `head`, held against the seals (in order); None: all is well."""
    return Verifier(seals, head).read(records)


class Verifier:
    """A chain held against the seals that were made over it."""

    def __init__(self, seals: Iterable[Statement], head: Head | None = None) -> None:
        self.chain = Chain(head)
        self.sealed_to = self.chain.head.seq
        self.seals = 0
        self._seals: Iterator[Statement] = iter(seals)
        self._due = next(self._seals, None)

    def read(self, records: Iterable[Record]) -> Flaw | None:
        """Every record up to the first flaw."""
        rest = iter(records)
        for record in rest:
            if not self.chain.take(record):
                flaw = self.chain.flaw
                assert flaw is not None
                return settle_missing(flaw, rest) if flaw.what == "missing" else flaw
            if flaw := self._against_seals():
                return flaw
        return self.end()

    def _against_seals(self) -> Flaw | None:
        """The record just taken, where a seal ends at it."""
        due, head = self._due, self.chain.head
        if due is None or due.last_seq != head.seq:
            return None
        if due.root != head.hash.hex():
            first = due.first_seq
            detail = (
                f"the chain was made anew somewhere from record {first} on: seal {due.number} has another end"
            )
            return Flaw("rewritten", first, due.number, detail)
        self.sealed_to, self.seals = due.last_seq, self.seals + 1
        self._due = next(self._seals, None)
        return None

    def end(self) -> Flaw | None:
        """Nothing more is coming: a seal that is still due speaks of records that are gone."""
        if self._due is None:
            return None
        last, due = self.chain.head.seq, self._due
        detail = f"seal {due.number} covers records up to {due.last_seq}; the last one here is {last}"
        return Flaw("truncated", last + 1, due.number, detail)


def seal_flaw(seals: Iterable[Seal], signed: SignatureCheck) -> Flaw | None:
    """Whether the seals follow from one another and are signed. `signed(seal)` says "" or what is wrong."""
    fingerprint, last_seq = "", 0
    for number, seal in enumerate(seals, 1):
        if trouble := signed(seal):
            return Flaw("bad_signature", 0, number, trouble)
        try:
            said = seal.read()
        except msgspec.MsgspecError as err:
            return Flaw("bad_seal", 0, number, f"it is not a statement: {err}")
        if said.number != number:
            return Flaw("lost_seal", 0, number, f"the next one is number {said.number}")
        if said.previous != fingerprint or said.first_seq != last_seq + 1 or said.last_seq < said.first_seq:
            return Flaw("bad_seal", 0, number, f"it does not follow from seal {number - 1}")
        fingerprint, last_seq = seal.fingerprint, said.last_seq
    return None
