"""The account's day in one place: orders with their histories, trades, and what they add up to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from broker_adapter.sandbox.matching import Execution
from broker_adapter.sandbox.orders import (
    CANCELLED,
    COMPLETE,
    IN_TRANSIT,
    OPEN,
    RECEIVED,
    REJECTED,
    Order,
    OrderRequest,
    Trade,
)


@dataclass(slots=True)
class Tally:
    """Day totals of one instrument. Values in paise."""

    buy_quantity: int = 0
    buy_paise: int = 0
    sell_quantity: int = 0
    sell_paise: int = 0

    @property
    def quantity(self) -> int:
        return self.buy_quantity - self.sell_quantity

    def pnl_paise(self, last_paise: int) -> int:
        """Realised and unrealised together: sell value - buy value + quantity x last price."""
        return self.sell_paise - self.buy_paise + self.quantity * last_paise


class Book:
    """Orders by id in order of placement. Ids depend only on the seed, the day and the count so far."""

    def __init__(self, day: date, seed: int) -> None:
        digest = hashlib.blake2b(f"{seed}:{day}".encode(), digest_size=4).digest()
        self._prefix = f"1{day:%y%m%d}{int.from_bytes(digest) % 10_000:04d}"
        self._day = f"{day:%d%m}"
        self.orders: dict[str, Order] = {}
        self.histories: dict[str, list[Order]] = {}
        self.trades: list[Trade] = []
        self.tallies: dict[int, Tally] = {}
        self._trades_of: dict[str, list[Trade]] = {}
        self._live: dict[str, None] = {}
        self._issued = 0

    def issue_id(self) -> str:
        """A new order id: 19 digits, growing."""
        self._issued += 1
        return f"{self._prefix}{self._issued:08d}"

    def open(self, order_id: str, request: OrderRequest, at: int) -> Order:
        """A new order as the order system first shows it."""
        order = Order(
            order_id=order_id,
            request=request,
            status=RECEIVED,
            order_type=request.order_type,
            price_paise=request.price_paise,
            trigger_paise=request.trigger_paise,
            quantity=request.quantity,
            validity=request.validity,
            disclosed_quantity=request.disclosed_quantity,
            protection_bps=request.protection_bps,
            placed_at=at,
            updated_at=at,
        )
        return self.record(order)

    def record(self, order: Order) -> Order:
        """The order is now as given; the state before stays in its history."""
        self.orders[order.order_id] = order
        self.histories.setdefault(order.order_id, []).append(order)
        if order.terminal:
            self._live.pop(order.order_id, None)
        else:
            self._live[order.order_id] = None
        return order

    def move(self, order: Order, status: str, at: int, message: str = "") -> Order:
        """The order takes another status."""
        cancelled = order.quantity - order.filled_quantity if status == CANCELLED else 0
        return self.record(
            replace(
                order,
                status=status,
                updated_at=at,
                cancelled_quantity=cancelled,
                message=message if message or status == REJECTED else order.message,
            )
        )

    def accept(self, order: Order, at: int) -> Order:
        """The exchange has it: an exchange order id, nothing traded yet. Not a state of its own."""
        number = int(order.order_id[-8:])
        return replace(order, exchange_order_id=f"11{self._day}00{number:08d}", accepted_at=at, updated_at=at)

    def fill(self, order: Order, executions: Iterable[Execution], at: int) -> Order:
        """One trade per execution; the order is OPEN with less pending, or COMPLETE."""
        tally = self.tallies.setdefault(order.request.token, Tally())
        for execution in executions:
            trade = Trade(
                trade_id=f"{10_000_001 + len(self.trades)}",
                order_id=order.order_id,
                exchange_order_id=order.exchange_order_id,
                token=order.request.token,
                tradingsymbol=order.request.tradingsymbol,
                buy=order.request.buy,
                quantity=execution.quantity,
                price_paise=execution.price_paise,
                traded_at=at,
                placed_at=order.placed_at,
            )
            self.trades.append(trade)
            self._trades_of.setdefault(order.order_id, []).append(trade)
            value = execution.quantity * execution.price_paise
            if trade.buy:
                tally.buy_quantity += execution.quantity
                tally.buy_paise += value
            else:
                tally.sell_quantity += execution.quantity
                tally.sell_paise += value
            order = replace(
                order,
                filled_quantity=order.filled_quantity + execution.quantity,
                traded_paise=order.traded_paise + value,
            )
        status = order.status if order.status in IN_TRANSIT else OPEN
        if order.filled_quantity == order.quantity:
            status = COMPLETE
        return self.record(replace(order, status=status, updated_at=at))

    def trades_of(self, order_id: str) -> list[Trade]:
        return self._trades_of.get(order_id, [])

    def live(self) -> list[Order]:
        """Orders that are not terminal, oldest first."""
        return [self.orders[order_id] for order_id in self._live]

    def quantity(self, token: int) -> int:
        """Net position of an instrument, negative when short."""
        tally = self.tallies.get(token)
        return tally.quantity if tally else 0
