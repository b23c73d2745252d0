"""Which days of candles are still to be fetched, in requests no longer than Kite answers. Pure.

A year is cut into windows that fit into one request, always at the same days: each window is one file, so
two downloads of overlapping ranges meet in the same files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

#: Longest range of one request in days (Kite's server, forum 14149 of 2024-06 and 15111 of 2025-06).
MAX_DAYS = {
    "minute": 60, "3minute": 100, "5minute": 100, "10minute": 100, "15minute": 200, "30minute": 200,
    "60minute": 400, "day": 2000,
}  # fmt: skip
MINUTES = {
    "minute": 1, "3minute": 3, "5minute": 5, "10minute": 10, "15minute": 15, "30minute": 30, "60minute": 60,
    "day": 0,
}  # fmt: skip
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, order=True)
class Days:
    """From `first` to `last`, both included."""

    first: date
    last: date

    def __iter__(self) -> Iterator[date]:
        return (self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1))


def windows(interval: str, wanted: Days) -> Iterator[Days]:
    """The windows that hold a day of `wanted`, whole, oldest first; none crosses a year."""
    span = timedelta(days=MAX_DAYS[interval])
    for year in range(wanted.first.year, wanted.last.year + 1):
        first, end = date(year, 1, 1), date(year, 12, 31)
        while first <= end:
            last = min(first + span - ONE_DAY, end)
            if first <= wanted.last and last >= wanted.first:
                yield Days(first, last)
            first = last + ONE_DAY


def gaps(window: Days, wanted: Days, covered: Iterable[Days]) -> list[Days]:
    """The runs of days in both `window` and `wanted` that no range of `covered` holds, oldest first."""
    known = {day for span in covered for day in span}
    missing = [day for day in window if wanted.first <= day <= wanted.last and day not in known]
    return merged(Days(day, day) for day in missing)


def merged(spans: Iterable[Days]) -> list[Days]:
    """The same days in as few ranges as possible, oldest first."""
    found: list[Days] = []
    for span in sorted(spans):
        if found and span.first <= found[-1].last + ONE_DAY:
            found[-1] = Days(found[-1].first, max(found[-1].last, span.last))
        else:
            found.append(span)
    return found
