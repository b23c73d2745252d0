"""However the records are cut into calls, and wherever the shard is stored and restored: the same bits."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_tape import ALPHA, BETA, bits, clock, messy_session, run, spec, tick

from kitepilot.kernels.shard import Rejected, Shard, SnapshotError
from kitepilot.market.ticks import RECORD_BYTES

CUTS = st.lists(st.integers(1, 40), min_size=1, max_size=30)


def pieces(tape: list[bytes], sizes: list[int]) -> list[list[bytes]]:
    """Cut the tape at the given sizes, again and again."""
    cuts, start = [], 0
    for size in itertools.cycle(sizes):
        if start >= len(tape):
            return cuts
        cuts.append(tape[start : start + size])
        start += size
    return cuts


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), sizes=CUTS)
def test_cutting_the_input_anywhere_gives_the_same_bits(seed: int, sizes: list[int]) -> None:
    tape = messy_session(seed)
    whole = [bits(out) for out in run(Shard(spec()), tape)]
    shard = Shard(spec())
    assert [bits(out) for piece in pieces(tape, sizes) for out in run(shard, piece)] == whole


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), sizes=CUTS, every=st.integers(1, 12))
def test_a_restored_shard_goes_on_bit_for_bit(seed: int, sizes: list[int], every: int) -> None:
    tape = messy_session(seed)
    whole = Shard(spec())
    expected = [bits(out) for out in run(whole, tape)]
    shard, found = Shard(spec()), []
    for number, piece in enumerate(pieces(tape, sizes)):
        found += [bits(out) for out in run(shard, piece)]
        if number % every == 0:
            shard = Shard.restore(spec(), shard.snapshot())
    assert found == expected
    assert shard.snapshot() == whole.snapshot()
    assert shard.counts == whole.counts


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_what_closed_does_not_depend_on_what_comes_later(seed: int, data: st.DataObject) -> None:
    tape = messy_session(seed, clocks_may_leap=False)
    cut = data.draw(st.integers(1, len(tape) - 1))
    other = messy_session(seed + 1, clocks_may_leap=False)
    known = [bits(out) for out in run(Shard(spec()), tape[:cut])]
    assert [bits(out) for out in run(Shard(spec()), tape[:cut] + other)][: len(known)] == known


@pytest.mark.parametrize("second", [40, 330])
def test_a_close_sees_no_tick_of_a_later_second(second: int) -> None:
    """Bars and features of a second are the same whatever trades within the grace after it."""

    def day(tail_price: int) -> list[bytes]:
        ticks = [
            tick(s, 10_000 + 5 * (s * 7 % 11), s * 10, token=t) for s in range(second) for t in (ALPHA, BETA)
        ]
        tape = [clock(-1)]
        for number, record in enumerate(ticks):
            tape += [record, clock((number + 1) / 2)] if number % 2 else [record]
        return [*tape, tick(second, tail_price, second * 10 + 900), clock(second + 1.5)]

    quiet, wild = run(Shard(spec()), day(10_000)), run(Shard(spec()), day(14_000))
    for left, right in zip(quiet, wild, strict=True):
        assert left.close.tobytes() == right.close.tobytes()
        assert left.features.tobytes() == right.features.tobytes()
    assert quiet[-1].close_at == right.close_at
    assert quiet[-1].last_paise[0] != wild[-1].last_paise[0]


def test_a_single_record_and_no_record_are_messages_too() -> None:
    tape = messy_session(5, seconds=20)
    one_by_one, shard = [], Shard(spec())
    for record in tape:
        one_by_one += run(shard, [record]) + run(shard, [])
    assert [bits(out) for out in one_by_one] == [bits(out) for out in run(Shard(spec()), tape)]


def test_refused_records_are_bounded_between_clocks() -> None:
    unknown = tick(0, 10_000, 5, token=12_801)
    outputs = run(Shard(spec()), [clock(0), *[unknown] * 2_500, clock(0.5)])
    letters = [out for out in outputs if isinstance(out, Rejected)]
    assert [letter.count for letter in letters] == [1_024, 1_024, 452]
    assert sum(len(letter.payload) for letter in letters) == 2_500 * RECORD_BYTES


def test_a_snapshot_of_something_else_is_refused() -> None:
    blob = Shard(spec()).snapshot()
    with pytest.raises(SnapshotError, match="other instruments"):
        Shard.restore(spec(tokens=(ALPHA, BETA)), blob)
    with pytest.raises(SnapshotError, match="other instruments"):
        Shard.restore(spec(grace_ns=0), blob)
    with pytest.raises(SnapshotError, match="not a snapshot"):
        Shard.restore(spec(), b"\x00" + blob[:100])
