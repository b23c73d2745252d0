"""What was said on the log, read in order: the facts of the invariants, kept by arithmetic of its own.

Nothing here asks the code under test: positions, losses, unknown outcomes and the owner's word are worked
out again from the messages, as simply as they can be.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import msgspec
from simulated_stores import MemoryLog

from kitepilot.events import (
    AccountMarked,
    AnyEvent,
    ApprovedIntent,
    Commanded,
    FeedChanged,
    Filled,
    ForeignFilled,
    Marked,
    OrderStatus,
    OrderUpdated,
    Purpose,
    Reconciled,
    SignalRaised,
    StateChanged,
    TradingState,
    Verdict,
    decode,
)
from kitepilot.topics import DECISIONS, INTENTS, ORDERS, SESSION

CLOSES = ("halt", "reduce", "flatten", "end_of_day")  # after these nothing is opened until a resume


@dataclass(frozen=True)
class Facts:
    """What was so when a signal was read, in the order of the log."""

    now: int
    closed_by: str  # the owner's command that stands, or ""
    unknown: frozenset[int]  # tokens with an order whose outcome is unknown
    loss_paise: int  # before charges
    feed_up: bool
    offset: int


@dataclass
class History:
    """Everything told so far. `wrong`: sentences about messages that contradict each other."""

    log: MemoryLog
    wrong: list[str] = field(default_factory=list)
    said: dict[tuple[str, str], dict[int, AnyEvent]] = field(default_factory=lambda: defaultdict(dict))
    intents: dict[str, ApprovedIntent] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    facts: dict[str, Facts] = field(default_factory=dict)
    status: dict[str, OrderUpdated] = field(default_factory=dict)
    fills: list[Filled] = field(default_factory=list)
    foreign_fills: list[ForeignFilled] = field(default_factory=list)
    reconciled: list[Reconciled] = field(default_factory=list)
    account: AccountMarked | None = None
    marked: list[tuple[int, TradingState, int]] = field(
        default_factory=list
    )  # at, state, loss before charges
    positions: Counter[int] = field(default_factory=Counter)
    last: dict[int, int] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)
    now: int = 0
    _losses: dict[int, int] = field(default_factory=dict)
    _cash: int = 0
    _closed_by: str = ""
    _commands: set[str] = field(default_factory=set)
    _feed_up: bool = True
    _next: Counter[str] = field(default_factory=Counter)

    def catch_up(self) -> list[AnyEvent]:
        """Read what is new on every topic; returns the events that were said for the first time."""
        fresh: list[AnyEvent] = []
        for topic in (SESSION.name, DECISIONS.name, INTENTS.name, ORDERS.name):
            records = self.log.records[topic]
            for record in records[self._next[topic] :]:
                event = decode(record.value)
                if self._first_time(topic, event):
                    fresh.append(event)
                    self._take(event, record.offset)
            self._next[topic] = len(records)
        return fresh

    def _first_time(self, topic: str, event: AnyEvent) -> bool:
        told = msgspec.structs.replace(event, emitted_at=0)
        said = self.said[topic, event.source]
        before = said.get(event.seq)
        if before is not None:
            if before != told:
                self.wrong.append(f"{topic}: {event.source} {event.seq} is told as {told} and was {before}")
            return False
        if event.seq != len(said):
            self.wrong.append(f"{topic}: {event.source} goes from {len(said) - 1} to {event.seq}")
        said[event.seq] = told
        return True

    @property
    def loss_paise(self) -> int:
        """Of our own fills at the last prices told, before charges."""
        return -self._cash - sum(q * self.last.get(token, 0) for token, q in self.positions.items())

    def working(self, token: int, *, entry: bool) -> list[ApprovedIntent]:
        """Intents on an instrument whose end was not told."""
        return [
            intent
            for intent in self.intents.values()
            if intent.token == token
            and (intent.purpose is Purpose.ENTRY) is entry
            and not (intent.intent_id in self.status and self.status[intent.intent_id].status.terminal)
        ]

    def unknown(self) -> frozenset[int]:
        return frozenset(
            update.token for update in self.status.values() if update.status is OrderStatus.UNKNOWN
        )

    def _take(self, event: AnyEvent, offset: int) -> None:
        match event:
            case Marked():
                self.now = max(self.now, event.event_at)
                self.last.update(zip(event.tokens, event.last_paise, strict=True))
                if not self.foreign_fills:
                    self._losses[self.now] = self.loss_paise
            case SignalRaised():
                now = max(self.now, event.event_at)
                # what the owner trades by hand may close shares of ours: whose loss it is, the fold says
                loss = 0 if self.foreign_fills else self.loss_paise
                self.facts[event.signal_id] = Facts(
                    now, self._closed_by, self.unknown(), loss, self._feed_up, offset
                )
            case Commanded():
                self._obey(event)
            case FeedChanged():
                self._feed_up = event.state == "up"
            case OrderUpdated():
                self._update(event)
            case Filled():
                self.fills.append(event)
                self.positions[event.token] += event.side.sign * event.quantity
                self._cash -= event.side.sign * event.quantity * event.price_paise
            case ForeignFilled():
                self.foreign_fills.append(event)
            case Reconciled():
                self.reconciled.append(event)
                self.kinds[f"reconciled {event.verdict}"] += 1
            case Verdict():
                self.verdicts.append(event)
                self.kinds[f"approved {event.purpose}" if event.approved else f"denied {event.denial}"] += 1
            case StateChanged():
                if event.state is not event.previous:
                    self.kinds[f"state {event.state}"] += 1
            case AccountMarked():
                self.account = event
                if (loss := self._losses.pop(event.event_at, None)) is not None:
                    self.marked.append((event.event_at, event.state, loss))
            case ApprovedIntent():
                self.intents[event.intent_id] = event

    def _obey(self, command: Commanded) -> None:
        if command.command_id in self._commands:
            return
        self._commands.add(command.command_id)
        if command.command in CLOSES:
            self._closed_by = command.command
        elif command.command == "resume":
            self._closed_by = ""

    def _update(self, update: OrderUpdated) -> None:
        before = self.status.get(update.intent_id)
        if before is not None and update.filled_quantity < before.filled_quantity:
            self.wrong.append(
                f"intent {update.intent_id}: filled falls from {before.filled_quantity} "
                f"to {update.filled_quantity}"
            )
        if before is not None and before.status.terminal and not update.status.terminal:
            self.wrong.append(f"intent {update.intent_id}: {before.status} comes back as {update.status}")
        self.status[update.intent_id] = update
        if update.status is OrderStatus.UNKNOWN:
            self.kinds["outcome unknown"] += 1
        elif before is not None and before.status is OrderStatus.UNKNOWN:
            self.kinds[f"unknown became {update.status}"] += 1
