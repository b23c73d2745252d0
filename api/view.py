"""What the API shows: a snapshot folded from the log's tail, so that no read touches a database.

One thread reads `session`, `decisions`, `intents`, `orders` and `dead-letter` as they grow; request handlers
read the attributes it leaves behind. Nothing grows with the length of the day.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from kitepilot import events as e
from kitepilot.ports import EventLog, LogReader, LogRecord, TopicPartition
from kitepilot.run import Run
from kitepilot.topics import DEAD_LETTER, DECISIONS, INTENTS, ORDERS, SESSION

POLL_S = 0.1
STALE_AFTER_S = 5.0
LAG_EVERY_S = 0.5
BATCH = 2000
TAILED = (SESSION, DECISIONS, INTENTS, ORDERS, DEAD_LETTER)
FOREIGN_SHOWN = 200
ALARMS_SHOWN = 20
ENVELOPE = ("type", "source", "seq", "emitted_at", "run_id")


@dataclass
class Snapshot:
    """The newest facts. Times are ns UTC; session time unless the name says machine."""

    run_id: str = ""
    mode: str = ""
    session_date: str = ""
    config_hash: str = ""
    marked_at: int = 0
    received_machine_at: int = 0
    account: e.AccountMarked | None = None
    state: e.TradingState = e.TradingState.HALTED
    state_reason: str = "no decision yet"  # of the last change, not of the notes since
    state_rule: str = ""  # that lowered it; "": the owner
    feed: str = "unknown"
    signals: Counter[str] = field(default_factory=Counter)
    approved: int = 0
    denials: Counter[str] = field(default_factory=Counter)
    orders: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    undecodable: int = 0
    foreign_orders: dict[str, dict[str, Any]] = field(default_factory=dict)  # newest last
    reconciliation: dict[str, Any] = field(default_factory=dict)  # the last one
    reconciliations: Counter[str] = field(default_factory=Counter)
    alarms: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=ALARMS_SHOWN))
    alarm_kinds: Counter[str] = field(default_factory=Counter)
    models: dict[str, str] = field(default_factory=dict)  # judged last: fresh | stale | drifted
    drifts: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=ALARMS_SHOWN))
    drift_detectors: Counter[str] = field(default_factory=Counter)
    updated_machine_at: float = 0.0


class Listener(Protocol):
    """Hears what the view reads, on the view's thread: be quick, never wait."""

    def hear(self, record: LogRecord, event: e.AnyEvent) -> None:
        """One event, the first time it is read."""

    def settle(self) -> None:
        """A batch was read: what was heard stands."""


class View:
    """Owns the thread and the snapshot; `start`, then read `snapshot`, then `stop`."""

    def __init__(self, run: Run, log: EventLog) -> None:
        self.run = run
        self.snapshot = Snapshot()
        self._log = log
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="log-tail", daemon=True)
        self._last: dict[tuple[str, str], int] = {}
        self._lag_at = 0.0
        self.lag: dict[str, int] = {}
        self.positions: dict[str, int] = {}  # when the lag was measured
        self.listeners: list[Listener] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def healthy(self) -> tuple[bool, str]:
        """(is the tail alive and fresh, why not)."""
        if not self._thread.is_alive():
            return False, "the log reader has stopped: see the API's log"
        age = time.monotonic() - self.snapshot.updated_machine_at
        if age > STALE_AFTER_S:
            return False, f"the log was last read {age:.0f} s ago"
        return True, "ok"

    def _follow(self) -> None:
        start: dict[TopicPartition, int] = {(t.name, 0): self.run.start_offsets()[t.name] for t in TAILED}
        reader = self._log.reader(start)
        try:
            while not self._stop.is_set():
                drained = self._read(reader)
                self.snapshot.updated_machine_at = time.monotonic()
                self._measure_lag(reader)
                if drained:
                    self._stop.wait(POLL_S)
        finally:
            reader.close()

    def _read(self, reader: LogReader) -> bool:
        records = reader.poll(BATCH)
        for record in records:
            self._apply(record)
        for each in self.listeners:
            each.settle()
        return len(records) < BATCH

    def _measure_lag(self, reader: LogReader) -> None:
        """Now and then, also while it is behind: a lag that only shows when there is none is no measure."""
        if time.monotonic() - self._lag_at < LAG_EVERY_S:
            return
        self._lag_at = time.monotonic()
        for (topic, partition), offset in reader.positions().items():
            self.positions[topic] = offset
            self.lag[topic] = self._log.end_offset(topic, partition) - offset

    def _apply(self, record: LogRecord) -> None:
        try:
            event = e.decode(record.value)
        except e.UndecodableError:
            self.snapshot.undecodable += 1
            return
        source = (record.topic, event.source)  # a producer numbers each topic by itself
        if event.seq <= self._last.get(source, -1):
            return
        self._last[source] = event.seq
        self._fold(event)
        for each in self.listeners:
            each.hear(record, event)

    def _fold(self, event: e.AnyEvent) -> None:
        s = self.snapshot
        match event:
            case e.Marked():
                s.marked_at = event.event_at
                s.received_machine_at = event.received_at
            case e.AccountMarked():
                s.account = event
                s.state = event.state
            case e.SignalRaised():
                s.signals[event.strategy] += 1
            case e.Verdict(approved=True):
                s.approved += 1
            case e.Verdict():
                s.denials[event.denial] += 1
            case e.OrderJournaled():
                s.orders[event.kind] += 1
            case e.DeadLetter():
                s.dead_letters[event.reason] += event.count
            case e.StateChanged():
                s.state = event.state
                if event.state is not event.previous:
                    s.state_reason, s.state_rule = event.reason, event.rule
            case e.FeedChanged():
                s.feed = event.state
            case e.RunStarted():
                s.run_id, s.mode, s.config_hash = event.run_id, event.mode, event.config_hash
                s.session_date = event.parameters.session_date
                s.state_reason = "run started"
            case _:
                self._fold_account(event)

    def _fold_account(self, event: e.AnyEvent) -> None:
        """What the gateway found at the broker besides our orders."""
        s = self.snapshot
        match event:
            case e.ForeignOrderUpdated():
                s.foreign_orders.pop(event.order_id, None)
                s.foreign_orders[event.order_id] = _shown(event)
                if len(s.foreign_orders) > FOREIGN_SHOWN:
                    s.foreign_orders.pop(next(iter(s.foreign_orders)))
            case e.Reconciled():
                s.reconciliation = _shown(event)
                s.reconciliations[event.verdict] += 1
            case e.Alarmed():
                s.alarms.append(_shown(event))
                s.alarm_kinds[event.kind] += 1
            case e.ModelJudged():
                s.models[event.model] = event.state
            case e.DriftFound():
                s.drifts.append(_shown(event))
                s.drift_detectors[event.detector] += 1


def _shown(event: e.AnyEvent) -> dict[str, Any]:
    """An event for people: without the envelope but for its time."""
    plain: dict[str, Any] = msgspec.to_builtins(event)
    return {name: value for name, value in plain.items() if name not in ENVELOPE}
