"""Rows of the broker's book that are not ours -> what to journal and tell of them. Pure.

An order without a tag of this run was placed by hand, by another program or by the broker. It is adopted:
followed and shown, and never cancelled or changed. Reports merge as those of our own orders do, so that late
and repeated ones change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from kitepilot.events import Alarmed, ForeignFilled, ForeignOrderUpdated, OrderStatus
from kitepilot.orders.intents import parse_watchdog_tag
from kitepilot.orders.order_machine import OrderTruth, advance, hear
from kitepilot.ports import OrderReport, TradeReport
from kitepilot.risk.foreign import WATCHDOG

SOURCE = "gateway.findings"
INTRADAY = "MIS"

Finding = ForeignOrderUpdated | ForeignFilled | Alarmed


@dataclass
class ForeignFile:
    """One foreign order. `filled_quantity` is the sum of its trades that were told."""

    report: OrderReport
    truth: OrderTruth
    filled_quantity: int = 0
    trade_ids: set[str] = field(default_factory=set)

    @property
    def hungry(self) -> bool:
        """An intraday order that claims more fills than the trades we have."""
        return self.report.product == INTRADAY and self.truth.filled_quantity > self.filled_quantity


class ForeignDesk:
    """The account's other orders. `now` is session time in ns UTC."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._files: dict[str, ForeignFile] = {}

    def restore(self, told: ForeignOrderUpdated, trades: Iterable[tuple[str, int]]) -> None:
        """Put back an order that an earlier gateway told of, with its trades as (id, quantity)."""
        listed = list(trades)
        truth = OrderTruth(told.quantity, told.status, told.filled_quantity, told.venue_status)
        filled = sum(quantity for _, quantity in listed)
        names = {trade_id for trade_id, _ in listed}
        self._files[told.order_id] = ForeignFile(_report(told), truth, filled, names)

    def hungry(self) -> list[str]:
        """Broker's ids of orders whose trades are wanted."""
        return [order_id for order_id, file in self._files.items() if file.hungry]

    def hear(self, report: OrderReport, now: int) -> list[Finding]:
        """A row of the book or a frame; an alarm at first sight, nothing when nothing is new."""
        known = self._files.get(report.order_id)
        before = known.truth if known else OrderTruth(report.quantity)
        event = hear(report.venue_status)
        truth = advance(before, event, report.filled_quantity, report.venue_status)
        if known is None:
            if parse_watchdog_tag(report.tag):
                report = replace(report, placed_by=WATCHDOG)
            known = self._files[report.order_id] = ForeignFile(report, truth)
            return [self._update(known, now), self._alarm(report, now)]
        known.truth = truth
        return [self._update(known, now)] if truth != before else []

    def fill(self, trades: Iterable[TradeReport], now: int) -> list[Finding]:
        """The intraday trades among these that belong to foreign orders and were not told before."""
        told: list[Finding] = []
        for trade in sorted(trades, key=lambda t: (t.traded_at, t.order_id, t.trade_id)):
            file = self._files.get(trade.order_id)
            if file is None or trade.product != INTRADAY or trade.trade_id in file.trade_ids:
                continue
            file.trade_ids.add(trade.trade_id)
            file.filled_quantity += trade.quantity
            told.append(self._filled(file, trade, now))
        return told

    def _update(self, file: ForeignFile, now: int) -> ForeignOrderUpdated:
        row, truth = file.report, file.truth
        return ForeignOrderUpdated(
            source=SOURCE,
            seq=0,
            event_at=now,
            run_id=self._run_id,
            order_id=row.order_id,
            token=row.token,
            tradingsymbol=row.tradingsymbol,
            side=row.side,
            product=row.product,
            quantity=row.quantity,
            filled_quantity=truth.filled_quantity,
            status=truth.status,
            venue_status=truth.venue_status,
            placed_by=row.placed_by,
            by_broker=row.by_broker,
        )

    def _filled(self, file: ForeignFile, trade: TradeReport, now: int) -> ForeignFilled:
        return ForeignFilled(
            source=SOURCE,
            seq=0,
            event_at=now,
            run_id=self._run_id,
            order_id=trade.order_id,
            trade_id=trade.trade_id,
            token=trade.token,
            tradingsymbol=trade.tradingsymbol,
            side=trade.side,
            quantity=trade.quantity,
            price_paise=trade.price_paise,
            filled_at=trade.traded_at,
            placed_by=file.report.placed_by,
            by_broker=file.report.by_broker,
        )

    def _alarm(self, row: OrderReport, now: int) -> Alarmed:
        """The broker or the watchdog closing positions means that something came too late: it halts."""
        watchdog = row.placed_by == WATCHDOG
        who = f"the broker ({row.placed_by})" if row.by_broker else row.placed_by or "somebody"
        return Alarmed(
            source=SOURCE,
            seq=0,
            event_at=now,
            run_id=self._run_id,
            kind="broker_order" if row.by_broker else "watchdog_order" if watchdog else "foreign_order",
            subject=row.order_id,
            detail=f"{row.side} {row.quantity} {row.tradingsymbol} {row.product} by {who}, not by the desk",
            halts=row.by_broker or watchdog,
        )


def _report(told: ForeignOrderUpdated) -> OrderReport:
    return OrderReport(
        order_id=told.order_id,
        tag="",
        tradingsymbol=told.tradingsymbol,
        token=told.token,
        side=told.side,
        quantity=told.quantity,
        filled_quantity=told.filled_quantity,
        average_price_paise=0,
        status=OrderStatus(told.status),
        venue_status=told.venue_status,
        message="",
        updated_at=told.event_at,
        product=told.product,
        placed_by=told.placed_by,
        by_broker=told.by_broker,
    )
