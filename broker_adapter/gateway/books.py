"""The two sides of a reconciliation, and the ways to look things up in them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from kitepilot.events import OrderStatus, Side
from kitepilot.ports import OrderReport, PositionReport, TradeReport

INTRADAY = "MIS"
Key = tuple[str, str]  # (order id, trade id)


@dataclass(frozen=True)
class OurOrder:
    """One row of `orders` with its intent's instrument and side. `order_id` is "" before one is known."""

    tag: str
    order_id: str
    token: int
    side: Side
    quantity: int
    status: OrderStatus


@dataclass(frozen=True)
class BookedTrade:
    """A trade as the journal has it."""

    order_id: str
    trade_id: str
    token: int
    side: Side
    quantity: int
    price_paise: int

    @property
    def key(self) -> Key:
        return self.order_id, self.trade_id


@dataclass(frozen=True)
class JournalView:
    """The journal's side. `foreign_fills` are intraday; `earlier_tags`: of other runs, found in this book."""

    orders: tuple[OurOrder, ...] = ()
    fills: tuple[BookedTrade, ...] = ()
    foreign_orders: frozenset[str] = frozenset()
    foreign_fills: tuple[BookedTrade, ...] = ()
    earlier_tags: frozenset[str] = frozenset()


@dataclass(frozen=True)
class BrokerView:
    """The broker's side. `quiet`: its trades were the same before and after the rest was read."""

    orders: tuple[OrderReport, ...] = ()
    trades: tuple[TradeReport, ...] = ()
    positions: tuple[PositionReport, ...] = ()
    quiet: bool = True


@dataclass(frozen=True)
class Books:
    """Both sides, with the ways to look things up."""

    broker: BrokerView
    journal: JournalView

    @cached_property
    def by_tag(self) -> dict[str, OurOrder]:
        return {order.tag: order for order in self.journal.orders}

    @cached_property
    def by_id(self) -> dict[str, OurOrder]:
        return {order.order_id: order for order in self.journal.orders if order.order_id}

    @cached_property
    def pairs(self) -> list[tuple[OurOrder, OrderReport]]:
        """Our orders that the broker lists, with its row."""
        found = [
            (self.by_id.get(row.order_id) or self.by_tag.get(row.tag), row) for row in self.broker.orders
        ]
        return [(ours, row) for ours, row in found if ours is not None]

    @cached_property
    def strangers(self) -> list[OrderReport]:
        """The broker's orders that are not in the journal as ours."""
        ours = {row.order_id for _, row in self.pairs}
        return [row for row in self.broker.orders if row.order_id not in ours]

    @cached_property
    def listed(self) -> dict[Key, TradeReport]:
        """The broker's intraday trades."""
        return {(t.order_id, t.trade_id): t for t in self.broker.trades if t.product == INTRADAY}

    @cached_property
    def booked(self) -> dict[Key, BookedTrade]:
        return {trade.key: trade for trade in (*self.journal.fills, *self.journal.foreign_fills)}
