"""What kind of day it was, in words an owner understands: regular, short, Muhurat, with or without trades."""

from __future__ import annotations

from datetime import UTC, date, datetime

from kitepilot.market import calendar
from kitepilot.market.calendar import IST, CalendarError

NS = 1_000_000_000
KINDS = {
    "regular": "A regular session",
    "full": "A full session on a day that is otherwise closed",
    "muhurat": "A Muhurat session",
    "disaster_recovery": "A disaster-recovery session",
    "outage": "A session with an outage",
}


def session_words(day: str, open_at: int, close_at: int) -> str:
    """`A Muhurat session (Diwali Laxmi Pujan), 18:00 to 19:00 IST.` Hours: the run's own, ns."""
    hours = f"{_clock(open_at)} to {_clock(close_at)} IST" if open_at else "its hours are not known"
    try:
        session = calendar.session(date.fromisoformat(day), allow_special=True)
    except CalendarError:
        return f"A session that the calendar does not know, {hours}."
    kind = KINDS.get(session.kind, f"A session of the kind {session.kind}")
    named = f" ({session.name})" if session.name and session.kind != "regular" else ""
    return f"{kind}{named}, {hours}."


def _clock(at: int) -> str:
    return f"{datetime.fromtimestamp(at // NS, UTC).astimezone(IST):%H:%M}"
