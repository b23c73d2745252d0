"""How many requests in a second: a bucket for each principal and each address, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

SECOND = 1_000_000_000
REMEMBERED = 20_000


@dataclass(frozen=True)
class Rate:
    """`per_s` in the long run, `burst` at once."""

    per_s: int
    burst: int


STRANGER = Rate(per_s=100, burst=300)  # by address
READING = Rate(per_s=500, burst=1_000)  # by principal
ACTING = Rate(per_s=20, burst=60)  # by principal: whatever is no reading


class Flow:
    """The buckets of one rate. Times are ns, machine clock."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait_s(self, key: str, now: int) -> float:
        """0 where the request may pass, and counts; else the seconds until one may."""
        left, at = self._buckets.get(key, (float(self._rate.burst), now))
        left = min(self._rate.burst, left + max(0, now - at) / SECOND * self._rate.per_s)
        passes = left >= 1
        self._buckets[key] = (left - 1 if passes else left, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        return 0.0 if passes else (1 - left) / self._rate.per_s
