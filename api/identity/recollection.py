"""Rows of PostgreSQL remembered for some seconds, and for some minutes where PostgreSQL is away.

A request does not wait for a database each time, and who was signed in can still stop trading without one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from anyio import fail_after

from api.identity.accounts import AccountsAwayError

Row = TypeVar("Row")
Key = TypeVar("Key", bound=Hashable)
SECOND = 1_000_000_000
RECHECKED_AFTER_NS = 5 * SECOND
GRACE_NS = 15 * 60 * SECOND
ASKED_AGAIN_NS = 2 * SECOND  # after one that did not answer
WAITED_S = 3.0  # for a row that is known
REMEMBERED = 10_000


@dataclass(frozen=True)
class Recalled(Generic[Row]):
    """`away`: it could not be looked at again, and is what was known."""

    row: Row
    away: bool = False


class Recollection(Generic[Key, Row]):
    """By key, bounded; what is not there is not remembered. `now`: ns, machine clock."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._rows: OrderedDict[Key, tuple[Row, int]] = OrderedDict()
        self._silent_at: int | None = None
        self._forgotten = 0

    async def recall(self, key: Key, load: Callable[[], Awaitable[Row | None]]) -> Recalled[Row] | None:
        """The row, at most five seconds old. None: there is none.

        Raises:
            AccountsAwayError: not remembered, and nobody to ask.
        """
        known = self._rows.get(key)
        now = self._now()
        if known is not None and 0 <= now - known[1] <= RECHECKED_AFTER_NS:
            return Recalled(known[0])
        remembered = known if known is not None and now - known[1] <= GRACE_NS else None
        if remembered and self._silent_at is not None and 0 <= now - self._silent_at < ASKED_AGAIN_NS:
            return Recalled(remembered[0], away=True)
        forgotten = self._forgotten
        try:
            with fail_after(WAITED_S if remembered else None):
                row = await load()
        except (AccountsAwayError, TimeoutError):
            self._silent_at = self._now()
            if remembered:
                return Recalled(remembered[0], away=True)
            raise
        self._silent_at = None
        if row is None:
            self._rows.pop(key, None)
            return None
        if forgotten == self._forgotten:  # else it may have ended while it was read
            self.keep(key, row)
        return Recalled(row)

    def keep(self, key: Key, row: Row) -> None:
        self._rows[key] = (row, self._now())
        self._rows.move_to_end(key)
        if len(self._rows) > REMEMBERED:
            self._rows.popitem(last=False)

    def peek(self, key: Key) -> Row | None:
        """What is remembered, however old."""
        known = self._rows.get(key)
        return known[0] if known else None

    def forget(self, key: Key) -> None:
        """It has ended; say so once nobody can read it any more."""
        self._forgotten += 1
        self._rows.pop(key, None)

    def forget_if(self, condition: Callable[[Row], bool]) -> None:
        """Every row of that kind, as `forget`."""
        self._forgotten += 1
        for key in [key for key, (row, _) in self._rows.items() if condition(row)]:
            del self._rows[key]
