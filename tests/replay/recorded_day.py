"""Ten minutes of a small seeded market, traded and recorded on a log as the processes would."""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "flows"))
from market_tape import OPEN_AT, S, broken, parameters, tape

from flows.decisions import DecisionLogic
from flows.market import make_pipeline
from flows.replay import RecordedRun, open_recorded
from infra.eventlog.sqlite_log import SqliteLog
from kitepilot import config as configuration
from kitepilot.config import Config
from kitepilot.events import (
    AnyEvent,
    ApprovedIntent,
    Commanded,
    DecisionParameters,
    Filled,
    OrderStatus,
    OrderUpdated,
    RunStarted,
    SessionEvent,
    encode,
)
from kitepilot.market.ticks import KIND_CLOCK, own_record
from kitepilot.ports import LogRecord
from kitepilot.run import Run
from kitepilot.topics import DECISIONS, SESSION, TICKS, TOPICS

FLUSH_EVERY = 1_000  # messages of ticks
RUN_ID = "paper-20261120-0001"
EAGER: dict[str, dict[str, float]] = {
    "vwap_reversion": {
        "from_minute": 1,
        "entry_stretch": 0.5,
        "stretch_minutes": 1,
        "min_dev_bps": 1,
        "cooldown_s": 120,
        "turn_bps": 0,
    },
    "micro_momentum": {
        "from_minute": 1,
        "depth_imbalance": 0.1,
        "trade_imbalance": 0.01,
        "trade_imbalance_60s": 0,
        "max_move_vols": 20,
        "volume_ratio": 0,
        "max_spread_bps": 100,
        "cooldown_s": 60,
    },
}


def eager_config() -> Config:
    """No offline model, so nothing has to be trained; the online one learns as it does on any day."""
    return configuration.override(
        Config(),
        **{
            "session.date": "2026-11-20",
            "models.offline": "",
            "strategies.enabled": list(EAGER),
            "strategies.parameters": EAGER,
        },
    )


#: What befalls the day besides its market: (session time in ns, said once the market is past it).
Happening = tuple[int, Callable[["Recorder"], SessionEvent]]


@dataclass
class Recorder:
    """Writes a day: every message of the flows, and of a gateway whose broker fills or rejects at once."""

    log: SqliteLog
    run: Run
    starts: Mapping[str, int]
    emitted_at: int = 1_800_000_000_000_000_000
    trades: int = 0
    terms: DecisionParameters = field(default_factory=parameters)
    happenings: list[Happening] = field(default_factory=list)  # in order of time
    seqs: dict[str, int] = field(default_factory=lambda: defaultdict(lambda: -1))
    pending: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    flushed: Counter[str] = field(default_factory=Counter)

    def record(self, messages: Iterable[bytes]) -> None:
        """Ticks in, everything the system says about them onto the log, to the end of the day."""
        market = make_pipeline(self.run.config, self.terms, Path())
        desk = DecisionLogic()
        begun = RunStarted(
            **self.head("cli", OPEN_AT - 60 * S),
            run_id=self.run.run_id,
            mode="paper",
            config_hash=self.run.config_hash,
            parameters=self.terms,
        )
        self._session(desk, begun)
        waiting = list(self.happenings)
        for offset, message in enumerate(messages, self.starts[TICKS.name]):
            self.pending[TICKS.name].append(message)
            if offset % FLUSH_EVERY == 0:
                self._flush()
            for topic, event in market.on_message(message, offset):
                if topic == SESSION.name:
                    self._session(desk, event)
                else:
                    self._write(topic, event)
            while waiting and waiting[0][0] <= market.at:
                self._session(desk, waiting.pop(0)[1](self))
        self._session(desk, self.command("end_of_day", market.at))
        self._flush()

    def _flush(self) -> None:
        write(self.log, self.pending)
        for topic, values in self.pending.items():
            self.flushed[topic] += len(values)
        self.pending.clear()

    def head(self, source: str, at: int) -> dict[str, Any]:
        self.seqs[source] += 1
        return {"source": source, "seq": self.seqs[source], "event_at": at}

    def command(self, command: str, at: int, argument: str = "") -> Commanded:
        head = self.head("cli", at)
        return Commanded(
            **head, command_id=f"cli-{head['seq']}", command=command, argument=argument, by="cli"
        )

    def _session(self, desk: DecisionLogic, event: AnyEvent) -> None:
        """One more session message; the desk's orders are filled at once, each third in two parts."""
        waiting: list[AnyEvent] = [event]
        while waiting:
            record = self._write(SESSION.name, waiting.pop(0))
            for topic, decided in desk.on_record(record):
                self._write(topic, decided)
                if isinstance(decided, ApprovedIntent):
                    waiting += self._exchange(decided)

    def _exchange(self, intent: ApprovedIntent) -> list[SessionEvent]:
        self.trades += 1
        if self.trades % 5 == 0:
            return [self._update(intent, OrderStatus.REJECTED, 0)]
        parts = [intent.quantity]
        if self.trades % 3 == 0 and intent.quantity > 1:
            parts = [intent.quantity // 2, intent.quantity - intent.quantity // 2]
        fills = [self._fill(intent, number, quantity) for number, quantity in enumerate(parts)]
        return [*fills, self._update(intent, OrderStatus.FILLED, intent.quantity)]

    def _gateway(self, intent: ApprovedIntent) -> dict[str, Any]:
        return self.head("gateway", intent.event_at) | {
            "run_id": self.run.run_id,
            "intent_id": intent.intent_id,
            "order_id": f"o{self.trades}",
            "token": intent.token,
        }

    def _fill(self, intent: ApprovedIntent, number: int, quantity: int) -> Filled:
        price = intent.limit_price_paise or intent.decision_price_paise
        return Filled(
            **self._gateway(intent),
            trade_id=f"t{self.trades}-{number}",
            side=intent.side,
            quantity=quantity,
            price_paise=price,
            filled_at=intent.event_at,
        )

    def _update(self, intent: ApprovedIntent, status: OrderStatus, filled: int) -> OrderUpdated:
        return OrderUpdated(
            **self._gateway(intent),
            status=status,
            venue_status="COMPLETE" if filled else "REJECTED",
            quantity=intent.quantity,
            filled_quantity=filled,
        )

    def _write(self, topic: str, event: AnyEvent) -> LogRecord:
        self.emitted_at += 1_000
        value = encode(event, emitted_at=self.emitted_at)
        self.pending[topic].append(value)
        offset = self.starts[topic] + self.flushed[topic] + len(self.pending[topic]) - 1
        return LogRecord(topic, 0, offset, self.emitted_at, b"", value)


def write(log: SqliteLog, values: Mapping[str, Sequence[bytes]]) -> None:
    """In a few transactions: a sync to disk for each message would take longer than the day."""
    writer = log.writer()
    for topic, said in values.items():
        for value in said:
            writer.append(topic, value)
    writer.flush()
    writer.close()


@dataclass
class RecordedDay:
    """A home with one recorded run in it."""

    home: Path
    run: Run
    log: SqliteLog

    def recorded(self) -> RecordedRun:
        """As `kitepilot replay` sees it, from the log."""
        return open_recorded(self.run.run_id, self.log, self.run.start_offsets(), self.ends())

    def ends(self) -> dict[str, int]:
        return {topic.name: self.log.end_offset(topic.name) for topic in TOPICS}

    def values(self, topic: str) -> list[bytes]:
        return [record.value for record in self.recorded().records(topic)]


def make_home(folder: Path, strays: int = 3) -> RecordedDay:
    """An empty home whose log already holds something of an earlier run: offsets do not begin at 0."""
    config = eager_config()
    run = Run(RUN_ID, folder / "runs" / RUN_ID, config)
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").write_text(configuration.dump(config))
    log = SqliteLog(run.log_folder)
    log.create_topics(TOPICS)
    for topic in TOPICS:
        if strays:
            log.append(topic.name, [b"of an earlier run"] * strays)
    starts = {topic.name: log.end_offset(topic.name) for topic in TOPICS}
    (run.folder / "start_offsets.json").write_text(json.dumps(starts))
    return RecordedDay(folder, run, log)


def messages(minutes: float = 10, seed: int = 7) -> list[bytes]:
    """A market with bad input in it, and clock records past its end so that the last bars close."""
    ticks = broken(tape(minutes, seed))
    last = OPEN_AT + round(minutes * 60) * S + 10 * S
    return [*ticks, *(own_record(KIND_CLOCK, last + n * S, last + n * S) for n in range(3))]


def a_recorded_day(folder: Path, minutes: float = 10, seed: int = 7) -> RecordedDay:
    """Ten minutes, recorded whole."""
    day = make_home(folder)
    Recorder(day.log, day.run, day.run.start_offsets()).record(messages(minutes, seed))
    return day


def rewritten(
    day: RecordedDay, folder: Path, change: Callable[[str, int, bytes], list[bytes]]
) -> RecordedDay:
    """The same day in another home, each value as `change(topic, place, value)` says; [] leaves it out."""
    other = make_home(folder)
    values = {
        topic.name: [
            changed
            for place, value in enumerate(day.values(topic.name))
            for changed in change(topic.name, place, value)
        ]
        for topic in TOPICS
    }
    write(other.log, values)
    return other


def decisions_of(day: RecordedDay) -> list[bytes]:
    return day.values(DECISIONS.name)
