"""Minute features: as defined, the same bits however cut, never of the future, never infinite."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from minute_tape import COLUMN, MINUTE_NS, Tape, begun, tape, told
from plain_minutes import at_minute

from kitepilot.kernels.feature_docs import FAMILIES, SOURCES
from kitepilot.kernels.features import FEATURE_DOCS, SECONDS
from kitepilot.kernels.minutes import MINUTE_DOCS, MINUTE_NAMES
from kitepilot.kernels.shard import SnapshotError

SEEDS = st.integers(0, 2**32)


def whole(of: Tape) -> np.ndarray:
    return told(begun(of), of)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, minute=st.integers(0, 149), flow=st.booleans())
@example(seed=3_663_215_595, minute=145, flow=True)  # minutes without a bar right after one of unknown signs
def test_minute_features_are_what_their_definitions_say(seed: int, minute: int, flow: bool) -> None:
    made = tape(seed, 150, flow=flow)
    found = whole(made)[minute]
    expected = at_minute(made.bars, minute)
    for place, name in enumerate(MINUTE_NAMES):
        plain = expected.get(name, np.full(made.n, np.nan))
        np.testing.assert_allclose(found[:, place], plain, rtol=1e-7, atol=1e-6, err_msg=name)


def test_every_minute_feature_is_known_to_the_plain_definitions() -> None:
    made = tape(3, 120)
    assert set(at_minute(made.bars, 119)) == set(MINUTE_NAMES)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8), stored=st.integers(1, 4))
def test_minutes_cut_anywhere_and_restored_anywhere_give_the_same_bits(
    seed: int, sizes: list[int], stored: int
) -> None:
    made = tape(seed)
    shard, at, found = begun(made), 0, []
    for number in range(200):
        size = sizes[number % len(sizes)]
        found.append(told(shard, made.cut(at, at + size)))
        if number % stored == 0:
            other = begun(made)
            other.restore(shard.snapshot())
            assert other.snapshot() == shard.snapshot()
            shard = other
        at += size
        if at >= len(made.close_at):
            break
    assert np.concatenate(found).tobytes() == np.ascontiguousarray(whole(made)).tobytes()


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, cut=st.integers(1, 119))
def test_a_bar_after_the_decision_never_changes_the_feature(seed: int, cut: int) -> None:
    made, other = tape(seed), tape(seed + 1)
    names = ("open", "high", "low", "close", "volume", "present", "flow")
    for name in names:
        getattr(other.bars, name)[:cut] = getattr(made.bars, name)[:cut]
    other.bars.previous_close[:] = made.bars.previous_close
    assert whole(made)[:cut].tobytes() == whole(other)[:cut].tobytes()


@settings(max_examples=20, deadline=None)
@given(
    seed=SEEDS,
    kind=st.sampled_from(["still", "silent", "absurd", "no volume", "crash"]),
)
def test_no_market_makes_a_feature_infinite(seed: int, kind: str) -> None:
    made = tape(seed)
    b = made.bars
    prices = (b.open, b.high, b.low, b.close)
    for column in prices:
        if kind == "still":
            column[:] = 10_000
        elif kind == "absurd":
            column[::2] = 2**31 - 1
        elif kind == "crash":
            column[60:] = 5
    if kind == "silent":
        b.present[1:] = False
    if kind in ("no volume", "still"):
        b.volume[:] = 0
    if kind == "absurd":
        b.volume[:] = 2**62
    found = whole(made)
    assert not np.isinf(found).any()
    bounded = {doc.name: doc.unit for doc in MINUTE_DOCS if doc.unit in ("0..1", "-1..1", "0..100")}
    for name, unit in bounded.items():
        low, high = (float(end) for end in unit.split(".."))
        values = found[:, :, COLUMN[name]]
        shown = values[~np.isnan(values)]
        assert ((shown >= low - 1e-9) & (shown <= high + 1e-9)).all(), name


def test_a_minute_feature_speaks_from_its_warm_up_on_and_not_before() -> None:
    made = tape(1, 130)
    made.bars.present[:] = True
    made.bars.volume[:, :-1] += 1
    made.bars.previous_close[:] = 10_000
    flow = made.bars.flow
    flow[:, 0] = np.nan_to_num(flow[:, 0])
    flow[:, 1] += 1
    flow[:, 2:] = np.nan_to_num(flow[:, 2:]) + 1e-3
    found = whole(made)[:, 0]
    for doc in MINUTE_DOCS:
        known = ~np.isnan(found[:, COLUMN[doc.name]])
        assert int(np.argmax(known)) == doc.warmup_s // 60 - 1, doc.name
        assert known[doc.warmup_s // 60 - 1 :].all(), doc.name


def test_minutes_that_nobody_closed_are_minutes_without_a_bar() -> None:
    made = tape(5)
    made.bars.present[40:53] = False
    kept = np.r_[0:40, 53:120]
    shard = begun(made)
    found = [told(shard, made.cut(0, 40)), told(shard, made.cut(53, 120))]
    assert np.concatenate(found).tobytes() == whole(made)[kept].tobytes()


def test_when_the_shard_began_to_look_does_not_matter() -> None:
    made = tape(6)
    made.bars.present[:20] = False
    assert whole(made)[20:].tobytes() == whole(made.cut(20, 120)).tobytes()


def test_a_minute_cannot_be_taken_twice_nor_in_disorder() -> None:
    made = tape(7)
    shard = begun(made)
    told(shard, made.cut(0, 40))
    with pytest.raises(ValueError, match="not in order"):
        told(shard, made.cut(39, 41))


def test_an_index_in_the_shard_changes_nothing_for_the_others() -> None:
    made = tape(8)
    calm = tape(8)
    for column in (calm.bars.open, calm.bars.high, calm.bars.low, calm.bars.close):
        column[:, -1] = 2_500_000
    assert whole(made)[:, :-1].tobytes() == whole(calm)[:, :-1].tobytes()


def test_a_session_begins_with_nothing_of_the_one_before() -> None:
    first, second = tape(9), tape(10)
    shard = begun(first)
    told(shard, first)
    later = Tape(second.bars, second.close_at + 1_440 * MINUTE_NS)
    opens = np.full(second.n, (later.close_at[0] - MINUTE_NS))
    shard.begin_session(
        opens, opens + 375 * MINUTE_NS, second.bars.tradable, second.bars.previous_close.astype(np.int64)
    )
    assert told(shard, later).tobytes() == whole(second).tobytes()


def test_a_snapshot_of_something_else_is_refused() -> None:
    shard = begun(tape(1))
    with pytest.raises(SnapshotError, match="3 instruments"):
        shard.restore(begun(tape(1, n=3)).snapshot())
    with pytest.raises(SnapshotError, match="not a snapshot"):
        shard.restore(b"\x00")


def test_there_are_at_least_sixty_features_each_with_a_family_and_a_source() -> None:
    assert len(FEATURE_DOCS) >= 60 and len(MINUTE_DOCS) >= 45
    assert len({doc.name for doc in FEATURE_DOCS}) == len(FEATURE_DOCS)
    assert {doc.family for doc in FEATURE_DOCS} == set(FAMILIES)
    assert {doc.source for doc in FEATURE_DOCS} == set(SOURCES)
    assert [doc.name for doc in FEATURE_DOCS[SECONDS:]] == list(MINUTE_NAMES)
