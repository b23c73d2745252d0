"""Flow -> event log: events are stamped, encoded and handed on at once, and durable before an epoch commits.

Somebody waits for an order; nobody for a bar. So the `URGENT` topics of a batch are written first, each in
its own transaction, before the rest is even encoded.

A `FixedPartitionedSink`, because its `snapshot` is part of the commit: an epoch whose appends did not all
reach the log is not committed and is run again. So delivery is at least once: after a crash up to one
epoch is written again, with the same (source, seq), which consumers drop.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import bytewax.operators as op
from bytewax.dataflow import Stream
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from kitepilot.events import AnyEvent, encode
from kitepilot.ports import LogError, LogWriter
from kitepilot.topics import INTENTS, SESSION

Out = tuple[str, AnyEvent]  # (topic, event)

PART = "log"
URGENT = (INTENTS.name, SESSION.name)


class WritableLog(Protocol):
    """What a sink asks of a log: any `EventLog`, or somebody who compares what comes."""

    def writer(self) -> LogWriter: ...

    def close(self) -> None: ...


class LogSinkPart(StatefulSinkPartition[Out, None]):
    """The one partition of `LogSink`. A failed append raises and stops the flow before its epoch commits."""

    def __init__(self, log: WritableLog) -> None:
        self._log = log
        self._writer = log.writer()

    def write_batch(self, values: list[Out]) -> None:
        for urgent in URGENT:
            self._hand_on([value for value in values if value[0] == urgent])
        self._hand_on([value for value in values if value[0] not in URGENT])

    def _hand_on(self, values: list[Out]) -> None:
        if not values:
            return
        emitted_at = time.time_ns()
        for topic, event in values:
            self._writer.append(topic, encode(event, emitted_at=emitted_at))
        self._writer.push()

    def snapshot(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        # what matters was flushed by `snapshot`; Bytewax also closes while a failure unwinds, and aborts
        # the process if that raises
        with suppress(LogError):
            self._writer.flush()
        self._writer.close()
        self._log.close()


class LogSink(FixedPartitionedSink[Out, None]):
    """Takes `(key, (topic, event))`; use `to_sink`, which keys them. Partition 0 of each topic is written.

    Order within a topic is kept. Of one batch, `URGENT` topics go first, the others in order of appearance.
    """

    def __init__(self, open_log: Callable[[], WritableLog]) -> None:
        self._open_log = open_log

    def list_parts(self) -> list[str]:
        return [PART]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> LogSinkPart:
        return LogSinkPart(self._open_log())


def to_sink(step_id: str, up: Stream[Out], sink: LogSink) -> None:
    """Last step of a flow: `(topic, event)` items, in stream order, into the log.

    The frozen step ids are `<step_id>_key` and `<step_id>`.
    """
    keyed = op.flat_map_batch(f"{step_id}_key", up, _keyed)
    op.output(step_id, keyed, sink)


def _keyed(items: list[Out]) -> list[tuple[str, Out]]:
    return [(PART, item) for item in items]
