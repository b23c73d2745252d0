"""The log's tail -> the day's story in the order in which it was told: what happened, one line each. Bounded.

The thread that reads the log writes, handlers read. Topics are read side by side, so lines are put in order
when they are asked for: by session time, then as one leads to the next (wish, verdict, order). The place of a
line is made of that and its offset, and is the same after a restart. What is trimmed here lies in the book of
record.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec

from api.live.shapes import clock, ms
from api.live.telling import told
from kitepilot import events as e
from kitepilot.ports import LogRecord
from kitepilot.topics import DECISIONS, SESSION

Place = tuple[int, int, int]  # session time in ns, how far from the cause, offset

KEPT = 10_000
#: Of two lines of one moment the cause comes first.
CAUSES = (SESSION.name, DECISIONS.name)
LONGEST_REASON = 400


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What the decisions wrote down; `state` equals `previous` where trading went on as it was."""

    at_ms: int
    ist: str
    previous: str
    state: str
    reason: str
    rule: str


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line. `kind`: signal | verdict | order | alert | note; `body` is the live stream's of that kind."""

    id: str
    kind: str
    refused: bool
    body: dict[str, Any]


class Timeline:
    """A listener of the view."""

    def __init__(self, kept: int = KEPT) -> None:
        self._lines: deque[tuple[Place, str, msgspec.Struct]] = deque(maxlen=kept)

    def hear(self, record: LogRecord, event: e.AnyEvent) -> None:
        """Take one message."""
        said = ("note", _note(event)) if isinstance(event, e.StateChanged) else told(event)
        if said is not None:
            place = (event.event_at, rank(record.topic), record.offset)
            self._lines.append((place, *said))

    def settle(self) -> None:
        """Nothing waits for the end of a batch."""

    def newest(
        self,
        before: Place | None = None,
        *,
        kinds: frozenset[str] = frozenset(),
        symbol: str = "",
        strategy: str = "",
        refused: bool = False,
    ) -> Iterator[tuple[Place, Line]]:
        """Newest first, those before a place only; without a filter all."""
        for place, kind, body in sorted(self._lines.copy(), key=_place, reverse=True):
            if (before is not None and place >= before) or (kinds and kind not in kinds):
                continue
            if symbol and getattr(body, "tradingsymbol", "") != symbol:
                continue
            if strategy and getattr(body, "strategy", "") != strategy:
                continue
            denied = _refused(body)
            if denied or not refused:
                yield place, _line(place, kind, denied, body)

    def about(self, intent_id: str, most: int) -> list[Line]:
        """The first lines of an order, oldest first."""
        found = [row for row in self._lines.copy() if getattr(row[2], "intent_id", "") == intent_id]
        found.sort(key=_place)
        return [_line(place, kind, _refused(body), body) for place, kind, body in found[:most]]

    def __len__(self) -> int:
        return len(self._lines)


def _note(event: e.StateChanged) -> Note:
    return Note(
        at_ms=ms(event.event_at),
        ist=clock(event.event_at),
        previous=event.previous.value,
        state=event.state.value,
        reason=event.reason[:LONGEST_REASON],
        rule=event.rule,
    )


def rank(topic: str) -> int:
    """How far a topic stands from the cause."""
    return CAUSES.index(topic) if topic in CAUSES else len(CAUSES)


def _place(row: tuple[Place, str, msgspec.Struct]) -> Place:
    return row[0]


def _line(place: Place, kind: str, refused: bool, body: msgspec.Struct) -> Line:
    return Line(
        id="-".join(str(each) for each in place), kind=kind, refused=refused, body=msgspec.to_builtins(body)
    )


def _refused(body: msgspec.Struct) -> bool:
    return bool(getattr(body, "denial", ""))
