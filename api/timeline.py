"""The log's tail -> the day's story in the order in which it was told: what happened, one line each. Bounded.

The thread that reads the log writes, handlers read. Each line has the number of its place, so a number means
the same line after a restart; what is trimmed here lies in the book of record.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from api.live.shapes import clock, ms
from api.live.telling import told
from kitepilot import events as e
from kitepilot.ports import LogRecord

KEPT = 10_000
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

    number: int
    kind: str
    refused: bool
    body: dict[str, Any]


class Timeline:
    """A listener of the view."""

    def __init__(self, kept: int = KEPT) -> None:
        self._lines: deque[tuple[int, str, msgspec.Struct]] = deque(maxlen=kept)
        self._next = 0

    def hear(self, _: LogRecord, event: e.AnyEvent) -> None:
        """Take one message."""
        said = ("note", _note(event)) if isinstance(event, e.StateChanged) else told(event)
        if said is not None:
            self._next += 1
            self._lines.append((self._next, *said))

    def settle(self) -> None:
        """Nothing waits for the end of a batch."""

    def newest(
        self,
        before: int | None = None,
        *,
        kinds: frozenset[str] = frozenset(),
        symbol: str = "",
        strategy: str = "",
        refused: bool = False,
    ) -> Iterator[tuple[int, Line]]:
        """Newest first; without a filter all."""
        for number, kind, body in reversed(list(self._lines)):
            if (before is not None and number >= before) or (kinds and kind not in kinds):
                continue
            if symbol and getattr(body, "tradingsymbol", "") != symbol:
                continue
            if strategy and getattr(body, "strategy", "") != strategy:
                continue
            denied = _refused(body)
            if denied or not refused:
                yield number, _line(number, kind, denied, body)

    def about(self, intent_id: str, most: int) -> list[Line]:
        """Every line of an order, oldest first."""
        found = (row for row in list(self._lines) if getattr(row[2], "intent_id", "") == intent_id)
        return [_line(number, kind, _refused(body), body) for number, kind, body in islice(found, most)]

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


def _line(number: int, kind: str, refused: bool, body: msgspec.Struct) -> Line:
    return Line(number=number, kind=kind, refused=refused, body=msgspec.to_builtins(body))


def _refused(body: msgspec.Struct) -> bool:
    return bool(getattr(body, "denial", ""))
