"""What happened, in order, for readers who come and go: a bounded ring whose places are offsets of the log.

A place names how far each topic has been read, so it means the same after the API was started again, although
the topics are then read in another order beside each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

Place = tuple[int, ...]  # next offset of each topic, in the order in which the ring was told them


@dataclass(frozen=True)
class Happened:
    """One event that is never left out. `topic` is a number into the ring's topics; `body` is JSON."""

    kind: str
    body: bytes
    topic: int
    offset: int
    place: Place  # after it


class BehindError(LookupError):
    """What the reader has not seen is no longer here."""


class Ring:
    """The last `size` events. Numbers count from 0 in this process; one thread writes."""

    def __init__(self, topics: Sequence[str], start: Sequence[int], size: int) -> None:
        self.topics = tuple(topics)
        self.place: Place = tuple(start)
        self._kept: deque[Happened] = deque(maxlen=size)
        self._gone = list(start)  # by topic: events below this offset may have been forgotten
        self.end = 0

    @property
    def begin(self) -> int:
        """Number of the oldest event that is kept."""
        return self.end - len(self._kept)

    def passed(self, topic: int, offset: int) -> None:
        """A record was read, whatever came of it."""
        place = list(self.place)
        place[topic] = max(place[topic], offset + 1)
        self.place = tuple(place)

    def add(self, kind: str, body: bytes, topic: int, offset: int) -> None:
        """An event of the record that was passed last."""
        if len(self._kept) == self._kept.maxlen:
            oldest = self._kept[0]
            self._gone[oldest.topic] = max(self._gone[oldest.topic], oldest.offset + 1)
        self._kept.append(Happened(kind, body, topic, offset, self.place))
        self.end += 1

    def since(self, number: int, seen: Place, most: int) -> tuple[list[Happened], int]:
        """Up to `most` events from `number` on that a reader at `seen` has not had, and where to go on.

        Raises:
            BehindError: some of them are gone.
        """
        if number < self.begin:
            raise BehindError(f"{self.begin - number} events ago")
        found: list[Happened] = []
        while number < self.end and len(found) < most:
            each = self._kept[number - self.begin]
            number += 1
            if each.offset >= seen[each.topic]:
                found.append(each)
        return found, number

    def resume(self, seen: Place) -> int:
        """The number from which a reader who comes back at `seen` goes on.

        Raises:
            BehindError: it is no place of this ring, or what came after it was forgotten.
        """
        if len(seen) != len(self.place):
            raise BehindError("another kind of place")
        if any(mine < gone for mine, gone in zip(seen, self._gone, strict=True)):
            raise BehindError("longer ago than is kept")
        return self.begin
