"""An order's, intent's, verdict's or signal's id -> its story, gathered from a run's topics.

    ticks -> bar -> features, scores -> signal -> checks -> intent -> requests and replies -> fills -> P&L

What is not there is listed in `missing`; the rest of the story is told all the same.
"""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import Protocol, TypeVar

from msgspec.structs import replace

from kitepilot.events import (
    AnyEvent,
    ApprovedIntent,
    BarsClosed,
    OrderJournaled,
    SignalRaised,
    UndecodableError,
    Verdict,
    decode,
)
from kitepilot.market.ticks import records
from kitepilot.orders.charges import ExecutedOrder, charges_for
from kitepilot.orders.intents import parse_tag
from kitepilot.orders.positions import FLAT, Position, apply_fill
from kitepilot.ports import LogRecord
from kitepilot.topics import BARS, DECISIONS, INTENTS, ORDERS, SESSION, TICKS

LAST_TICKS = 6
RECEIVED_BYTES = 8  # a tick record begins with its receive time, see `kitepilot.market.ticks`
TICK_MESSAGES_BACK = (20, 200, 2_000)  # looked at until there are enough ticks of the instrument in them
LOOK_AT_MOST = 200_000  # records read for one message of a topic that has no index for it
SUGGESTED = 5

E = TypeVar("E", bound=AnyEvent)


class Shelf(Protocol):
    """One run's records. `where`: what they are read from, in words."""

    @property
    def run_id(self) -> str: ...

    @property
    def where(self) -> str: ...

    def records(self, topic: str, since_ns: int = 0, back: int = 0) -> Iterator[LogRecord]:
        """Records appended from about `since_ns` (machine clock) on; with `back`, so many before it."""
        ...


class UnknownIdError(ValueError):
    """No run has it; says which ids are near, and the last orders."""


@dataclass(frozen=True)
class Tick:
    """One packet before the decision. Times in ns UTC, prices in paise."""

    received_at: int
    exchange_at: int
    last_paise: int
    bid_paise: int
    ask_paise: int
    volume: int


@dataclass(frozen=True)
class Bar:
    """The bar whose close spoke; prices in paise."""

    interval_s: int
    close_at: int
    open_paise: int
    high_paise: int
    low_paise: int
    close_paise: int
    volume: int
    tick_count: int


@dataclass(frozen=True)
class TripResult:
    """The round trip that the order is a part of. Paise; `quantity` is what is still held."""

    orders: tuple[str, ...]
    before: Position
    after: Position
    quantity: int
    gross_paise: int
    charges_paise: int

    @property
    def net_paise(self) -> int:
        return self.gross_paise - self.charges_paise


@dataclass
class Story:
    """Everything found about one decision."""

    asked: str
    run_id: str
    where: str
    ticks: tuple[Tick, ...] = ()
    bar: Bar | None = None
    signal: SignalRaised | None = None
    verdict: Verdict | None = None
    intent: ApprovedIntent | None = None
    lines: tuple[OrderJournaled, ...] = ()
    trip: TripResult | None = None
    missing: list[str] = field(default_factory=list)


def tell(asked: str, shelf: Shelf, on: date) -> Story | None:
    """The story behind an id; None when this run does not have it.

    `asked`: the broker's order id, an intent id, a tag, a verdict id or a signal id.
    """
    intent = _intent_of(asked, shelf)
    carried = intent.verdict_id if intent else asked
    said_at = intent.emitted_at if intent else 0
    verdict = _find(shelf, DECISIONS.name, Verdict, carried, _about(asked, intent), said_at)
    signal_id = intent.signal_id if intent else verdict.signal_id if verdict else asked
    signal = None
    if signal_id and (intent or verdict or len(asked) == len(signal_id)):
        said_at = intent.signal_emitted_at if intent else verdict.emitted_at if verdict else 0
        signal = _find(
            shelf, SESSION.name, SignalRaised, signal_id, lambda s: s.signal_id == signal_id, said_at
        )
    if intent is None and verdict is None and signal is None:
        return None
    story = Story(asked, shelf.run_id, shelf.where, signal=signal, verdict=verdict, intent=intent)
    _add_market(story, shelf)
    if intent is not None:
        journal = list(_events(shelf, ORDERS.name, OrderJournaled, intent.tradingsymbol))
        story.lines = tuple(line for line in journal if line.intent_id == intent.intent_id)
        story.trip = trip_of(intent.intent_id, journal, on)
    _note_missing(story)
    return story


def orders_of(shelf: Shelf) -> list[OrderJournaled]:
    """The first line with a broker's id of each order, oldest first."""
    found: dict[str, OrderJournaled] = {}
    for line in _events(shelf, ORDERS.name, OrderJournaled):
        if line.order_id:
            found.setdefault(line.order_id, line)
    return list(found.values())


def unknown(asked: str, orders: list[OrderJournaled], runs: list[str]) -> UnknownIdError:
    """What to say of an id that nobody knows."""
    ids = [name for line in orders for name in (line.order_id, line.intent_id)]
    near = difflib.get_close_matches(asked, ids, n=3, cutoff=0.7)
    last = ", ".join(f"{line.order_id} ({line.side} {line.tradingsymbol})" for line in orders[-SUGGESTED:])
    hint = f"did you mean {', '.join(near)}? " if near else ""
    return UnknownIdError(
        f"no order, intent, tag, verdict or signal {asked!r} in {', '.join(runs) or 'any run'}; {hint}"
        f"the last orders: {last or 'none'}"
    )


def trip_of(intent_id: str, journal: list[OrderJournaled], on: date) -> TripResult | None:
    """The round trip (flat to flat) in which the intent traded; None when it never did."""
    mine = next((line for line in journal if line.intent_id == intent_id and line.kind == "fill"), None)
    if mine is None:
        return None
    held, before, after = FLAT, FLAT, FLAT
    trip: list[OrderJournaled] = []
    found = False
    for line in _fills_of(journal, mine.token):
        ours = line.intent_id == intent_id
        before = held if ours and not found else before
        held = apply_fill(held, line.side, line.quantity, line.price_paise)
        trip.append(line)
        found = found or ours
        after = held if ours else after
        if held.flat:
            if found:
                break
            held, trip = FLAT, []
    return TripResult(
        tuple(dict.fromkeys(line.order_id for line in trip)),
        before,
        after,
        held.quantity,
        held.realised_paise,
        charges_for(_executed(trip), on).total_paise,
    )


def _fills_of(journal: list[OrderJournaled], token: int) -> Iterator[OrderJournaled]:
    """Each trade on the instrument once, with its own quantity: a line has its order's until then."""
    seen: set[tuple[str, str]] = set()
    filled: dict[str, int] = {}
    for line in journal:
        if line.kind != "fill" or line.token != token or (line.order_id, line.trade_id) in seen:
            continue
        seen.add((line.order_id, line.trade_id))
        quantity = line.filled_quantity - filled.get(line.order_id, 0)
        filled[line.order_id] = line.filled_quantity
        yield replace(line, quantity=quantity)


def _executed(trip: list[OrderJournaled]) -> Iterator[ExecutedOrder]:
    for order_id in dict.fromkeys(line.order_id for line in trip):
        fills = [line for line in trip if line.order_id == order_id]
        quantity = sum(line.quantity for line in fills)
        yield ExecutedOrder(fills[0].side, quantity, sum(line.quantity * line.price_paise for line in fills))


def _intent_of(asked: str, shelf: Shelf) -> ApprovedIntent | None:
    """By its own id, its tag, its verdict or signal, or through the journal by the broker's order id."""
    tagged = parse_tag(asked)
    name = tagged[0] if tagged else asked
    for record in shelf.records(ORDERS.name) if asked.isdigit() else ():
        if asked.encode() in record.value and isinstance(line := _decoded(record.value), OrderJournaled):
            name = line.intent_id
            break
    for record in shelf.records(INTENTS.name):
        intent = _decoded(record.value) if name.encode() in record.value else None
        if isinstance(intent, ApprovedIntent) and name in _names(intent):
            return intent
    return None


def _names(intent: ApprovedIntent) -> tuple[str, str, str]:
    return intent.intent_id, intent.verdict_id, intent.signal_id


def _about(asked: str, intent: ApprovedIntent | None) -> Callable[[Verdict], bool]:
    """An intent's own verdict; else one that carries the id itself, as a refusal does."""
    if intent is not None:
        return lambda verdict: verdict.verdict_id == intent.verdict_id
    return lambda verdict: asked in (verdict.verdict_id, verdict.signal_id)


def _find(
    shelf: Shelf, topic: str, kind: type[E], text: str, wanted: Callable[[E], bool], since_ns: int
) -> E | None:
    """The first message with `text` that is wanted, from about an instant on, else from the run's start."""
    for start in (since_ns, 0) if since_ns else (0,):
        for record in islice(shelf.records(topic, start), LOOK_AT_MOST):
            if text.encode() not in record.value:  # cheaper than to decode it
                continue
            event = _decoded(record.value)
            if isinstance(event, kind) and wanted(event):
                return event
    return None


def _events(shelf: Shelf, topic: str, kind: type[E], text: str = "") -> Iterator[E]:
    """All of a kind, or those with `text` in them."""
    for record in shelf.records(topic):
        event = _decoded(record.value) if text.encode() in record.value else None
        if isinstance(event, kind):
            yield event


def _decoded(value: bytes) -> AnyEvent | None:
    try:
        return decode(value)
    except UndecodableError:
        return None


def _add_market(story: Story, shelf: Shelf) -> None:
    """The bar that spoke and the ticks before it; for our own exits the ticks before the decision."""
    signal, intent = story.signal, story.intent
    decided = story.verdict or intent
    token = signal.token if signal else decided.token if decided else 0
    known_at = signal.received_at if signal else decided.emitted_at if decided else 0
    if signal is not None:
        story.bar = _bar_of(signal, shelf)
    story.ticks = _ticks_before(token, known_at, shelf)


def _bar_of(signal: SignalRaised, shelf: Shelf) -> Bar | None:
    for record in islice(shelf.records(BARS.name, signal.received_at), LOOK_AT_MOST):
        bars = _decoded(record.value)
        if not isinstance(bars, BarsClosed) or bars.backfilled or bars.close_at > signal.bar_close_at:
            continue
        if (bars.interval_s, bars.close_at) == (signal.interval_s, signal.bar_close_at):
            if signal.token not in bars.tokens:
                return None  # no trade in it
            row = bars.tokens.index(signal.token)
            return Bar(
                interval_s=bars.interval_s,
                close_at=bars.close_at,
                open_paise=bars.open_paise[row],
                high_paise=bars.high_paise[row],
                low_paise=bars.low_paise[row],
                close_paise=bars.close_paise[row],
                volume=bars.volume[row],
                tick_count=bars.tick_count[row],
            )
    return None


def _ticks_before(token: int, at: int, shelf: Shelf) -> tuple[Tick, ...]:
    """The last packets of an instrument that had been received by `at` (machine clock)."""
    found: deque[Tick] = deque(maxlen=LAST_TICKS)
    for back in TICK_MESSAGES_BACK:
        found.clear()
        for record in shelf.records(TICKS.name, at, back=back):
            if int.from_bytes(record.value[:RECEIVED_BYTES]) > at:
                break  # the first record of the message came later
            found.extend(_ticks_in(record.value, token, at))
        if len(found) == LAST_TICKS:
            break  # what lies further back came before these
    return tuple(found)


def _ticks_in(message: bytes, token: int, at: int) -> Iterator[Tick]:
    if token.to_bytes(4) not in message:  # cheaper than to look at its columns
        return
    try:
        batch = records(message)
    except ValueError:
        return
    for row in batch[(batch["packet"]["token"] == token) & (batch["received_at"] <= at)]:
        packet = row["packet"]
        yield Tick(
            int(row["received_at"]),
            int(packet["exchange_time"]) * 1_000_000_000,
            int(packet["last_price"]),
            int(packet["bids"][0]["price"]),
            int(packet["asks"][0]["price"]),
            int(packet["volume"]),
        )


def _note_missing(story: Story) -> None:
    signal, intent, verdict = story.signal, story.intent, story.verdict
    if not story.ticks:
        story.missing.append("ticks: the record holds none of this instrument before the decision")
    if signal is not None and story.bar is None:
        story.missing.append("bar: the topic bars does not hold it, or nothing traded in it")
    if signal is None and ((intent and intent.signal_id) or (verdict and verdict.signal_id)):
        story.missing.append("signal: not on the topic session any more")
    if verdict is None:
        story.missing.append("checks: no verdict about it on the topic decisions")
    if intent is not None and not story.lines:
        story.missing.append("requests: the gateway journaled nothing about it; it was never sent")
