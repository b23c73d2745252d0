"""Reading a run's topics back: decoded, in order, each message once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from kitepilot import events as e
from kitepilot.ports import EventLog

BATCH = 5000


@dataclass
class Tape:
    """One topic from `start` to `end` (offsets). Counts are complete once it has been iterated.

    `decode` may refuse a message (any `ValueError`): it is counted as undecodable and left out.
    """

    log: EventLog
    topic: str
    start: int
    end: int
    read: int = 0
    repeated: int = 0
    undecodable: int = 0
    decode: Callable[[bytes], e.AnyEvent] = e.decode
    _last: dict[str, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[e.AnyEvent]:
        """Events in order; a producer's repetitions after a restart are counted and left out."""
        for value in self.values():
            yield from self._decode(value)

    def values(self) -> Iterator[bytes]:
        """Every record as it was written, repetitions and rubbish included."""
        reader = self.log.reader({(self.topic, 0): self.start})
        try:
            while self.start + self.read < self.end:
                for record in reader.poll(BATCH, timeout_s=5.0):
                    if record.offset >= self.end:
                        return
                    self.read += 1
                    yield record.value
        finally:
            reader.close()

    def _decode(self, value: bytes) -> Iterator[e.AnyEvent]:
        try:
            event = self.decode(value)
        except ValueError:
            self.undecodable += 1
            return
        if event.seq <= self._last.get(event.source, -1):
            self.repeated += 1
            return
        self._last[event.source] = event.seq
        yield event
