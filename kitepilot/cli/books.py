"""The four books of a day, brought to one shape so that they can be laid side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from kitepilot.events import Side
from kitepilot.orders.charges import ExecutedOrder, charges_for
from kitepilot.orders.positions import FLAT, Position, apply_fill


@dataclass(frozen=True)
class Fill:
    """One trade as a book has it. Price in paise."""

    order_id: str
    trade_id: str
    token: int
    side: Side
    quantity: int
    price_paise: int
    at: int = 0  # exchange time, ns UTC, where the book has it


@dataclass(frozen=True)
class Totals:
    """What must agree between books; None where a book does not keep that figure."""

    intents: int | None
    orders: int | None
    fills: int
    bought: int
    sold: int
    turnover_paise: int
    realised_paise: int
    charges_paise: int
    open_positions: int
    foreign_fills: int  # among `fills`: of orders that are not ours


@dataclass
class Book:
    """The account's orders by broker id (value: intent id, "" for one that is not ours), and its intraday
    fills by (order, trade). `by_broker`: orders the broker placed itself, and bills for."""

    name: str
    intents: int | None = None
    orders: dict[str, str] = field(default_factory=dict)
    fills: dict[tuple[str, str], Fill] = field(default_factory=dict)
    by_broker: set[str] = field(default_factory=set)

    def add(self, fill: Fill) -> None:
        self.fills[(fill.order_id, fill.trade_id)] = fill

    def positions(self) -> Mapping[int, Position]:
        """Positions by token, fills applied in exchange order."""
        held: dict[int, Position] = defaultdict(lambda: FLAT)
        for fill in in_order(self.fills.values()):
            held[fill.token] = apply_fill(held[fill.token], fill.side, fill.quantity, fill.price_paise)
        return held

    def totals(self, on: date) -> Totals:
        positions = self.positions().values()
        return Totals(
            intents=self.intents,
            orders=len(self.orders),
            fills=len(self.fills),
            bought=sum(p.bought_quantity for p in positions),
            sold=sum(p.sold_quantity for p in positions),
            turnover_paise=sum(p.bought_paise + p.sold_paise for p in positions),
            realised_paise=sum(p.realised_paise for p in positions),
            charges_paise=charges_for(executed(self.fills.values(), self.by_broker), on).total_paise,
            open_positions=sum(not p.flat for p in positions),
            foreign_fills=sum(not self.orders.get(fill.order_id) for fill in self.fills.values()),
        )


def in_order(fills: Iterable[Fill]) -> list[Fill]:
    """Exchange time, then order and trade id."""
    return sorted(fills, key=lambda f: (f.at, f.order_id, f.trade_id))


def executed(fills: Iterable[Fill], by_broker: Container[str] = ()) -> list[ExecutedOrder]:
    """All fills of an order together: brokerage is capped per order."""
    orders: dict[str, list[Fill]] = defaultdict(list)
    for fill in fills:
        orders[fill.order_id].append(fill)
    return [
        ExecutedOrder(
            side=group[0].side,
            quantity=sum(f.quantity for f in group),
            notional_paise=sum(f.quantity * f.price_paise for f in group),
            token=group[0].token,
            auto_square_off=group[0].order_id in by_broker,
        )
        for group in orders.values()
    ]


@dataclass(frozen=True)
class Difference:
    """The first place where two books part."""

    measure: str
    left: str
    right: str
    detail: str

    def __str__(self) -> str:
        return f"{self.measure}: {self.left} against {self.right}: {self.detail}"


def compare_fills(left: Book, right: Book) -> Difference | None:
    """The first fill that one book has and the other lacks or has otherwise."""
    for key in sorted(left.fills.keys() | right.fills.keys()):
        a, b = left.fills.get(key), right.fills.get(key)
        if a is None or b is None:
            missing = right.name if b is None else left.name
            return Difference("fill", left.name, right.name, f"{missing} lacks {a or b}")
        if (a.token, a.side, a.quantity, a.price_paise) != (b.token, b.side, b.quantity, b.price_paise):
            return Difference("fill", left.name, right.name, f"{a} is not {b}")
    return None


def compare_orders(left: Book, right: Book) -> Difference | None:
    """The first order that one book has and the other lacks, or links to another intent."""
    for order_id in sorted(left.orders.keys() | right.orders.keys()):
        a, b = left.orders.get(order_id), right.orders.get(order_id)
        if a != b:
            detail = f"order {order_id} belongs to intent {a} there and to {b} here"
            return Difference("order", left.name, right.name, detail)
    return None


def compare_totals(left: tuple[str, Totals], right: tuple[str, Totals]) -> Difference | None:
    """The first figure that both books keep and that differs."""
    for name in Totals.__dataclass_fields__:
        a, b = getattr(left[1], name), getattr(right[1], name)
        if a is not None and b is not None and a != b:
            return Difference(name, left[0], right[0], f"{a} is not {b}")
    return None
