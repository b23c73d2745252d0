"""Whatever is done to a chain is found, and the first record it was done to is named."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written import chain, entries, entry

from kitepilot.audit.chain import first_flaw, seal_flaw
from kitepilot.audit.records import GENESIS, Head, Record, linked
from kitepilot.audit.seals import Seal, Statement, text_of

CHAINS = st.lists(entries(), min_size=2, max_size=12).map(chain)


def statement(records: list[Record], number: int = 1, first: int = 1, previous: str = "") -> Statement:
    return Statement(
        number=number, previous=previous, run_id="paper-1", session_date="2026-11-20", sealed_at=9,
        first_seq=first, last_seq=records[-1].seq, root=records[-1].hash.hex(), streams=(), code_version="0",
    )  # fmt: skip


def named(records: list[Record], *seals: Statement) -> tuple[str, int] | None:
    flaw = first_flaw(records, seals)
    return (flaw.what, flaw.seq) if flaw else None


def test_the_encoding_is_the_one_that_is_stated() -> None:
    [record] = chain([entry(7)], at=5)
    texts = ("paper-1", "verdict", "risk", "decisions", "", "", "", '{"seq":7}')
    stated = b"kitepilot-audit-1" + struct.pack(">qqqq", 1, 1_007, 5, 7) + bytes(32)
    stated += b"".join(struct.pack(">I", len(text)) + text.encode() for text in texts)
    assert record.hash == hashlib.sha256(stated).digest()
    assert record.prev_hash == GENESIS


@settings(deadline=None, max_examples=60)
@given(CHAINS)
def test_a_chain_that_nobody_touched_is_whole(records: list[Record]) -> None:
    assert named(records, statement(records)) is None


def changed(record: Record, data: st.DataObject) -> Record:
    """The record with one field, hash or link replaced by another value."""
    name = data.draw(st.sampled_from(record.__struct_fields__))
    old: Any = getattr(record, name)
    if isinstance(old, bytes):
        at = data.draw(st.integers(0, 31))
        new: Any = old[:at] + bytes([old[at] ^ data.draw(st.integers(1, 255))]) + old[at + 1 :]
    elif isinstance(old, int):
        new = data.draw(st.integers(-(2**63), 2**63 - 1).filter(lambda value: value != old))
    else:
        new = data.draw(st.text(max_size=8).filter(lambda value: value != old))
    return msgspec.structs.replace(record, **{name: new})


@settings(deadline=None, max_examples=60)
@given(CHAINS, st.data())
def test_one_changed_value_is_found_at_its_record(records: list[Record], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(records) - 1))
    forged = changed(records[at], data)
    flaw = first_flaw([*records[:at], forged, *records[at + 1 :]], [statement(records)])
    assert flaw is not None
    if forged.seq == records[at].seq:
        assert (flaw.what, flaw.seq) == ("altered", at + 1)
    else:  # under another number it is not there any more
        assert flaw.seq == at + 1 or (flaw.what, flaw.seq) in {
            ("out_of_order", forged.seq), ("repeated", forged.seq),
        }  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(CHAINS, st.data())
def test_a_record_taken_out_is_missing(records: list[Record], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(records) - 2))
    assert named(records[:at] + records[at + 1 :], statement(records)) == ("missing", at + 1)


@settings(deadline=None, max_examples=60)
@given(CHAINS, st.data())
def test_two_records_in_each_others_place_are_out_of_order(
    records: list[Record], data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, len(records) - 2))
    second = data.draw(st.integers(first + 1, len(records) - 1))
    swapped = list(records)
    swapped[first], swapped[second] = swapped[second], swapped[first]
    assert named(swapped, statement(records)) == ("out_of_order", first + 1)


@settings(deadline=None, max_examples=60)
@given(CHAINS, st.data())
def test_a_record_told_twice_is_repeated(records: list[Record], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(records) - 1))
    assert named([*records[: at + 1], *records[at:]], statement(records)) == ("repeated", at + 1)


@settings(deadline=None, max_examples=60)
@given(CHAINS, st.data())
def test_an_end_cut_off_after_the_seal_is_truncated(records: list[Record], data: st.DataObject) -> None:
    kept = data.draw(st.integers(0, len(records) - 1))
    assert named(records[:kept], statement(records)) == ("truncated", kept + 1)


@settings(deadline=None, max_examples=60)
@given(CHAINS, entries(), st.data())
def test_a_record_replaced_together_with_its_hash_breaks_the_link_behind_it(
    records: list[Record], other: Any, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(records) - 2))
    before = records[at - 1] if at else None
    forged = linked(other, Head(before.seq, before.hash) if before else Head(), 6)
    flaw = first_flaw([*records[:at], forged, *records[at + 1 :]], [statement(records)])
    assert flaw is not None
    assert (flaw.what, flaw.seq) == ("unlinked", at + 2)
    assert f"record {at + 1}" in flaw.detail


@settings(deadline=None, max_examples=60)
@given(CHAINS, entries(), st.data())
def test_a_chain_made_anew_from_some_record_on_has_another_end_than_its_seal(
    records: list[Record], other: Any, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(records) - 1))
    anew = chain([*records[:at], other, *records[at + 1 :]], at=6)
    assert named(anew, statement(records)) == ("rewritten", 1)


def test_a_day_is_verified_from_the_seal_before_it() -> None:
    records = chain([entry(number) for number in range(6)])
    first, second = statement(records[:3]), statement(records, number=2, first=4)
    assert first_flaw(records[3:], [second], Head(3, bytes.fromhex(first.root))) is None
    forged = chain([entry(9), *(entry(number) for number in range(1, 6))])
    flaw = first_flaw(forged[3:], [second], Head(3, bytes.fromhex(first.root)))
    assert flaw is not None and (flaw.what, flaw.seq) == ("unlinked", 4)


@pytest.mark.parametrize(
    ("keep", "found"),
    [((0, 1, 2), None), ((0, 2), ("lost_seal", 2)), ((1, 2), ("lost_seal", 1)), ((0, 1), None)],
)
def test_a_seal_cannot_be_taken_out_of_the_middle(
    keep: tuple[int, ...], found: tuple[str, int] | None
) -> None:
    records, seals, previous = chain([entry(number) for number in range(6)]), [], ""
    for number in (1, 2, 3):
        said = statement(records[: 2 * number], number, 2 * number - 1, previous)
        seals.append(Seal(statement=text_of(said), signature="", public_key=""))
        previous = seals[-1].fingerprint
    flaw = seal_flaw([seals[at] for at in keep], lambda _: "")
    assert ((flaw.what, flaw.number) if flaw else None) == found
    renumbered = msgspec.structs.replace(seals[2].read(), number=2)
    forged = Seal(statement=text_of(renumbered), signature="", public_key="")
    flaw = seal_flaw([seals[0], forged], lambda _: "")
    assert flaw is not None and flaw.what == "bad_seal"
