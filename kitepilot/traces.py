"""Events of a run -> spans from tick to fill, joined across processes by ids that are derived, not drawn.

    tick -> bar -> signal -> verdict -> intent -> order -> fill

A pure fold over the log, read beside trading and never in it. A trace is named after the signal that began it
(an exit of the desk's own: after its verdict), a span after what it is about: whoever reads the log again
makes the same spans. An event whose ancestor has not been read yet waits for it, for some readings.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from kitepilot import events as e

MOST_INTENTS = 50_000  # Kite takes 5,000 orders a day
MOST_BARS = 64
MOST_WAITING = 5_000
READINGS = 40  # then an event is told without its ancestor
Value = str | int | float | bool
Step = tuple[str, str]  # its name, and the id of what it is about
NOBODY: Step = ("", "")


@dataclass(frozen=True)
class Span:
    """One step. `process` did it; times are machine ns; `parent_id` 0: the trace begins here."""

    name: str
    process: str
    trace_id: int
    span_id: int
    parent_id: int
    start_ns: int
    end_ns: int
    attributes: dict[str, Value] = field(default_factory=dict)
    error: str = ""


def trace_id(run_id: str, root: str) -> int:
    """128 bits; `root` is a signal's or verdict's id."""
    return _derived(16, run_id, root)


def span_id(run_id: str, step: str, subject: str) -> int:
    """64 bits; `subject` is the id of what the step is about."""
    return _derived(8, run_id, step, subject)


def _derived(size: int, *parts: str) -> int:
    """Never 0, which names nothing."""
    return int.from_bytes(hashlib.blake2b("\x1f".join(parts).encode(), digest_size=size).digest()) or 1


@dataclass
class Tracer:
    """The fold's memory, all of it bounded. `hear` each event once, `settle` after each reading."""

    run_id: str
    roots: dict[str, str] = field(default_factory=dict)  # intent id -> root of its trace
    bars: dict[tuple[int, int], int] = field(default_factory=dict)  # (interval, close) -> on the log at
    waiting: deque[tuple[int, e.AnyEvent]] = field(default_factory=deque)  # with readings so far

    def learn(self, event: e.ApprovedIntent) -> None:
        """An intent of before this tracer began: its orders may still come."""
        self.roots[event.intent_id] = event.signal_id or event.verdict_id
        _bound(self.roots, MOST_INTENTS)

    def hear(self, event: e.AnyEvent) -> list[Span]:
        """The spans that are complete with this event."""
        match event:
            case e.BarsClosed(backfilled=False):
                self.bars[(event.interval_s, event.close_at)] = event.emitted_at
                _bound(self.bars, MOST_BARS)
            case e.ApprovedIntent():
                self.learn(event)
                return [self._intent(event)]
            case e.Verdict():
                return [self._verdict(event)]
            case e.SignalRaised() | e.OrderJournaled():
                if self._lacks(event):
                    self.waiting.append((0, event))
                    return self._told(self.waiting.popleft()[1]) if len(self.waiting) > MOST_WAITING else []
                return self._told(event)
        return []

    def settle(self) -> list[Span]:
        """Whoever waited and has found its ancestor, or has waited long enough."""
        spans: list[Span] = []
        for _ in range(len(self.waiting)):
            readings, event = self.waiting.popleft()
            if self._lacks(event) and readings < READINGS:
                self.waiting.append((readings + 1, event))
            else:
                spans += self._told(event)
        return spans

    def _lacks(self, event: e.AnyEvent) -> bool:
        if isinstance(event, e.SignalRaised):
            return (event.interval_s, event.bar_close_at) not in self.bars
        return isinstance(event, e.OrderJournaled) and event.intent_id not in self.roots

    def _told(self, event: e.AnyEvent) -> list[Span]:
        match event:
            case e.SignalRaised() if event.received_at:
                return list(self._signal(event))
            case e.OrderJournaled():
                return list(self._order(event))
        return []

    def _signal(self, event: e.SignalRaised) -> Iterable[Span]:
        """The tick that closed the bar, the bar, and the signal: none of the first two is told by itself."""
        root, end = event.signal_id, max(event.emitted_at, event.received_at)
        bar_at = self.bars.get((event.interval_s, event.bar_close_at), end)
        bar_at = min(max(bar_at, event.received_at), end)
        what: dict[str, Value] = {"tradingsymbol": event.tradingsymbol, "token": event.token}
        at = (event.received_at, event.received_at)
        yield self._step(("tick", root), root, "ingest", at, NOBODY, what)
        bar: dict[str, Value] = {"interval_s": event.interval_s, "close_at": event.bar_close_at}
        at = (event.received_at, bar_at)
        yield self._step(("bar", root), root, "market", at, ("tick", root), what | bar)
        side = event.side.value if event.side else "leave"
        said: dict[str, Value] = {"signal_id": root, "strategy": event.strategy, "side": side}
        yield self._step(("signal", root), root, "market", (bar_at, end), ("bar", root), what | said)

    def _verdict(self, event: e.Verdict) -> Span:
        root = event.signal_id or event.verdict_id
        attributes: dict[str, Value] = {
            "verdict_id": event.verdict_id,
            "tradingsymbol": event.tradingsymbol,
            "purpose": event.purpose.value,
            "approved": event.approved,
        }
        at = (event.emitted_at, event.emitted_at)
        parent = ("signal", root) if event.signal_id else NOBODY
        return self._step(
            ("verdict", event.verdict_id), root, "decisions", at, parent, attributes, event.denial
        )

    def _intent(self, event: e.ApprovedIntent) -> Span:
        """A moment: on the log. `since_signal_ns` is what the decisions took; an own exit has no signal."""
        root = self.roots[event.intent_id]
        attributes: dict[str, Value] = {
            "intent_id": event.intent_id,
            "tradingsymbol": event.tradingsymbol,
            "purpose": event.purpose.value,
            "side": event.side.value,
            "quantity": event.quantity,
        }
        if event.signal_emitted_at:
            attributes["since_signal_ns"] = event.emitted_at - event.signal_emitted_at
        at = (event.emitted_at, event.emitted_at)
        parent = ("verdict", event.verdict_id)
        return self._step(("intent", event.intent_id), root, "decisions", at, parent, attributes)

    def _order(self, event: e.OrderJournaled) -> Iterable[Span]:
        """A request with its reply, or a fill; the other lines are of neither."""
        root = self.roots.get(event.intent_id, event.intent_id)
        child = f"{event.intent_id}{event.slice:02d}"
        attributes: dict[str, Value] = {
            "intent_id": event.intent_id,
            "order_id": event.order_id,
            "tradingsymbol": event.tradingsymbol,
            "side": event.side.value,
            "quantity": event.quantity,
            "outcome": event.kind,
        }
        if event.kind == "fill":
            at, parent = (event.emitted_at, event.emitted_at), ("order", child)
            price: dict[str, Value] = {"trade_id": event.trade_id, "price_paise": event.price_paise}
            subject = f"{child} {event.trade_id}"
            yield self._step(("fill", subject), root, "gateway", at, parent, attributes | price)
        elif event.submitted_at:
            at = (event.submitted_at, event.submitted_at + event.latency_ns)
            failed = event.kind if event.kind != "accepted" else ""
            parent = ("intent", event.intent_id)
            yield self._step(("order", child), root, "gateway", at, parent, attributes, failed)

    def _step(
        self,
        step: Step,
        root: str,
        process: str,
        at: tuple[int, int],
        parent: Step,
        attributes: dict[str, Value],
        error: str = "",
    ) -> Span:
        begin, end = at
        return Span(
            name=step[0],
            process=process,
            trace_id=trace_id(self.run_id, root),
            span_id=span_id(self.run_id, *step),
            parent_id=0 if parent == NOBODY else span_id(self.run_id, *parent),
            start_ns=begin,
            end_ns=max(begin, end),
            attributes=attributes,
            error=error,
        )


K = TypeVar("K")
V = TypeVar("V")


def _bound(held: dict[K, V], most: int) -> None:
    """The oldest goes first."""
    while len(held) > most:
        del held[next(iter(held))]
