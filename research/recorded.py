"""A run's own record of its day, read as often as it is wanted: from the event log, or from its archive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from kitepilot.events import (
    AccountMarked,
    Alarmed,
    AnyEvent,
    ApprovedIntent,
    Commanded,
    Filled,
    ForeignFilled,
    ForeignOrderUpdated,
    Marked,
    OrderJournaled,
    OrderUpdated,
    Reconciled,
    RunStarted,
    SessionEvent,
    UndecodableError,
    decode,
)
from kitepilot.risk.admission import UnusableError, admit
from kitepilot.topics import DECISIONS, INTENTS, ORDERS, SESSION, TICKS
from research.backtest import Fact
from research.ticks import Beat, beats_of_log
from research.venue import nameless

REPLIED = "accepted"
MARKET = "market"  # sources of the market flow begin so
#: What the gateway says of orders and of its own troubles: a modelled venue has its own.
OF_ORDERS = (OrderUpdated, Filled, Reconciled, Alarmed)


class RecordedDayError(ValueError):
    """A run's record cannot be used; the text says why."""


@dataclass
class RecordedDay:
    """One run. `values`: a topic's records as they were written, repetitions and rubbish included."""

    run_id: str
    values: Callable[[str], Iterable[bytes]]

    def beats(self) -> Iterator[Beat]:
        """The ticks that were received."""
        return beats_of_log(self.values(TICKS.name))

    def session(self) -> Iterator[SessionEvent]:
        """What the decision flow took in: of this run, each message once, refused ones left out."""
        last: dict[str, int] = {}
        for value in self.values(SESSION.name):
            try:
                event = admit(value)
            except UnusableError:
                continue
            if getattr(event, "run_id", self.run_id) != self.run_id:
                continue
            if not isinstance(event, Commanded):  # many hands write commands: they count by id
                if event.seq <= last.get(event.source, -1):
                    continue
                last[event.source] = event.seq
            yield event

    def market(self) -> Iterator[SessionEvent]:
        """What the market flow said."""
        return (event for event in self.session() if event.source.startswith(MARKET))

    @cached_property
    def started(self) -> RunStarted:
        """Raises `RecordedDayError` when the log no longer has it."""
        for event in self.session():
            if isinstance(event, RunStarted):
                return event
        raise RecordedDayError(f"the log has no announcement of {self.run_id}: its session was removed")

    @cached_property
    def facts(self) -> tuple[Fact, ...]:
        """What the session says besides market and orders: see `Day.facts`. The owner's own trades are."""
        found: list[Fact] = []
        at = 0
        for event in self.session():
            if isinstance(event, Marked):
                at = max(at, event.event_at)
            of_orders = isinstance(event, (*OF_ORDERS, RunStarted))
            by_broker = isinstance(event, ForeignOrderUpdated | ForeignFilled) and event.by_broker
            if not of_orders and not by_broker and not event.source.startswith(MARKET):
                found.append((at, event))
        return tuple(found)

    @cached_property
    def intents(self) -> dict[str, ApprovedIntent]:
        """By id, in order."""
        found: dict[str, ApprovedIntent] = {}
        for event in self._events(INTENTS.name):
            if isinstance(event, ApprovedIntent) and event.run_id == self.run_id:
                found.setdefault(event.intent_id, event)
        return found

    @cached_property
    def fills(self) -> tuple[Filled, ...]:
        """Each trade of ours once, in the order it was told."""
        found = {
            (event.order_id, event.trade_id): event for event in self.session() if isinstance(event, Filled)
        }
        return tuple(found.values())

    @cached_property
    def last_account(self) -> AccountMarked | None:
        """The account as the decision flow last had it."""
        last = None
        for event in self._events(DECISIONS.name):
            if isinstance(event, AccountMarked) and event.run_id == self.run_id:
                last = event
        return last

    def arrivals(self) -> dict[ApprovedIntent, int]:
        """When each order reached the exchange (session ns), by the nameless intent.

        When its reply was read: the session's clock then, or the request's and the time the reply took; the
        exchange's own second of the first fill where that is later. Orders that were never sent have none.
        """
        reached: dict[str, int] = {}
        sent: dict[str, int] = {}
        for line in self._events(ORDERS.name):
            if not isinstance(line, OrderJournaled) or line.run_id != self.run_id:
                continue
            began = sent.setdefault(line.intent_id, line.event_at)
            if line.kind == REPLIED:
                reached.setdefault(line.intent_id, max(line.event_at, began + line.latency_ns))
        for fill in self.fills:
            if fill.intent_id in reached:
                reached[fill.intent_id] = max(reached[fill.intent_id], fill.filled_at)
        return {nameless(self.intents[name]): at for name, at in reached.items() if name in self.intents}

    def _events(self, topic: str) -> Iterator[AnyEvent]:
        for value in self.values(topic):
            try:
                yield decode(value)
            except UndecodableError:
                continue
