"""Half an hour of a small seeded market, traded, journaled and archived as the processes would.

The market flow, the decision fold and the archive are the real ones; the broker is a few lines: of five
orders one is rejected, one filled in two parts, one filled in part and cancelled.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parents[1] / "replay"))
from recorded_day import Happening, Recorder, eager_config
from store_days import eventful, eventful_ticks, short_day

from flows.archive import open_archive, start_of
from infra.eventlog import open_log
from kitepilot import config as configuration
from kitepilot.events import (
    AnyEvent,
    ApprovedIntent,
    ClockMeasured,
    DecisionParameters,
    Filled,
    FundsMarked,
    OrderJournaled,
    OrderStatus,
    OrderUpdated,
    Reconciled,
    SessionEvent,
    decode,
)
from kitepilot.ports import EventLog, LogRecord
from kitepilot.run import Run
from kitepilot.topics import ORDERS, TOPICS

RUN_ID = "paper-20261120-0001"
MINUTES = 30
MINUTE = 60_000_000_000
ROUND_TRIP_NS = 21_000_000
SECTORS = ("IT", "IT", "BANKS", "BANKS")


def day_terms() -> DecisionParameters:
    """The short day of the stored ones, its instruments in two sectors."""
    terms = short_day(MINUTES)
    sectored = zip(terms.instruments, SECTORS, strict=True)
    return replace(terms, instruments=tuple(replace(one, sector=sector) for one, sector in sectored))


def happenings(terms: DecisionParameters) -> list[Happening]:
    """What befalls the stored eventful day; and funds, the clock and the books, as a gateway tells them."""

    def told(desk: Recorder, at: int, made: Any, **fields: Any) -> SessionEvent:
        event: SessionEvent = made(**desk.head("gateway.findings", at), run_id=desk.run.run_id, **fields)
        return event

    opens = terms.open_at
    books = {"orders": 4, "trades": 4, "positions": 1, "differences": (), "verdict": "equal"}
    more: list[Happening] = []
    for minute, made, fields in (
        (1, ClockMeasured, {"skew_ms": 4, "against": "sandbox"}),
        (2, FundsMarked, {"available_paise": 100_000_000, "used_paise": 0}),
        (15, FundsMarked, {"available_paise": 96_000_000, "used_paise": 4_000_000}),
        (27, Reconciled, {"occasion": "end_of_day", **books}),
    ):
        at = opens + minute * MINUTE
        more.append((at, partial(told, at=at, made=made, **fields)))
    return sorted([*eventful(), *more], key=lambda each: each[0])


class Journal(Recorder):
    """A recorder whose gateway journals what it does, and whose clock keeps close to the market's."""

    def _exchange(self, intent: ApprovedIntent) -> list[SessionEvent]:
        self.trades += 1
        self._line(intent, "submitting", OrderStatus.SUBMITTING, 0, order_id="")
        turn = self.trades % 5
        if turn == 0:
            self._line(intent, "rejected", OrderStatus.REJECTED, 0, order_id="", latency_ns=ROUND_TRIP_NS)
            return [self._update(intent, OrderStatus.REJECTED, 0)]
        self._line(intent, "accepted", OrderStatus.ACCEPTED, 0, latency_ns=ROUND_TRIP_NS)
        half = intent.quantity // 2
        parts = {1: [intent.quantity], 2: [half, intent.quantity - half], 3: [half]}.get(
            turn, [intent.quantity]
        )
        said: list[SessionEvent] = []
        filled = 0
        for number, quantity in enumerate(part for part in parts if part):
            fill = self._fill(intent, number, quantity)
            filled += quantity
            line = {"price_paise": fill.price_paise, "trade_id": fill.trade_id}
            self._line(intent, "fill", OrderStatus.ACCEPTED, filled, **line)
            said.append(fill)
        end = OrderStatus.FILLED if filled == intent.quantity else OrderStatus.CANCELLED
        self._line(intent, "update", end, filled)
        return [*said, self._update(intent, end, filled)]

    def _line(self, intent: ApprovedIntent, kind: str, status: OrderStatus, filled: int, **more: Any) -> None:
        fields: dict[str, Any] = {"order_id": f"o{self.trades}", "price_paise": intent.limit_price_paise}
        fields |= self.head("gateway.orders", intent.event_at) | {"run_id": self.run.run_id} | more
        line = OrderJournaled(
            **fields,
            intent_id=intent.intent_id,
            token=intent.token,
            tradingsymbol=intent.tradingsymbol,
            side=intent.side,
            purpose=intent.purpose,
            strategy=intent.strategy,
            kind=kind,
            status=status,
            quantity=intent.quantity,
            filled_quantity=filled,
        )
        self._write(ORDERS.name, line)

    def _write(self, topic: str, event: AnyEvent) -> LogRecord:
        self.emitted_at = max(self.emitted_at, event.event_at + 3_000_000)
        return super()._write(topic, event)


@dataclass(frozen=True)
class TradedDay:
    """One recorded run in a home of its own, and everything that was said in it."""

    run: Run

    def events(self, topic: str) -> Iterator[AnyEvent]:
        """The run's messages of one topic, in their order."""
        start = {(topic, 0): self.run.start_offsets()[topic]}
        with closing(open_log(self.run)) as log, closing(log.reader(start)) as reader:
            while records := reader.poll(1000):
                yield from map(decode, (record.value for record in records))

    def fills(self) -> list[Filled]:
        return [event for event in self.events("session") if isinstance(event, Filled)]

    def updates(self) -> list[OrderUpdated]:
        return [event for event in self.events("session") if isinstance(event, OrderUpdated)]


def trade(home: Path, clickhouse_url: str) -> TradedDay:
    """Record the day on the log of `home`."""
    config = configuration.override(eager_config(), **{"storage.clickhouse_url": clickhouse_url})
    run = Run(RUN_ID, home / "runs" / RUN_ID, config)
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").write_text(configuration.dump(config))
    with closing(open_log(run)) as log:
        log.create_topics(TOPICS)
        _record(run, log)
    return TradedDay(run)


def _record(run: Run, log: EventLog) -> None:
    (run.folder / "start_offsets.json").write_text(json.dumps({topic.name: 0 for topic in TOPICS}))
    terms = day_terms()
    journal = Journal(log, run, run.start_offsets(), emitted_at=0, terms=terms, happenings=happenings(terms))
    journal.record(eventful_ticks())


def archive(day: TradedDay) -> None:
    """Every message of the day into ClickHouse, by the archive's own code."""
    with closing(open_log(day.run)) as log, closing(open_archive(day.run, None)) as sink:
        with closing(log.reader(start_of(day.run))) as reader:
            while records := reader.poll(1000):
                sink.add(records)
        sink.flush()
