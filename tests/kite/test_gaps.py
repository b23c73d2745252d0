"""Which minutes a silent feed missed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broker_adapter.gaps import MAX_MINUTES, MINUTE_S, NS, Backlog, GapWatch, Silence

OPEN_AT = 1_795_146_300 * NS  # 2026-11-20 09:15:00 IST
CLOSE_AT = OPEN_AT + 375 * MINUTE_S * NS

moments = st.integers(OPEN_AT - 600 * NS, CLOSE_AT + 600 * NS)


def minutes_of(backlog: Backlog) -> list[int]:
    return [minute for gap in backlog.waiting for minute in gap.minutes]


def touched(silence: Silence) -> set[int]:
    """By hand: every minute of the session that shares an instant with the silence."""
    opens = range(OPEN_AT // NS, CLOSE_AT // NS, MINUTE_S)
    return {m for m in opens if m * NS <= silence.until and silence.since < (m + MINUTE_S) * NS}


@given(st.lists(moments, min_size=2, max_size=12).map(sorted))
def test_every_minute_a_silence_touched_is_fetched_once_and_no_other(instants: list[int]) -> None:
    silences = [Silence(a, b) for a, b in zip(instants[::2], instants[1::2], strict=False)]
    backlog = Backlog()
    for silence in silences:
        backlog.add(silence, OPEN_AT, CLOSE_AT)
    assert minutes_of(backlog) == sorted(set().union(*map(touched, silences)))


@given(moments, moments)
def test_silences_told_out_of_order_name_no_minute_twice(one: int, other: int) -> None:
    backlog = Backlog()
    for at in (one, other):
        backlog.add(Silence(at, at + 90 * NS), OPEN_AT, CLOSE_AT)
    named = minutes_of(backlog)
    assert len(named) == len(set(named)) <= MAX_MINUTES


def test_a_feed_that_was_cut_within_a_minute_has_that_minute_fetched() -> None:
    watch, backlog = GapWatch(), Backlog()
    assert watch.heard(OPEN_AT + 70 * NS) is None, "the first word of a run ends no silence"
    watch.broke()
    silence = watch.heard(OPEN_AT + 75 * NS)
    assert silence == (OPEN_AT + 70 * NS, OPEN_AT + 75 * NS)
    assert backlog.add(silence, OPEN_AT, CLOSE_AT)
    assert minutes_of(backlog) == [OPEN_AT // NS + MINUTE_S]


def test_a_killed_ingester_knows_when_its_predecessor_heard_last() -> None:
    assert GapWatch(OPEN_AT).heard(OPEN_AT + 5 * NS) == (OPEN_AT, OPEN_AT + 5 * NS)


def test_a_break_in_which_no_session_time_passed_missed_nothing() -> None:
    watch = GapWatch()
    watch.heard(OPEN_AT)
    watch.broke()
    watch.broke()
    assert watch.heard(OPEN_AT) is None
    assert watch.heard(OPEN_AT + NS) is None


def test_outside_the_session_nothing_is_missed() -> None:
    backlog = Backlog()
    assert not backlog.add(Silence(OPEN_AT - 300 * NS, OPEN_AT - NS), OPEN_AT, CLOSE_AT)
    assert not backlog.add(Silence(CLOSE_AT, CLOSE_AT + 300 * NS), OPEN_AT, CLOSE_AT)
    assert backlog == Backlog()
