"""What the gateway knows of each order of the run, and what to journal when it hears more. Pure.

An intent is sent as one child order or several, each with a file, a tag and a journal row of its own. What
`session` hears is the intent's: see `whole`.

Two truths are kept per order: `seen`, merged from everything the venue said, and `truth`, what has been
journaled and published. They differ only while the venue claims fills whose trades we have not read yet: an
order never becomes terminal for others before each of its fills was told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from kitepilot.events import ApprovedIntent, Filled, OrderJournaled, OrderStatus, OrderUpdated
from kitepilot.orders.intents import parse_tag, tag
from kitepilot.orders.order_machine import OrderEvent, OrderTruth, advance, hear
from kitepilot.ports import (
    Accepted,
    AuthLost,
    OrderReport,
    Outcome,
    Rejected,
    Throttled,
    TradeReport,
    Unknown,
)

OPENED = "submitting"  # the kind of an order's first line
SESSION_SOURCE = "gateway"
ORDERS_SOURCE = "gateway.orders"
ABSENT_AFTER_NS = 15_000_000_000  # session time: requests that timed out have been accepted seconds later
ABSENT_MACHINE_NS = (
    2_000_000_000  # and machine time, for a request still on its way when session time runs fast
)
ABSENT_LOOKS = 3


@dataclass
class OrderFile:
    """One order of ours: a child of its intent, beside its siblings. `filled_quantity`: trades journaled."""

    intent: ApprovedIntent
    tag: str
    truth: OrderTruth
    seen: OrderTruth
    order_id: str = ""
    outcome: str = ""
    message: str = ""
    filled_quantity: int = 0
    trade_ids: set[str] = field(default_factory=set)
    missing_since: int = 0  # session ns; since when it may be absent from the broker's book
    missing_steady: int = 0  # likewise, by the clock of the machine that is never stepped
    looks: int = 0
    siblings: list[OrderFile] = field(default_factory=list, repr=False, compare=False)  # itself included

    @property
    def slice(self) -> int:
        """Its number among the children of the intent, from 0."""
        found = parse_tag(self.tag)
        return found[1] if found else 0

    @property
    def hungry(self) -> bool:
        """The venue claims more fills than the trades we have."""
        return self.seen.filled_quantity > self.filled_quantity

    @property
    def live(self) -> bool:
        return self.hungry or not self.truth.status.terminal


@dataclass(frozen=True)
class Line:
    """One line of an order's life; numbered when it is written. `told` is what `session` hears of it."""

    journaled: OrderJournaled
    told: OrderUpdated | Filled | None


@dataclass(frozen=True)
class Change:
    """Everything one piece of news changes, for one transaction."""

    file: OrderFile
    lines: tuple[Line, ...]
    fills: tuple[TradeReport, ...] = ()
    sent_at: int = 0  # machine ns of the request and of its reply, where this is about one
    replied_at: int = 0
    # the row as of this change: `file` moves on before the journal gets to it
    status: OrderStatus = OrderStatus.SUBMITTING
    venue_status: str = ""
    order_id: str = ""
    filled_quantity: int = 0
    outcome: str = ""
    message: str = ""

    @property
    def opens(self) -> bool:
        """It begins the order: its row was journaled before, ahead of everything else."""
        return self.lines[0].journaled.kind == OPENED


class Desk:
    """The orders of one run. `now` is session time in ns UTC and comes with every call."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.intents: dict[str, list[OrderFile]] = {}
        self._by_tag: dict[str, OrderFile] = {}
        self._by_order_id: dict[str, OrderFile] = {}
        self._live: dict[str, OrderFile] = {}

    def live(self) -> list[OrderFile]:
        """Orders whose end is not known yet, oldest first."""
        return list(self._live.values())

    def of_order(self, order_id: str) -> OrderFile | None:
        """Our order with that id of the broker."""
        return self._by_order_id.get(order_id)

    def knows(self, report: OrderReport) -> bool:
        """Whether the report is about an order of ours."""
        return report.order_id in self._by_order_id or report.tag in self._by_tag

    def restore(self, file: OrderFile) -> None:
        """Put back an order read from the journal."""
        file.siblings = self.intents.setdefault(file.intent.intent_id, [])
        file.siblings.append(file)
        self._keep(file)

    def open(self, intent: ApprovedIntent, quantities: Sequence[int], now: int) -> tuple[Change, ...]:
        """A new order per quantity, to be journaled before any is sent; none if the intent is known."""
        if intent.intent_id in self.intents:
            return ()
        for number, quantity in enumerate(quantities):
            fresh = OrderTruth(quantity)
            self.restore(OrderFile(intent, tag(intent.intent_id, number), fresh, fresh))
        return tuple(self.opened(file, now) for file in self.intents[intent.intent_id])

    def opened(self, file: OrderFile, now: int) -> Change:
        """The first line of an order."""
        return _change(file, (_line(self.run_id, file, OPENED, now, told=False),))

    def settle(
        self,
        file: OrderFile,
        outcome: Outcome,
        now: int,
        wall: int,
        sent_at: int,
        *,
        steady: int,
        sent_event_at: int = 0,
    ) -> Change:
        """The request came back: accepted, refused for certain, or nobody knows. `steady`: see `missed`.

        `sent_event_at`: session time when it left; 0 where nothing left.
        """
        event, kind, detail = _meaning(outcome)
        if isinstance(outcome, Accepted):
            file.order_id = file.order_id or outcome.order_id
        before = file.truth
        file.truth = advance(file.truth, event)
        file.seen = advance(file.seen, event)
        file.outcome, file.message = kind, detail or file.message
        file.missing_since, file.missing_steady, file.looks = now, steady, 0
        self._keep(file)
        line = _line(self.run_id, file, kind, now, told=file.truth != before, detail=detail)
        left = {"submitted_at": sent_at, "submitted_event_at": sent_event_at} if sent_event_at else {}
        journaled = msgspec.structs.replace(line.journaled, latency_ns=wall - sent_at, **left)
        return _change(file, (replace(line, journaled=journaled),), sent_at=sent_at, replied_at=wall)

    def hear(self, report: OrderReport, now: int) -> tuple[OrderFile, Change | None] | None:
        """A row of the book or an order frame. None: not ours. No change: nothing new, or trades missing."""
        file = self._by_order_id.get(report.order_id) or self._by_tag.get(report.tag)
        if file is None:
            return None
        found = not file.order_id
        file.order_id = file.order_id or report.order_id
        file.looks, file.missing_since = 0, now
        was = file.seen
        file.seen = advance(was, hear(report.venue_status), report.filled_quantity, report.venue_status)
        if report.message:
            file.message = report.message
        self._keep(file)
        if file.hungry or (file.seen == was and not found):
            return file, None
        return file, self._publish(file, now, "update")

    def fill(self, file: OrderFile, trades: Iterable[TradeReport], now: int) -> Change | None:
        """The trades of one order as the broker lists them; those already journaled are skipped."""
        fresh = []
        lines = []
        for trade in sorted(trades, key=lambda t: (t.traded_at, t.trade_id)):
            if trade.order_id != file.order_id or trade.trade_id in file.trade_ids:
                continue
            file.trade_ids.add(trade.trade_id)
            file.filled_quantity += trade.quantity
            fresh.append(trade)
            lines.append(_fill_line(self.run_id, file, trade, now))
        complete = not file.hungry
        if not fresh and not complete:
            return None
        if complete:
            filled = max(file.seen.filled_quantity, file.filled_quantity)
            file.seen = advance(file.seen, OrderEvent.ACKNOWLEDGED, filled)
        if complete and (fresh or file.truth != file.seen):
            file.truth = file.seen
            lines.append(_line(self.run_id, file, "update", now, told=True, detail=file.seen.alarm))
        self._keep(file)
        return _change(file, tuple(lines), fills=tuple(fresh)) if lines else None

    def missed(self, file: OrderFile, now: int, steady: int) -> Change | None:
        """The whole book was read after the order could be in it, and it is not there.

        `steady` is machine time (ns) that is never stepped: the wall clock set forward would prove an order
        absent that is still on its way, set back it would leave one unknown for hours.
        """
        file.looks += 1
        waited_ns, machine_ns = now - file.missing_since, steady - file.missing_steady
        long_enough = waited_ns >= ABSENT_AFTER_NS or machine_ns >= ABSENT_AFTER_NS
        if file.looks < ABSENT_LOOKS or not long_enough or machine_ns < ABSENT_MACHINE_NS:
            return None
        if file.order_id and file.truth.status is OrderStatus.UNKNOWN:
            return None  # it had an id: only the broker can say what became of it
        file.truth = advance(file.truth, OrderEvent.ABSENT)
        file.seen = advance(file.seen, OrderEvent.ABSENT)
        file.message = f"absent from the broker's book after {file.looks} looks"
        self._keep(file)
        line = _line(self.run_id, file, "absent", now, told=True, detail=file.message)
        return _change(file, (line,))

    def _publish(self, file: OrderFile, now: int, kind: str) -> Change:
        file.truth = file.seen
        self._keep(file)
        detail = file.seen.alarm or file.message
        return _change(file, (_line(self.run_id, file, kind, now, told=True, detail=detail),))

    def _keep(self, file: OrderFile) -> None:
        self._by_tag[file.tag] = file
        if file.order_id:
            self._by_order_id[file.order_id] = file
        if file.live:
            self._live.setdefault(file.tag, file)
        else:
            self._live.pop(file.tag, None)


def whole(children: Sequence[OrderFile]) -> tuple[OrderStatus, int]:
    """What an intent has come to, from its children: status and shares filled.

    Unknown while any child is; terminal only when all are. Filled if all of it was, rejected if all of it
    was refused; any other end is a cancelled one, for the rest will not fill.
    """
    states = {child.truth.status for child in children}
    filled = sum(child.filled_quantity for child in children)
    if len(states) == 1:
        return states.pop(), filled
    if OrderStatus.UNKNOWN in states:
        return OrderStatus.UNKNOWN, filled
    if all(status.terminal for status in states):
        return OrderStatus.CANCELLED, filled
    return OrderStatus.WORKING if OrderStatus.WORKING in states else OrderStatus.ACCEPTED, filled


def _meaning(outcome: Outcome) -> tuple[OrderEvent, str, str]:
    match outcome:
        case Accepted():
            return OrderEvent.ACKNOWLEDGED, "accepted", ""
        case Rejected(code, message):
            return OrderEvent.REJECTED, "rejected", f"{code}: {message}"
        case Throttled(message):
            # No order exists; the risk fold tries an exit again at its next clock, an entry is let go.
            return OrderEvent.REJECTED, "throttled", message
        case AuthLost(message):
            return OrderEvent.REJECTED, "rejected", f"login needed: {message}"
        case Unknown(reason):
            return OrderEvent.LOST, "unknown", reason


def _change(
    file: OrderFile,
    lines: tuple[Line, ...],
    fills: tuple[TradeReport, ...] = (),
    sent_at: int = 0,
    replied_at: int = 0,
) -> Change:
    return Change(
        file=file,
        lines=lines,
        fills=fills,
        sent_at=sent_at,
        replied_at=replied_at,
        status=file.truth.status,
        venue_status=file.truth.venue_status,
        order_id=file.order_id,
        filled_quantity=file.filled_quantity,
        outcome=file.outcome,
        message=file.message,
    )


def _line(run_id: str, file: OrderFile, kind: str, now: int, *, told: bool, detail: str = "") -> Line:
    intent = file.intent
    journaled = OrderJournaled(
        source=ORDERS_SOURCE,
        seq=0,
        event_at=now,
        run_id=run_id,
        intent_id=intent.intent_id,
        order_id=file.order_id,
        token=intent.token,
        tradingsymbol=intent.tradingsymbol,
        side=intent.side,
        purpose=intent.purpose,
        strategy=intent.strategy,
        kind=kind,
        slice=file.slice,
        status=file.truth.status,
        quantity=file.truth.quantity,
        filled_quantity=file.filled_quantity,
        price_paise=intent.limit_price_paise,
        detail=detail,
    )
    return Line(journaled, _update(run_id, file, now, detail) if told else None)


def _update(run_id: str, file: OrderFile, now: int, detail: str) -> OrderUpdated:
    """The intent as it is now; the broker's id, its word and the message are the changed child's."""
    intent = file.intent
    status, filled = whole(file.siblings)
    several = len(file.siblings) > 1 and detail
    return OrderUpdated(
        source=SESSION_SOURCE,
        seq=0,
        event_at=now,
        run_id=run_id,
        intent_id=intent.intent_id,
        order_id=file.order_id,
        token=intent.token,
        status=status,
        venue_status=file.truth.venue_status,
        quantity=intent.quantity,
        filled_quantity=filled,
        message=f"slice {file.slice + 1} of {len(file.siblings)}: {detail}" if several else detail,
    )


def _fill_line(run_id: str, file: OrderFile, trade: TradeReport, now: int) -> Line:
    plain = _line(run_id, file, "fill", now, told=False).journaled
    journaled = msgspec.structs.replace(plain, price_paise=trade.price_paise, trade_id=trade.trade_id)
    filled = Filled(
        source=SESSION_SOURCE,
        seq=0,
        event_at=now,
        run_id=run_id,
        intent_id=file.intent.intent_id,
        order_id=trade.order_id,
        trade_id=trade.trade_id,
        token=file.intent.token,
        side=file.intent.side,
        quantity=trade.quantity,
        price_paise=trade.price_paise,
        filled_at=trade.traded_at,
    )
    return Line(journaled, filled)
