"""Approved intents -> what the gateway would tell of them: its own order files before the sandbox's exchange.

The gateway's processes, journal and requests are left out; its pure parts are the ones that trade: how an
intent is cut into children and refused, what an order's life means to `session`. The exchange is the
sandbox's own, in this process, so a backtest fills by the rules a paper day fills by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from broker_adapter.gateway.desk import Change, Desk
from broker_adapter.gateway.foreign import ForeignDesk
from broker_adapter.gateway.slicing import children, refusal
from broker_adapter.kite.render import VARIETY, IntentError, place_parameters
from broker_adapter.sandbox.book import Book
from broker_adapter.sandbox.errors import KiteError
from broker_adapter.sandbox.exchange import Exchange
from broker_adapter.sandbox.feed.port import DepthOrigin, FeedInstrument, Slice
from broker_adapter.sandbox.latency import Latency
from broker_adapter.sandbox.market import Market
from broker_adapter.sandbox.orders import Order, Trade
from broker_adapter.sandbox.rms import RiskDesk
from kitepilot.config import BrokerSection
from kitepilot.events import (
    Alarmed,
    ApprovedIntent,
    Filled,
    ForeignFilled,
    ForeignOrderUpdated,
    OrderJournaled,
    OrderStatus,
    OrderUpdated,
    RiskLimits,
    Side,
)
from kitepilot.market.calendar import Session
from kitepilot.orders.order_machine import TRANSITIONS, hear
from kitepilot.ports import Accepted, OrderReport, Outcome, Rejected, TradeReport
from research.ticks import Packets

Told = OrderUpdated | Filled | ForeignOrderUpdated | ForeignFilled | Alarmed
MS = 1_000_000
DEFAULT_EXCHANGE_MS = 30.0  # the sandbox's own mean

_T = TypeVar("_T", bound=Told | OrderJournaled)


@dataclass(frozen=True)
class Pace:
    """How long an order takes from its decision to the exchange.

    `fixed_ms` passes for every order; `exchange_ms` is the mean of a log-normal draw per order on top, drawn
    from `seed` and the order's number. All zero: orders meet the market they were decided on.
    """

    fixed_ms: float = 0.0
    exchange_ms: float = DEFAULT_EXCHANGE_MS
    seed: int = 0

    def delay_ns(self, number: int) -> int:
        return int(self.fixed_ms * MS) + Latency(self.exchange_ms, self.seed).of(number)


@dataclass(frozen=True)
class Terms:
    """What an exchange and the gateway before it need to know of a day.

    `no_mis_percent`: the sandbox's share of stocks that cannot be traded intraday; live days have none, for
    their instruments were traded.
    """

    run_id: str
    session: Session
    listed: tuple[FeedInstrument, ...]
    broker: BrokerSection
    limits: RiskLimits
    seed: int
    cash_paise: int = 10_00_000_00
    no_mis_percent: int = 2
    stale_after_s: int = 60

    def with_cash(self, cash_paise: int) -> Terms:
        """The same day with other money on the account."""
        return replace(self, cash_paise=cash_paise)


class Venue(Protocol):
    """Where approved intents go. Times are session ns; what is told is numbered gap-free by source."""

    def send(self, intent: ApprovedIntent, at: int) -> list[Told]:
        """Take an intent decided at `at`."""
        ...

    def advance(self, packets: Packets, sent_at: npt.NDArray[np.int64], until: int) -> list[Told]:
        """Play the market before `until`, and what it did to our orders."""
        ...


class ModelledVenue:
    """`Venue` over the sandbox's exchange. `arrivals`: intents whose arrival there is known (session ns).

    `journal` collects the order lines that the gateway would have written since it was last emptied.
    """

    def __init__(
        self, terms: Terms, pace: Pace, arrivals: Mapping[ApprovedIntent, int] | None = None
    ) -> None:
        self._terms = terms
        self._pace = pace
        self._arrivals = arrivals or {}
        self._exchange = _exchange(terms)
        self._desk = Desk(terms.run_id)
        self._foreign = ForeignDesk(terms.run_id)
        self._seq: Counter[str] = Counter()
        self._sent = 0
        self._trades_seen = 0
        self.journal: list[OrderJournaled] = []

    def send(self, intent: ApprovedIntent, at: int) -> list[Told]:
        changes = self._desk.open(intent, children(intent, self._terms.broker), at)
        told = [each for change in changes for each in self._tell(change)]
        arrives_at = self._arrival(intent, at)
        for file in self._desk.intents[intent.intent_id]:
            outcome = self._place(intent, file.tag, file.truth.quantity, arrives_at)
            settled = self._desk.settle(
                file, outcome, at, arrives_at, at, steady=arrives_at, sent_event_at=at
            )
            told += self._tell(settled)
        return told

    def advance(self, packets: Packets, sent_at: npt.NDArray[np.int64], until: int) -> list[Told]:
        told: list[Told] = []
        for order in self._exchange.advance(packets, sent_at, until):
            told += self._hear(order, until)
        return told + self._by_broker(until)

    def _arrival(self, intent: ApprovedIntent, at: int) -> int:
        self._sent += 1
        known = self._arrivals.get(nameless(intent))
        return max(at, known) if known is not None else at + self._pace.delay_ns(self._sent - 1)

    def _place(self, intent: ApprovedIntent, tag: str, quantity: int, at: int) -> Outcome:
        refused = refusal(intent, self._terms.limits, self._terms.broker)
        if refused is not None:
            return refused
        try:
            form = place_parameters(intent, tag, quantity)
            return Accepted(self._exchange.place(VARIETY, form, at).order_id)
        except KiteError as err:
            return Rejected(err.error_type, err.message)
        except IntentError as err:
            return Rejected("intent", str(err))

    def _hear(self, order: Order, now: int) -> list[Told]:
        """As the gateway: the order's row, and the trades behind what it claims to have filled."""
        found = self._desk.hear(_report(order), now)
        if found is None:
            return []
        file, change = found
        changes = [change, self._desk.fill(file, self._trades_of(order), now) if file.hungry else None]
        return [each for one in changes if one is not None for each in self._tell(one)]

    def _by_broker(self, now: int) -> list[Told]:
        """The broker's own square-off is told to nobody: the gateway finds it in the books."""
        book = self._exchange.book
        fresh, self._trades_seen = book.trades[self._trades_seen :], len(book.trades)
        told: list[Told] = []
        for trade in fresh:
            order = book.orders[trade.order_id]
            if order.by_broker:
                told += self._foreign.hear(_report(order), now)
                told += self._foreign.fill([_trade(trade)], now)
        return [self._number(each) for each in told]

    def _trades_of(self, order: Order) -> Iterable[TradeReport]:
        return map(_trade, self._exchange.book.trades_of(order.order_id))

    def _tell(self, change: Change) -> list[Told]:
        self.journal += [self._number(line.journaled) for line in change.lines]
        return [self._number(line.told) for line in change.lines if line.told is not None]

    def _number(self, event: _T) -> _T:
        seq = self._seq[event.source]
        self._seq[event.source] = seq + 1
        return msgspec.structs.replace(event, seq=seq)


def nameless(intent: ApprovedIntent) -> ApprovedIntent:
    """The order itself, without the names and numbers that depend on what was decided before it."""
    return msgspec.structs.replace(
        intent, seq=0, intent_id="", verdict_id="", emitted_at=0, received_at=0, signal_emitted_at=0
    )


def _exchange(terms: Terms) -> Exchange:
    """An exchange that takes orders the instant they arrive: the way there is the venue's `Pace`."""
    market = Market(_Listing(terms.listed), terms.stale_after_s * 1_000 * MS)
    book = Book(terms.session.date, terms.seed)
    rms = RiskDesk(market, book, terms.cash_paise, terms.no_mis_percent)
    return Exchange(market, terms.session, book, Latency(0, terms.seed), rms)


class _Listing:
    """As much of a market feed as an exchange asks for."""

    def __init__(self, listed: tuple[FeedInstrument, ...]) -> None:
        self.instruments = listed
        self.indices: tuple[FeedInstrument, ...] = ()
        self.description = "instruments of a run"
        self.depth: DepthOrigin = "recorded"

    def slices(self, start_at: int | None = None) -> Iterator[Slice]:
        return iter(())  # packets are handed to `advance`

    def packets_of(self, token: int) -> Iterator[tuple[Packets, list[bytes]]]:
        return iter(())


def _report(order: Order) -> OrderReport:
    request = order.request
    return OrderReport(
        order_id=order.order_id,
        tag=request.tag,
        tradingsymbol=request.tradingsymbol,
        token=request.token,
        side=Side.BUY if request.buy else Side.SELL,
        quantity=order.quantity,
        filled_quantity=order.filled_quantity,
        average_price_paise=order.traded_paise // order.filled_quantity if order.filled_quantity else 0,
        status=TRANSITIONS[OrderStatus.SUBMITTING, hear(order.status)],
        venue_status=order.status,
        message=order.message,
        updated_at=order.updated_at,
        placed_by=request.placed_by,
        by_broker=order.by_broker,
    )


def _trade(trade: Trade) -> TradeReport:
    return TradeReport(
        order_id=trade.order_id,
        trade_id=trade.trade_id,
        tradingsymbol=trade.tradingsymbol,
        token=trade.token,
        side=Side.BUY if trade.buy else Side.SELL,
        quantity=trade.quantity,
        price_paise=trade.price_paise,
        traded_at=trade.traded_at,
    )
