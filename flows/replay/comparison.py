"""Message by message: what was recorded against what is computed now.

    one producer's messages on one topic, in log order  x  the same producer replayed  -> the first difference

After a crash a producer repeats its last numbers; equal repetitions are fine, unequal ones are a difference.
Only the machine's clock (`emitted_at`) is left out. Nothing of the size of a day is held.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isnan
from typing import Any, Literal

import msgspec

from kitepilot.events import AnyEvent, canonical
from kitepilot.ports import LogRecord

REMEMBERED = 100_000  # numbers back within which a repetition is compared: far more than one epoch

Kind = Literal["differs", "not recorded", "only recorded", "repeated differently", "repeated too late"]
Decode = Callable[[bytes], AnyEvent]


@dataclass(frozen=True)
class Recorded:
    """One message of the record and where it stands."""

    offset: int
    event: AnyEvent
    raw: bytes  # canonical


@dataclass(frozen=True)
class Difference:
    """The first one of a stream. `replayed` is None when only the record has it, and the other way round."""

    topic: str
    source: str
    seq: int
    kind: Kind
    recorded: Recorded | None
    replayed: AnyEvent | None

    def fields(self) -> list[tuple[str, Any, Any]]:
        """(path, recorded, replayed) of every leaf that differs; one side's all when the other is missing."""
        theirs = msgspec.to_builtins(self.recorded.event) if self.recorded else {}
        ours = msgspec.to_builtins(self.replayed) if self.replayed is not None else {}
        for side in (theirs, ours):
            side.pop("emitted_at", None)
        return list(_leaves("", theirs, ours))


def _leaves(path: str, theirs: Any, ours: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name in dict.fromkeys((*theirs, *ours)):
            yield from _leaves(f"{path}.{name}".lstrip("."), theirs.get(name), ours.get(name))
    elif isinstance(theirs, list | tuple) and isinstance(ours, list | tuple) and len(theirs) == len(ours):
        for at, (one, other) in enumerate(zip(theirs, ours, strict=True)):
            yield from _leaves(f"{path}[{at}]", one, other)
    elif theirs != ours and not _both_nan(theirs, ours):
        yield path, theirs, ours


def _both_nan(one: Any, other: Any) -> bool:
    return isinstance(one, float) and isinstance(other, float) and isnan(one) and isnan(other)


class Comparison:
    """One producer (`source`) on one topic. Feed the replay's messages to `take`, then call `finish`."""

    def __init__(self, topic: str, source: str, recorded: Iterator[LogRecord], decode: Decode) -> None:
        self.topic = topic
        self.source = source
        self.messages = 0
        self.repeated = 0
        self.unreadable = 0
        self.not_recorded = 0  # replayed after the record's end
        self.first_missing: AnyEvent | None = None
        self.difference: Difference | None = None
        self._decode = decode
        self._records = recorded
        self._seen: OrderedDict[int, bytes] = OrderedDict()
        self._sha = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """As `kitepilot.events.stream_hash`, over the messages found equal so far."""
        return self._sha.hexdigest()

    def take(self, event: AnyEvent) -> None:
        """The replay's next message. After the first difference nothing is compared any more."""
        if self.difference:
            return
        if self.not_recorded:
            self.not_recorded += 1
            return
        found = self._next()
        if self.difference:
            return
        if found is None:
            self.first_missing = event
            self.not_recorded = 1
            return
        raw = canonical(event)
        if found.raw != raw:
            self._differ("differs" if found.event.seq == event.seq else "not recorded", found, event)
            return
        self.messages += 1
        self._sha.update(len(raw).to_bytes(4, "big"))
        self._sha.update(raw)

    def finish(self) -> None:
        """The replay has no more: the record may not have more either."""
        if not self.difference and (left := self._next()) is not None:
            self._differ("only recorded", left, None)

    def short_of(self, ended_at: int | None) -> bool:
        """Whether the record ends before session time `ended_at` (ns), or should not end where it does."""
        missing = self.first_missing
        return missing is not None and (ended_at is None or missing.event_at < ended_at)

    def _next(self) -> Recorded | None:
        """The record's next message that is not a repetition."""
        for record in self._records:
            try:
                event = self._decode(record.value)
            except ValueError:
                self.unreadable += 1
                continue
            if event.source != self.source:
                continue
            found = Recorded(record.offset, event, canonical(event))
            if self._is_new(found):
                return found
            if self.difference:
                return None
        return None

    def _is_new(self, found: Recorded) -> bool:
        seq, digest = found.event.seq, hashlib.sha256(found.raw).digest()
        newest = next(reversed(self._seen), -1)
        if seq > newest:
            self._seen[seq] = digest
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
            return True
        self.repeated += 1
        if self._seen.get(seq) != digest:
            self._differ("repeated differently" if seq in self._seen else "repeated too late", found, None)
        return False

    def _differ(self, kind: Kind, recorded: Recorded, replayed: AnyEvent | None) -> None:
        seq = recorded.event.seq if replayed is None else replayed.seq
        self.difference = Difference(self.topic, self.source, seq, kind, recorded, replayed)
