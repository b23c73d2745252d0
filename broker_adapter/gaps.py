"""When the feed was down -> which minutes have to be fetched. Pure; the backlog is plain data.

Minutes are named by their beginning in epoch seconds (UTC), as the broker's candles are.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

NS = 1_000_000_000
MINUTE_S = 60
MAX_MINUTES = 375  # a whole session: one request's answer


class Silence(NamedTuple):
    """From the last session time known before a break to the first one after it (ns UTC)."""

    since: int
    until: int


class GapWatch:
    """Follows the feed. `heard_at`: session time an earlier incarnation heard last, 0 if there was none."""

    def __init__(self, heard_at: int = 0) -> None:
        self.heard_at = heard_at
        self._broken = True

    def broke(self) -> None:
        """The feed is down."""
        self._broken = True

    def heard(self, session_ns: int) -> Silence | None:
        """Session time is `session_ns`, by a frame; the first one after a break ends the silence."""
        since, broken = self.heard_at, self._broken
        self._broken = False
        self.heard_at = max(since, session_ns)
        return Silence(since, session_ns) if broken and 0 < since < session_ns else None


class Gap(msgspec.Struct):
    """Minutes `first` to `last`, both included; the first `done` instruments have them already."""

    first: int
    last: int
    done: int = 0

    @property
    def minutes(self) -> range:
        return range(self.first, self.last + MINUTE_S, MINUTE_S)


class Backlog(msgspec.Struct):
    """What is still to be fetched, oldest first. No minute is in two gaps: `reached` is the last named."""

    reached: int = 0
    waiting: list[Gap] = msgspec.field(default_factory=list)

    def add(self, silence: Silence, open_at: int, close_at: int) -> bool:
        """Queue every minute the silence touched within the session [open_at, close_at) (ns); whether any.

        At most `MAX_MINUTES` back from its end.
        """
        first = max(_minute(silence.since), _minute(open_at), self.reached + MINUTE_S)
        last = min(_minute(silence.until), _minute(close_at - 1))
        first = max(first, last - (MAX_MINUTES - 1) * MINUTE_S)
        if first > last:
            return False
        self.reached = last
        self.waiting.append(Gap(first, last))
        return True


def _minute(ns: int) -> int:
    return ns // NS // MINUTE_S * MINUTE_S
