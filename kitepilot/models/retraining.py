"""When a model is due to be trained anew: (session, the last one that went well, weekdays or a count) -> Due.

Pure: which dates have a session is asked of the calendar that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date, timedelta
from typing import NamedTuple

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
DAY = timedelta(days=1)


class Due(NamedTuple):
    """`why` is a sentence's end for a person, either way."""

    due: bool
    why: str


def due(
    session: date,
    done: date | None,
    weekdays: Collection[str],
    every_sessions: int,
    is_open: Callable[[date], bool],
) -> Due:
    """Whether to train after the close of `session`; `done` is the session after which it last went well.

    A weekday without a session is made up for at the next close. With `every_sessions` above 0 weekdays are
    not looked at. The first is always due; there is one a session at most, and none for an earlier session.
    """
    if done is None:
        return Due(True, "none has gone well yet")
    if session <= done:
        return Due(False, f"the one after {done} went well")
    if every_sessions:
        since = sessions_after(done, session, every_sessions, is_open)
        return Due(since >= every_sessions, f"{since} of {every_sessions} sessions since {done}")
    first = next_weekday(done, weekdays)
    if first is None:
        return Due(False, "no weekday is configured")
    return Due(session >= first, f"due from {first:%A} {first}, the last one was after {done}")


def sessions_after(done: date, session: date, most: int, is_open: Callable[[date], bool]) -> int:
    """Sessions after `done` up to `session`, counted backwards and no further than `most`."""
    day, count = session, 0
    while day > done and count < most:
        count += is_open(day)
        day -= DAY
    return count


def next_weekday(after: date, weekdays: Collection[str]) -> date | None:
    """The first date after `after` on one of the weekdays; None without any."""
    wanted = {WEEKDAYS.index(name) for name in weekdays}
    return next((day for n in range(1, 8) if (day := after + n * DAY).weekday() in wanted), None)
