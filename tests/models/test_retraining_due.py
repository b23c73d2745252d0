"""When a retraining is due, over all dates."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kitepilot.models.retraining import WEEKDAYS, due

DATES = st.dates(date(2024, 1, 1), date(2027, 12, 31))
NAMES = st.sets(st.sampled_from(WEEKDAYS), min_size=1)
#: Weekdays on which the exchange is closed besides: any at all.
HOLIDAYS = st.sets(st.integers(0, 60), max_size=30)


def sessions_from(first: date, holidays: set[int], days: int = 61) -> list[date]:
    every = [first + timedelta(days=n) for n in range(days) if n not in holidays]
    return [day for day in every if day.weekday() < 5]


def retrained_on(sessions: list[date], weekdays: set[str], every: int, fails: Collection[int] = ()):
    """Day by day: after which sessions it was tried, and which was the last one that went well."""
    done, tried, known = None, [], set(sessions)
    for number, day in enumerate(sessions):
        if due(day, done, weekdays, every, known.__contains__).due:
            tried.append(day)
            done = done if number in fails else day
    return tried, done


@given(DATES, NAMES, HOLIDAYS)
def test_after_the_first_each_configured_weekday_is_made_up_for_exactly_once(
    first: date, weekdays: set[str], holidays: set[int]
) -> None:
    sessions = sessions_from(first, holidays)
    tried, _ = retrained_on(sessions, weekdays, 0)
    wanted = {WEEKDAYS.index(name) for name in weekdays}
    assert tried[:1] == sessions[:1]
    for before, day in pairwise(sessions):
        since = (before + timedelta(days=n) for n in range(1, (day - before).days + 1))
        assert (day in tried) == any(each.weekday() in wanted for each in since)


@given(DATES, st.integers(1, 15), HOLIDAYS)
def test_every_n_sessions_counts_sessions_and_not_days(first: date, every: int, holidays: set[int]) -> None:
    sessions = sessions_from(first, holidays)
    tried, _ = retrained_on(sessions, {"friday"}, every)
    assert tried == sessions[::every]


@given(DATES, NAMES, st.integers(0, 5), HOLIDAYS, st.sets(st.integers(0, 40)))
def test_one_that_fails_is_tried_again_after_the_next_session(
    first: date, weekdays: set[str], every: int, holidays: set[int], fails: set[int]
) -> None:
    sessions = sessions_from(first, holidays)
    tried, _ = retrained_on(sessions, weekdays, every, fails)
    for number, day in enumerate(sessions[:-1]):
        if day in tried and number in fails:
            assert sessions[number + 1] in tried


@given(DATES, st.integers(0, 400), NAMES, st.integers(0, 15))
def test_none_is_due_for_a_session_it_was_made_after_or_an_earlier_one(
    done: date, days: int, weekdays: set[str], every: int
) -> None:
    session = done - timedelta(days=days)
    assert not due(session, done, weekdays, every, lambda _: True).due


@given(DATES)
def test_without_a_weekday_and_a_count_only_the_first_is_due(day: date) -> None:
    assert due(day, None, (), 0, lambda _: True).due
    assert not due(day + timedelta(days=30), day, (), 0, lambda _: True).due
