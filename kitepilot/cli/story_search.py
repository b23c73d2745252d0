"""An id -> the run that knows it, newest first, and its story."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from kitepilot.audit import story
from kitepilot.audit.story import Story, UnknownIdError
from kitepilot.cli import days
from kitepilot.cli.shelf import taken
from kitepilot.config import ConfigError
from kitepilot.events import OrderJournaled
from kitepilot.ports import LogError
from kitepilot.topics import BARS, DECISIONS, INTENTS, ORDERS, SESSION, TICKS

TOPICS = tuple(topic.name for topic in (INTENTS, ORDERS, DECISIONS, SESSION, BARS, TICKS))


def found(asked: str, home: Path, run_id: str | None) -> Story:
    """Look in one run or in all of them.

    Raises:
        UnknownIdError: no run has it. LogError: no run's records can be read.
    """
    runs = [known for known in reversed(days.known_runs(home)) if run_id in (None, known.run_id)]
    if not runs:
        raise UnknownIdError(
            f"no run{f' {run_id!r}' if run_id else ''} in {home}: `kitepilot paper` makes one"
        )
    orders: list[OrderJournaled] = []
    unread: list[str] = []
    for known in runs:
        try:
            with taken(known, home, TOPICS) as (shelf, lacking):
                told = story.tell(asked, shelf, date.fromisoformat(known.session_date))
                if told is not None:
                    told.missing += [f"gone from the log: {text}" for text in lacking]
                    return told
                orders = orders or story.orders_of(shelf)
        except (LogError, ConfigError) as err:
            unread.append(f"{known.run_id}: {err}")
    if len(unread) == len(runs):
        raise LogError("; ".join(unread))
    raise story.unknown(asked, orders, [known.run_id for known in runs])
