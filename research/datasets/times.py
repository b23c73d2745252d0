"""Columns of time -> instants: which zone they are in, and whether a bar is labelled by its start or its end.

Nothing is assumed where the rows can tell: most of a session's rows lie in its hours under one reading of the
clock only, and a full session has a 09:15 when bars are labelled by their start, a 15:30 when by their end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from math import gcd
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from research.bars import MINUTE_NS
from research.datasets.grid import DAY_NS, IST_NS

Ints = npt.NDArray[np.int64]
Zone = Literal["IST", "UTC", "IST written as UTC"]
Label = Literal["start", "end", "59"]

UNREADABLE = np.iinfo(np.int64).min
OPENS, CLOSES = 9 * 60 + 15, 15 * 60 + 30
FORMATS = (
    "%d-%m-%Y %H:%M:%S", "%d-%m-%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d-%b-%Y %H:%M:%S",
    "%d-%b-%Y %H:%M", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y%m%d %H:%M:%S", "%Y%m%d %H:%M", "%Y%m%d %H%M",
    "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M",
)  # fmt: skip
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a clock on a wall, of no zone yet
_UNITS = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3))  # seconds, milliseconds, microseconds
_IST_MINUTES = 330
_INSIDE = 0.5  # most rows of a reading that is taken
_FEW = 0.05
LEAST, LEAST_ROWS = 6, 50  # times of the day (bars of an hour have seven), and rows, to tell an interval by


@dataclass(frozen=True)
class Reading:
    """How a file's times are read. `minutes`: the interval; 0 where its times are days, not minutes."""

    zone: Zone = "IST"
    label: Label = "start"
    minutes: int = 1
    why: str = ""

    @property
    def unusual(self) -> bool:
        return self.zone != "IST" or self.label != "start"

    def words(self) -> str:
        """`IST, labelled by the start of the minute`."""
        labels = {
            "start": "by the start",
            "end": "by the END: shifted a minute back",
            "59": "by its second 59",
        }
        return f"{self.zone}, each minute labelled {labels[self.label]}"

    def begins(self, wall: Ints) -> Ints:
        """Wall-clock ns as `walls` gives them -> ns UTC of the bar's begin; unreadable stays unreadable."""
        shift = {"IST": IST_NS, "UTC": 0, "IST written as UTC": 2 * IST_NS}[self.zone]
        begins = wall - shift - (MINUTE_NS if self.label == "end" else 0)
        if self.label == "59":
            begins = begins // MINUTE_NS * MINUTE_NS
        return np.where(wall == UNREADABLE, UNREADABLE, begins)


def walls(column: pa.Array, day: pa.Array | None = None) -> Ints:
    """A column of time (and one of dates) -> ns since 1970 of an IST wall clock; `UNREADABLE` where none.

    Naive times are kept as they are; times with a zone, and epoch numbers, are turned to IST.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return walls(column.dictionary_decode(), day)
    if pa.types.is_timestamp(kind):
        at = _filled(column.cast(pa.timestamp("ns", kind.tz)).cast(pa.int64()))
        return np.where(at == UNREADABLE, at, at + IST_NS) if kind.tz else at
    if pa.types.is_date(kind):
        return _filled(column.cast(pa.timestamp("ns")).cast(pa.int64()))
    if pa.types.is_time(kind):
        of_day = _filled(column.cast(pa.time64("ns")).cast(pa.int64()))
        days = walls(day) if day is not None else np.zeros(len(column), dtype=np.int64)
        return np.where((of_day == UNREADABLE) | (days == UNREADABLE), UNREADABLE, of_day + days)
    if pa.types.is_integer(kind) and day is None:
        return _epochs(_filled(column.cast(pa.int64())))
    return _texts(column.cast(pa.string()), None if day is None else day.cast(pa.string()))


class Clock:
    """Counts a file's minutes of the day, to tell how it is to be read. Memory: one day's minutes."""

    def __init__(self) -> None:
        self._minutes = np.zeros(1_440, dtype=np.int64)
        self._seconds = np.zeros(60, dtype=np.int64)

    def add(self, wall: Ints) -> None:
        seconds = wall[wall != UNREADABLE] % DAY_NS // 1_000_000_000
        self._minutes += np.bincount(seconds // 60, minlength=1_440)
        self._seconds += np.bincount(seconds % 60, minlength=60)

    def reading(self, zone: Zone | None = None, label: Label | None = None) -> Reading:
        """The likeliest reading; what is told goes before. `why` says what spoke for it."""
        total = int(self._minutes.sum())
        if total == 0:
            return Reading("IST", "start", 1, "no time could be read")
        found, why = (zone, "as told") if zone else self._zone(total)
        minutes = np.roll(self._minutes, {"IST": 0, "UTC": _IST_MINUTES}.get(found, -_IST_MINUTES))
        step = _step(minutes, total)
        if label is None:
            label, because = self._label(minutes, total)
            why = "; ".join(filter(None, (why, because)))
        return Reading(found, label, step, why)

    def _zone(self, total: int) -> tuple[Zone, str]:
        inside = self._minutes[OPENS : CLOSES + 1].sum() / total
        shifts: tuple[tuple[Zone, int], ...] = (("UTC", -_IST_MINUTES), ("IST written as UTC", _IST_MINUTES))
        if inside < _INSIDE:
            for zone, shift in shifts:
                share = self._minutes[OPENS + shift : CLOSES + shift + 1].sum() / total
                if share > max(inside, _INSIDE):
                    hours = f"{_clock(OPENS + shift)}-{_clock(CLOSES + shift)}"
                    return zone, f"{share:.0%} of the rows lie at {hours}, {inside:.0%} at 09:15-15:30"
        return "IST", ""

    def _label(self, minutes: Ints, total: int) -> tuple[Label, str]:
        if self._seconds[59] > total * (1 - _FEW):
            return "59", "the times end in :59"
        first, second, last = (int(minutes[at]) for at in (OPENS, OPENS + 1, CLOSES))
        if first <= _FEW * second and last > _FEW * second:
            return "end", f"{last:,} bars at 15:30 and {first:,} at 09:15"
        if not first and not last:
            return "start", "neither a 09:15 nor a 15:30 to tell start labels from end labels"
        return "start", ""


def _step(minutes: Ints, total: int) -> int:
    """The bars' interval in minutes, by the minutes of the day that occur; 0 for one time a day."""
    there = np.flatnonzero(minutes > _FEW * total / 1_440)
    if len(there) == 1:
        return 0 if total > 1 and there[0] not in range(OPENS, CLOSES + 1) else 1
    if len(there) < LEAST or total < LEAST_ROWS:
        return 1  # a few bars tell no interval
    return gcd(*np.diff(there).tolist())


def _filled(column: pa.Array) -> Ints:
    found: Ints = column.fill_null(int(UNREADABLE)).to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def _epochs(numbers: Ints) -> Ints:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970 UTC, by their size."""
    readable = numbers[numbers != UNREADABLE]
    largest = int(np.abs(readable).max()) if len(readable) else 0
    unit = next((unit for limit, unit in _UNITS if largest < limit), 1)
    return np.where(numbers == UNREADABLE, UNREADABLE, numbers * unit + IST_NS)


def _texts(column: pa.Array, day: pa.Array | None) -> Ints:
    """Each distinct text is read once."""
    if day is None:
        return _distinct(column, _parser)
    days, of_day = _distinct(day, _parser), _distinct(column, lambda _: _time_of_day)
    return np.where((days == UNREADABLE) | (of_day == UNREADABLE), UNREADABLE, days + of_day)


def _distinct(column: pa.Array, choose: Callable[[list[str]], Callable[[str], int]]) -> Ints:
    encoded = column.dictionary_encode()
    texts = [text or "" for text in encoded.dictionary.to_pylist()]
    parse = choose(texts)
    known = np.array([*map(parse, texts), UNREADABLE], dtype=np.int64)
    found: Ints = known[encoded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)]
    return found


def _parser(texts: list[str]) -> Callable[[str], int]:
    """The first way that reads the texts; day before month where both would."""
    sample = texts[:: max(1, len(texts) // 500)]
    ways = [_iso, *(_by(pattern) for pattern in FORMATS), *(_by(p.split(" ")[0]) for p in FORMATS), _number]
    best, most = ways[0], -1
    for way in ways:
        count = sum(way(text) != UNREADABLE for text in sample)
        if count > most:
            best, most = way, count
        if count == len(sample):  # none can read more
            break
    return best


def _ns(wall: datetime) -> int:
    return (wall - _EPOCH) // timedelta(microseconds=1) * 1_000


def _iso(text: str) -> int:
    plain = text.strip()
    if plain.isdigit() and len(plain) != 8:  # an epoch, which would pass for a date of the 17th century
        return int(UNREADABLE)
    try:
        at = datetime.fromisoformat(plain)
    except ValueError:
        return int(UNREADABLE)
    return _ns(at) if at.tzinfo is None else _ns(at.astimezone(UTC).replace(tzinfo=None)) + IST_NS


def _by(pattern: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            return _ns(datetime.strptime(text.strip(), pattern))  # noqa: DTZ007 - a clock on a wall
        except ValueError:
            return int(UNREADABLE)

    return parse


def _number(text: str) -> int:
    plain = text.strip()
    return int(_epochs(np.array([int(plain)]))[0]) if plain.isdigit() else int(UNREADABLE)


def _time_of_day(text: str) -> int:
    plain = text.strip()
    if plain.isdigit():  # 915 or 91500, as some vendors write it
        plain = plain.zfill(4 if len(plain) <= 4 else 6)
    try:
        at = time.fromisoformat(plain)
    except ValueError:
        return int(UNREADABLE)
    return ((at.hour * 60 + at.minute) * 60 + at.second) * 1_000_000_000


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
