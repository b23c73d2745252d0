"""A reader who comes back has missed nothing and gets nothing twice, or is told that it did."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.live.ring import BehindError, Ring

TOPICS = ("session", "decisions", "orders")
reading = st.lists(st.integers(0, len(TOPICS) - 1), max_size=60)


def filled(order: list[int], size: int = 1_000) -> Ring:
    """A ring that has read the topics in this order; every record is an event."""
    ring = Ring(TOPICS, [0] * len(TOPICS), size)
    for topic in order:
        offset = ring.place[topic]
        ring.passed(topic, offset)
        ring.add("order", f"{topic}/{offset}".encode(), topic, offset)
    return ring


def read_all(ring: Ring, number: int, seen: tuple[int, ...], most: int = 7) -> list[bytes]:
    found: list[bytes] = []
    while number < ring.end:
        events, number = ring.since(number, seen, most)
        found += [each.body for each in events]
    return found


@given(reading, st.integers(0, 60), st.randoms(use_true_random=False))
def test_whoever_comes_back_after_a_restart_gets_exactly_what_it_missed(order, left_after, shuffle) -> None:
    before = filled(order)
    events, _ = before.since(0, (0, 0, 0), 1_000)
    had = events[:left_after]
    seen = had[-1].place if had else (0, 0, 0)
    again = list(order)
    shuffle.shuffle(again)  # after a restart the topics are read in another order beside each other
    after = filled(again)
    missed = read_all(after, after.resume(seen), seen)
    assert sorted([each.body for each in had] + missed) == sorted(each.body for each in events)


@given(reading, st.integers(1, 10))
def test_what_was_forgotten_is_never_passed_over_in_silence(order, size) -> None:
    ring = filled(order, size)
    everything = {f"{t}/{order[:n].count(t)}".encode() for n, t in enumerate(order)}
    try:
        number = ring.resume((0, 0, 0))
    except BehindError:
        assert len(order) > size
    else:
        assert set(read_all(ring, number, (0, 0, 0))) == everything


def test_a_reader_that_falls_out_of_the_ring_is_told(order=(0, 1, 2, 0, 1)) -> None:
    ring = filled(list(order), size=2)
    with pytest.raises(BehindError, match="3 events ago"):
        ring.since(0, (0, 0, 0), 10)


def test_a_place_of_another_ring_is_refused() -> None:
    with pytest.raises(BehindError):
        filled([0, 1]).resume((0, 0))
