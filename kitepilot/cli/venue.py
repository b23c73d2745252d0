"""The venue's side of a day's proof: on paper the sandbox's own book, live what Kite lists of the account."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from broker_adapter.kite import parse
from broker_adapter.kite.parse import RowError
from broker_adapter.kite.reading import BrokerReadError
from kitepilot.cli.books import Book, Fill
from kitepilot.cli.feed import COUNTS_FILE
from kitepilot.cli.opening import Exchange
from kitepilot.events import Side
from kitepilot.orders.intents import parse_tag
from kitepilot.ports import Broker, OrderReport, PositionReport, TradeReport
from kitepilot.run import Run

INTRADAY = "MIS"
TRADE_READS = 3  # at most, to find two that are equal
EarlierTags = Callable[[list[str]], Collection[str]]  # which of these tags another run has journaled


class VenueUnreadableError(RuntimeError):
    """The venue's books cannot be had now; says which and why."""


@dataclass(frozen=True)
class VenueBooks:
    """Orders and intraday trades as the venue lists them, and its own intraday positions by token.

    `quiet`: no trade came while the rest was read, so positions and trades are of one moment.
    """

    book: Book
    positions: Mapping[int, int] = field(default_factory=dict)
    quiet: bool = True


@dataclass(frozen=True)
class Market:
    """What was traded on. `ticks`: sent by the sandbox, or received from the broker."""

    feed: str
    depth: str
    ticks: int


class Venue(Protocol):
    """Where a day was traded, as its conclusion asks of it."""

    @property
    def name(self) -> str:
        """What the venue's column is called."""
        ...

    def books(self) -> VenueBooks:
        """Raises `VenueUnreadableError` when they cannot be had."""
        ...

    def market(self) -> Market: ...


class SandboxVenue:
    """The local exchange, through its admin port. That does not answer: `SupervisionError`, as anywhere."""

    name = "exchange"

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def books(self) -> VenueBooks:
        rows = self._exchange.get("/admin/book")
        return VenueBooks(exchange_book(rows), net(parse.positions({"net": rows["positions"]})))

    def market(self) -> Market:
        state = self._exchange.get("/admin/state")
        return Market(str(state["feed"]), str(state["depth"]), int(state["ticks_sent"]))


class BrokerVenue:
    """The broker's order, trade and position books, through the same client that traded."""

    name = "broker"

    def __init__(self, run: Run, broker: Broker, earlier_tags: EarlierTags) -> None:
        self._run = run
        self._broker = broker
        self._earlier_tags = earlier_tags

    def books(self) -> VenueBooks:
        try:
            orders, trades, positions, quiet = _still(self._broker)
        except (BrokerReadError, RowError) as err:
            raise VenueUnreadableError(str(err)) from err
        earlier = self._earlier_tags([row.tag for row in orders if parse_tag(row.tag)])
        return VenueBooks(broker_book(orders, trades, earlier), net(positions), quiet)

    def market(self) -> Market:
        try:
            counts = json.loads((self._run.folder / COUNTS_FILE).read_bytes())
        except (OSError, ValueError):
            counts = {}
        return Market(f"live, {self._run.config.broker.rest_url}", "live", int(counts.get("ticks", 0)))


def _still(
    broker: Broker,
) -> tuple[list[OrderReport], list[TradeReport], list[PositionReport], bool]:
    """Trades, positions, orders, trades again: equal trades frame a still picture."""
    before = broker.trades()
    for _ in range(TRADE_READS):
        positions, orders, after = broker.positions(), broker.orders(), broker.trades()
        quiet = _keys(before) == _keys(after)
        if quiet:
            break
        before = after
    return orders, after, positions, quiet


def _keys(trades: Iterable[TradeReport]) -> set[tuple[str, str]]:
    return {(trade.order_id, trade.trade_id) for trade in trades}


def net(positions: Iterable[PositionReport]) -> dict[int, int]:
    """Net quantity by token, signed."""
    return {row.token: row.quantity for row in positions}


def broker_book(
    orders: Iterable[OrderReport], trades: Iterable[TradeReport], earlier: Collection[str]
) -> Book:
    """The account's book of the day. Orders without a tag of ours keep an empty intent, and so do those of
    another run of the day (`earlier`: their tags), which this run has adopted; other products stay out."""
    book = Book("broker")
    for order in orders:
        ours = None if order.tag in earlier else parse_tag(order.tag)
        book.orders[order.order_id] = ours[0] if ours else ""
        if order.by_broker:
            book.by_broker.add(order.order_id)
    for trade in trades:
        if trade.product == INTRADAY:
            book.add(
                Fill(
                    trade.order_id,
                    trade.trade_id,
                    trade.token,
                    trade.side,
                    trade.quantity,
                    trade.price_paise,
                    trade.traded_at,
                )
            )
    return book


def exchange_book(rows: Mapping[str, Any]) -> Book:
    """The sandbox's own book. Orders whose tag is not ours keep an empty intent; other products stay out."""
    book = Book("exchange")
    for order in rows["orders"]:
        ours = parse_tag(order["tag"] or "")
        book.orders[order["order_id"]] = ours[0] if ours else ""
        if order["placed_by"] != order["account_id"]:
            book.by_broker.add(order["order_id"])
    for trade in rows["trades"]:
        if trade["product"] != INTRADAY:
            continue
        book.add(
            Fill(
                order_id=trade["order_id"],
                trade_id=trade["trade_id"],
                token=int(trade["instrument_token"]),
                side=Side(trade["transaction_type"]),
                quantity=int(trade["quantity"]),
                price_paise=int(trade["price_paise"]),
                at=int(trade["traded_at_ns"]),
            )
        )
    return book
