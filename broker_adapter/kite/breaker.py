"""A circuit breaker: after repeated trouble stop asking for a while, then let one try.

    closed ── `trips_after` troubles in a row ──> open
    open ── `rest_s` later, the next who asks ──> half_open (that one may try, everybody else waits)
    half_open ── the try went well ──> closed;  went wrong, or was lost for `rest_s` ──> open or tried again

Of our own, because the breakers of the usual libraries either hold a lock while the request runs (which makes
one slow answer stop every thread) or cannot tell anybody that they changed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

TRIPS_AFTER = 5
REST_S = 5.0


class BreakerState(StrEnum):
    """What a breaker lets through: everything, nothing, or one try."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


OnChange = Callable[[str, BreakerState, BreakerState, str], None]


class BreakerOpenError(RuntimeError):
    """Not asked, because asking has failed repeatedly; says which breaker and the last trouble."""


@dataclass(frozen=True)
class Health:
    """One breaker as a person reads it. `troubles` in a row; `reason` of the last one."""

    name: str
    state: BreakerState
    troubles: int
    reason: str


class Breaker:
    """Thread-safe. `on_change(name, before, after, reason)` is called on the thread that caused it."""

    def __init__(
        self,
        name: str,
        on_change: OnChange | None = None,
        *,
        trips_after: int = TRIPS_AFTER,
        rest_s: float = REST_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._on_change = on_change
        self._trips_after = trips_after
        self._rest_s = rest_s
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._state = BreakerState.CLOSED
        self._since = 0.0
        self._troubles = 0
        self._reason = ""

    @property
    def health(self) -> Health:
        with self._lock:
            return Health(self.name, self._state, self._troubles, self._reason)

    def allows(self) -> bool:
        """Whether to ask now. True in half_open is the one try: whoever got it reports how it went."""
        with self._lock:
            if self._state is BreakerState.CLOSED:
                return True
            if self._monotonic() - self._since < self._rest_s:
                return False
            before, reason = self._move(BreakerState.HALF_OPEN), self._reason
        self._tell(before, BreakerState.HALF_OPEN, reason)
        return True

    def check(self) -> None:
        """Raises `BreakerOpenError` unless `allows`."""
        if not self.allows():
            raise BreakerOpenError(f"{self.name} is open after {self._troubles} failures: {self._reason}")

    def well(self) -> None:
        """An answer came, whatever it said."""
        with self._lock:
            self._troubles = 0
            before = self._move(BreakerState.CLOSED)
        self._tell(before, BreakerState.CLOSED, "answers again")

    def trouble(self, reason: str) -> None:
        """No answer, or one that shows the other side is unwell."""
        with self._lock:
            self._troubles += 1
            self._reason = reason
            trips = self._state is BreakerState.HALF_OPEN or self._troubles >= self._trips_after
            after = BreakerState.OPEN if trips else self._state
            before = self._move(after)
        self._tell(before, after, reason)

    def _move(self, after: BreakerState) -> BreakerState:
        before, self._state = self._state, after
        self._since = self._monotonic()
        return before

    def _tell(self, before: BreakerState, after: BreakerState, reason: str) -> None:
        if before is not after and self._on_change is not None:
            self._on_change(self.name, before, after, reason)
