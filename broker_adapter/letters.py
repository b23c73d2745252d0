"""What a producer at the edge has to say besides its data: dead letters and alarms, numbered."""

from __future__ import annotations

import time
from collections import Counter

from kitepilot.events import Alarmed, DeadLetter, encode
from kitepilot.topics import DEAD_LETTER, SESSION, Topic

MAX_PAYLOAD_BYTES = 512 << 10  # below the log's bound for one value


class Letters:
    """Encoded messages of one incarnation, each topic with numbers of its own; `source` names it."""

    def __init__(self, source: str, run_id: str) -> None:
        self._source = f"{source}-{time.time_ns()}"
        self._run_id = run_id
        self._sent: Counter[str] = Counter()

    def bury(
        self, reason: str, topic: Topic, detail: str, payload: bytes, event_at: int, count: int = 1
    ) -> bytes:
        """Something that never had a place on `topic`, kept with its bytes (the first half megabyte)."""
        letter = DeadLetter(
            source=self._source,
            seq=self._next(DEAD_LETTER),
            event_at=event_at,
            reason=reason,
            topic=topic.name,
            partition=0,
            offset=-1,
            count=count,
            detail=detail,
            payload=payload[:MAX_PAYLOAD_BYTES],
        )
        return encode(letter, emitted_at=time.time_ns())

    def alarm(self, kind: str, subject: str, detail: str, event_at: int) -> bytes:
        """For `session`: a person should look; nothing is halted by it."""
        alarm = Alarmed(
            source=self._source,
            seq=self._next(SESSION),
            event_at=event_at,
            run_id=self._run_id,
            kind=kind,
            subject=subject,
            detail=detail,
            halts=False,
        )
        return encode(alarm, emitted_at=time.time_ns())

    def _next(self, topic: Topic) -> int:
        self._sent[topic.name] += 1
        return self._sent[topic.name] - 1
