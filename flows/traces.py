"""The log -> spans -> a collector, on a thread of the alerts process, when a collector is configured.

Where reading goes on is remembered after the collector took the spans: a crash tells some of them again,
under the same ids. A collector that is away stops the reading, so nothing piles up but the log.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from pathlib import Path
from typing import Protocol

import msgspec

from infra.eventlog import open_log
from infra.read_positions import Positions
from kitepilot import events as e
from kitepilot.ports import EventLog, LogError, LogReader, LogRecord
from kitepilot.run import Run
from kitepilot.topics import BARS, DECISIONS, INTENTS, ORDERS, SESSION
from kitepilot.traces import Span, Tracer

NAME = "traces"
FILE = "traces.json"
TOPICS = (BARS, SESSION, DECISIONS, INTENTS, ORDERS)
BATCH = 500
POLL_S = 0.5
RETRY_S = 5.0


class Collector(Protocol):
    """`infra.telemetry.otlp.Exporter`, which is only loaded when it is configured."""

    def send(self, spans: list[Span]) -> bool: ...

    def close(self) -> None: ...


class Follower:
    """Reads where an earlier one ended. `step` is one reading; it raises `LogError` as the log does."""

    def __init__(self, run: Run, log: EventLog, collector: Collector) -> None:
        self._run = run
        self._collector = collector
        self._tracer = Tracer(run.run_id)
        self._positions = Positions(run, NAME)
        self._at = _remembered(run)
        # intents from the run's beginning: orders of earlier ones may still come
        begin = run.start_offsets()[INTENTS.name]
        self._reader: LogReader = log.reader(
            {(t.name, 0): begin if t is INTENTS else self._at[t.name] for t in TOPICS}
        )
        self._last: dict[tuple[str, str], int] = {}
        self._unsent: list[Span] = []

    def step(self) -> bool:
        """Whether there is nothing more to do just now."""
        if self._unsent and not self._send():
            return True
        records = self._reader.poll(BATCH)
        self._unsent = [span for record in records for span in self._take(record)]
        self._unsent += self._tracer.settle()
        if self._unsent and not self._send():
            return True
        self._positions.note(self._reader.positions())
        return len(records) < BATCH

    def close(self) -> None:
        self._reader.close()

    def _send(self) -> bool:
        """What was not taken is tried again before anything else is read."""
        if not self._collector.send(self._unsent):
            return False
        self._unsent = []
        if not self._tracer.waiting:  # those that wait are read again by the next one
            self._at = {topic: offset for (topic, _), offset in self._reader.positions().items()}
            (self._run.folder / FILE).write_bytes(msgspec.json.encode(self._at))
        return True

    def _take(self, record: LogRecord) -> list[Span]:
        try:
            event = e.decode(record.value)
        except e.UndecodableError:
            return []
        source = (record.topic, event.source)
        if event.seq <= self._last.get(source, -1):
            return []
        self._last[source] = event.seq
        if isinstance(event, e.ApprovedIntent) and record.offset < self._at[INTENTS.name]:
            self._tracer.learn(event)
            return []
        return self._tracer.hear(event)


def _remembered(run: Run) -> dict[str, int]:
    with contextlib.suppress(OSError, msgspec.DecodeError):
        path: Path = run.folder / FILE
        return msgspec.json.decode(path.read_bytes(), type=dict[str, int])
    starts = run.start_offsets()
    return {topic.name: starts[topic.name] for topic in TOPICS}


class Tracing:
    """The thread. A log or a collector that is away is tried again."""

    def __init__(self, run: Run, retry_s: float = RETRY_S) -> None:
        self._run = run
        self._retry_s = retry_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="traces", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, within_s: float = 5.0) -> None:
        self._stop.set()
        self._thread.join(within_s)

    def _follow(self) -> None:
        from infra.telemetry.otlp import Exporter

        collector = Exporter(self._run.config.telemetry.traces_url)
        while not self._stop.is_set():
            try:
                self._read(collector)
            except (LogError, OSError) as err:
                sys.stderr.write(f"traces: {type(err).__name__}: {err}\n")
                self._stop.wait(self._retry_s)
        collector.close()

    def _read(self, collector: Collector) -> None:
        with contextlib.closing(open_log(self._run)) as log:
            follower = Follower(self._run, log, collector)
            try:
                while not self._stop.is_set():
                    if follower.step():
                        self._stop.wait(POLL_S)
                deadline = time.monotonic() + 2.0
                while not follower.step() and time.monotonic() < deadline:
                    pass
            finally:
                follower.close()
