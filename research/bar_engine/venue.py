"""Approved intents -> what a broker would tell of them, when the exchange is a bar.

Sent orders wait for the next step of a minute and meet its bar there; what they leave of its volume is kept
for the orders after them. The gateway's own pure rules refuse and cut them as in a live session.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from broker_adapter.gateway.slicing import children, refusal
from kitepilot.events import (
    ApprovedIntent,
    Filled,
    ForeignFilled,
    ForeignOrderUpdated,
    OrderStatus,
    OrderUpdated,
    Side,
)
from research.bar_engine.plan import BarPlan
from research.fills.in_bar import arriving, resting

Told = OrderUpdated | Filled | ForeignOrderUpdated | ForeignFilled
GATEWAY = "gateway"
BROKER = "broker"


@dataclass(slots=True)
class Minute:
    """One minute's bars as lists over the instruments. `locked`: +1 where nobody sells, -1 where nobody buys;
    `taken`: shares of the bar that were ours already."""

    open: list[int]
    high: list[int]
    low: list[int]
    volume: list[int]
    tradable: list[bool]
    locked: list[int]
    taken: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class Sent:
    """An order on its way or waiting in the book; `filled` by child, in the order of the children."""

    intent: ApprovedIntent
    row: int
    sizes: tuple[int, ...]
    filled: list[int]

    @property
    def left(self) -> int:
        return sum(self.sizes) - sum(self.filled)


class BarVenue:
    """One session's exchange. `noted` counts what fills could not know or give."""

    def __init__(
        self,
        plan: BarPlan,
        run_id: str,
        rows: dict[int, int],
        ticks: list[int],
        noted: Counter[str],
    ) -> None:
        self._plan = plan
        self._model = plan.fills
        self._limits = plan.profile.limits
        self._run_id = run_id
        self._rows = rows
        self._ticks = ticks
        self._noted = noted
        self._seq = 0
        self._trades = 0
        self._arriving: list[Sent] = []
        self._book: list[Sent] = []

    def send(self, intent: ApprovedIntent) -> OrderUpdated | None:
        """Take an order; it meets the next step. Told at once only if the gateway refuses it."""
        refused = refusal(intent, self._limits, self._plan.broker)
        if refused is not None:
            self._noted["orders the gateway refuses"] += 1
            return self._update(intent, OrderStatus.REJECTED, "REJECTED", 0, intent.event_at)
        sizes = children(intent, self._plan.broker)
        self._arriving.append(Sent(intent, self._rows[intent.token], sizes, [0] * len(sizes)))
        return None

    @property
    def waiting(self) -> bool:
        return bool(self._arriving or self._book)

    def meet(self, minute: Minute, references: dict[int, int], at: int) -> list[Told]:
        """Orders on their way arrive: at the bar's open, or at `references[token]` where that is given."""
        told: list[Told] = []
        sent, self._arriving = self._arriving, []
        for order in sent:
            reference = references.get(order.intent.token, minute.open[order.row])
            self._arrive(order, minute, reference, at, told)
            if order.left and order.intent.validity != "IOC":
                self._book.append(order)
                continue
            told.append(self._ended(order, at))
        return told

    def rest(self, minute: Minute, at: int) -> list[Told]:
        """Limit orders that wait: what the whole bar brought them."""
        told: list[Told] = []
        for order in self._book:
            self._wait(order, minute, at, told)
            if not order.left:
                told.append(self._ended(order, at))
        self._book = [order for order in self._book if order.left]
        return told

    def square_off(self, minute: Minute, token: int, symbol: str, held: int, at: int) -> list[Told]:
        """The broker closes a position at the open, as far as the bar lets it."""
        row, side = self._rows[token], Side.SELL if held > 0 else Side.BUY
        price, shares = self._take(row, side.sign, abs(held), 0, minute, minute.open[row])
        if not shares:
            return []
        self._noted["positions the broker squares off, for its fee"] += 1
        order_id = f"{BROKER}-{token}"
        self._trades += 1
        common: dict[str, Any] = {"source": GATEWAY, "event_at": at, "run_id": self._run_id}
        common |= {"order_id": order_id, "token": token, "tradingsymbol": symbol, "side": side}
        common |= {"placed_by": BROKER, "by_broker": True}
        row_of_it = ForeignOrderUpdated(
            **common,
            seq=self._next(),
            product="MIS",
            quantity=abs(held),
            filled_quantity=shares,
            status=OrderStatus.FILLED,
            venue_status="COMPLETE",
        )
        fill = ForeignFilled(
            **common,
            seq=self._next(),
            trade_id=f"{self._trades}",
            quantity=shares,
            price_paise=price,
            filled_at=at,
        )
        return [row_of_it, fill]

    def _arrive(self, order: Sent, minute: Minute, reference: int, at: int, told: list[Told]) -> None:
        intent = order.intent
        for child, size in enumerate(order.sizes):
            price, shares = self._take(
                order.row, intent.side.sign, size, intent.limit_price_paise, minute, reference
            )
            if shares:
                told.append(self._fill(order, child, shares, price, at))

    def _wait(self, order: Sent, minute: Minute, at: int, told: list[Told]) -> None:
        model, row = self._model, order.row
        if not minute.tradable[row]:
            return
        for child, size in enumerate(order.sizes):
            price, shares = resting(
                order.intent.side.sign,
                size - order.filled[child],
                order.intent.limit_price_paise,
                minute.low[row],
                minute.high[row],
                minute.volume[row],
                minute.taken[row],
                model.participation_bps,
                model.queue_bps,
            )
            if shares:
                minute.taken[row] += shares
                told.append(self._fill(order, child, shares, price, at))

    def _take(
        self, row: int, sign: int, quantity: int, limit: int, minute: Minute, reference: int
    ) -> tuple[int, int]:
        """(price, shares) of one arriving order, its shares taken from the bar."""
        model, tick = self._model, self._ticks[row]
        if not minute.tradable[row]:
            self._noted["orders that met no traded bar fill nothing"] += 1
            return 0, 0
        low, high = minute.low[row], minute.high[row]
        if minute.locked[row] == sign:
            self._noted["orders at a locked circuit fill nothing"] += 1
            return 0, 0
        price, shares = arriving(
            sign,
            quantity,
            limit,
            reference,
            low,
            high,
            tick,
            minute.volume[row],
            minute.taken[row],
            model.half_spread_bps,
            model.impact_bps,
            model.participation_bps,
        )
        minute.taken[row] += shares
        return price, shares

    def _fill(self, order: Sent, child: int, shares: int, price: int, at: int) -> Filled:
        intent = order.intent
        order.filled[child] += shares
        self._trades += 1
        return Filled(
            source=GATEWAY,
            seq=self._next(),
            event_at=at,
            run_id=self._run_id,
            intent_id=intent.intent_id,
            order_id=f"{intent.intent_id}{child:02d}",
            trade_id=f"{self._trades}",
            token=intent.token,
            side=intent.side,
            quantity=shares,
            price_paise=price,
            filled_at=at,
        )

    def _ended(self, order: Sent, at: int) -> OrderUpdated:
        status, word = (
            (OrderStatus.CANCELLED, "CANCELLED") if order.left else (OrderStatus.FILLED, "COMPLETE")
        )
        return self._update(order.intent, status, word, sum(order.filled), at)

    def _update(
        self, intent: ApprovedIntent, status: OrderStatus, word: str, filled: int, at: int
    ) -> OrderUpdated:
        return OrderUpdated(
            source=GATEWAY,
            seq=self._next(),
            event_at=at,
            run_id=self._run_id,
            intent_id=intent.intent_id,
            order_id=f"{intent.intent_id}00",
            token=intent.token,
            status=status,
            venue_status=word,
            quantity=intent.quantity,
            filled_quantity=filled,
        )

    def _next(self) -> int:
        self._seq += 1
        return self._seq - 1
