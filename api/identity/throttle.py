"""Failures by key -> how long to wait: a bound on guessing, in bounded memory.

A failure is counted before it is known to be one, so that many guesses at once are many; a success takes its
own back. Of more keys than `remembered` the one that was quiet longest is forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

SECOND = 1_000_000_000
REMEMBERED = 20_000  # keys


@dataclass(frozen=True)
class Bound:
    """`free` failures within `window_s`, then a lock that doubles from `first_lock_s` to `longest_lock_s`."""

    free: int
    window_s: int = 900
    first_lock_s: int = 30
    longest_lock_s: int = 900


@dataclass
class _Failures:
    count: int
    last_at: int


class Throttle:
    """One bound over many keys. Times are ns of any clock that does not go back."""

    def __init__(self, bound: Bound, remembered: int = REMEMBERED) -> None:
        self._bound = bound
        self._remembered = remembered
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def wait_s(self, key: str, now: int) -> int:
        """Whole seconds until the next attempt may be made; 0 for now."""
        known = self._failures.get(key)
        if known is None or known.count < self._bound.free:
            return 0
        ends = known.last_at + self._lock_s(known.count) * SECOND
        return max(0, -((now - ends) // SECOND))

    def attempt(self, key: str, now: int) -> None:
        """One more; forgotten after a window without any."""
        known = self._failures.pop(key, None)
        if known is None or now - known.last_at > self._bound.window_s * SECOND:
            known = _Failures(0, now)
        known.count, known.last_at = known.count + 1, now
        self._failures[key] = known
        if len(self._failures) > self._remembered:
            self._failures.popitem(last=False)

    def succeeded(self, key: str) -> None:
        """The failures so far were the rightful person's own."""
        self._failures.pop(key, None)

    def took_back(self, key: str) -> None:
        """That attempt was none; those of others before it still count."""
        known = self._failures.get(key)
        if known is not None:
            known.count -= 1

    def _lock_s(self, count: int) -> int:
        doubled = self._bound.first_lock_s << min(count - self._bound.free, 16)
        return min(doubled, self._bound.longest_lock_s)
