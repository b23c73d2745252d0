"""`kitepilot.ports.Broker` over the stock REST client. Thread-safe: the gateway calls it from a small pool.

An order request is sent once and never repeated; every reply and every failure becomes an `Outcome`. Reads
are repeated a few times with backoff, because reading twice costs nothing.

Two breakers are visible to whoever wants to know (`health`, `on_change`): `kite.reads` and `kite.orders`.
While either is not closed, entries are refused here (`breaker_open`, certainly not sent); after a rest one
entry is let through as the try. Exits, cancels and modifications always go out, and an answer to one of them
closes `kite.orders` again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import httpx

from broker_adapter.kite import parse, session
from broker_adapter.kite.breaker import Breaker, BreakerState, Health, OnChange
from broker_adapter.kite.clock import Machine
from broker_adapter.kite.reading import BrokerReadError, read
from broker_adapter.kite.render import EXCHANGE, PRODUCT, VARIETY, IntentError, place_parameters, rupees
from broker_adapter.kite.transport import stock_client
from broker_adapter.kite.unchanged_rows import UnchangedRows
from kitepilot.events import ApprovedIntent, Purpose
from kitepilot.ports import (
    Accepted,
    AuthLost,
    BandReport,
    FundsReport,
    OrderReport,
    Outcome,
    PositionReport,
    Rejected,
    TradeReport,
    Unknown,
)
from kitepilot.run import Run

if TYPE_CHECKING:
    from kiteconnect import KiteConnect

__all__ = ["BrokerReadError", "KiteBroker"]

INSTRUMENTS_TIMEOUT_S = 60.0
CLOCK_TIMEOUT_S = 5.0
MARGIN_SHARES, MARGIN_RUPEES = 100, 100  # of the imagined order that margins are asked for
T = TypeVar("T")
Connect = Callable[[Run], "KiteConnect"]


def connect(run: Run) -> KiteConnect:
    """The stock client with the session as it is stored now. Raises `SessionError`."""
    return stock_client(run.config.broker, session.load(run))


class KiteBroker:
    """Kite through one account. Paper and live differ by the address in the configuration."""

    def __init__(
        self,
        run: Run,
        on_change: OnChange | None = None,
        *,
        connect: Connect = connect,
        machine: Machine = time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connect = connect
        self._sleep = sleep
        self._run = run
        self._client: KiteConnect | None = None
        self._order_rows = UnchangedRows(lambda row: row.get("order_id"), parse.order_report)
        self._trade_rows = UnchangedRows(
            lambda row: (row.get("order_id"), row.get("trade_id")), parse.trade_report
        )
        self._reads = Breaker("kite.reads", on_change, monotonic=machine.monotonic)
        self._orders = Breaker("kite.orders", on_change, monotonic=machine.monotonic)

    def submit(self, intent: ApprovedIntent, tag: str, quantity: int) -> Outcome:
        try:
            parameters = place_parameters(intent, tag, quantity)
        except IntentError as err:
            return Rejected("intent", str(err))
        if intent.purpose is Purpose.ENTRY and (refusal := self._refusal()) is not None:
            return refusal
        return self._order(lambda kite: kite.place_order(**parameters))

    def modify(self, order_id: str, limit_price_paise: int) -> Outcome:
        if limit_price_paise <= 0:
            return Rejected("intent", f"order {order_id}: limit price {limit_price_paise} paise")
        price = rupees(limit_price_paise)
        return self._order(lambda kite: kite.modify_order(VARIETY, order_id, price=price))

    def cancel(self, order_id: str) -> Outcome:
        return self._order(lambda kite: kite.cancel_order(VARIETY, order_id))

    def orders(self) -> list[OrderReport]:
        rows = self._read("orders", lambda kite: kite.orders())
        return self._order_rows.reports(parse.ours_to_see(rows))

    def order_history(self, order_id: str) -> list[OrderReport]:
        rows = self._read(f"history of order {order_id}", lambda kite: kite.order_history(order_id))
        return [parse.order_report(row) for row in rows]

    def trades(self, order_id: str | None = None) -> list[TradeReport]:
        if order_id is None:
            rows = self._read("trades", lambda kite: kite.trades())
            return self._trade_rows.reports(parse.ours_to_see(rows))
        rows = self._read(f"trades of order {order_id}", lambda kite: kite.order_trades(order_id))
        return [parse.trade_report(row) for row in parse.ours_to_see(rows)]

    def positions(self) -> list[PositionReport]:
        return parse.positions(self._read("positions", lambda kite: kite.positions()))

    def funds(self) -> FundsReport:
        return parse.funds(self._read("funds", lambda kite: kite.margins("equity")))

    def instruments(self) -> bytes:
        """The day's NSE instruments file, CSV as served. Raises `BrokerReadError`."""
        url = self._run.config.broker.rest_url
        return read(f"the instruments file of {url}", self._instruments, self._reads, self._sleep)

    def bands(self, tradingsymbols: Sequence[str]) -> list[BandReport]:
        """Circuit limits of at most 500 NSE symbols (one `/quote`); unknown ones are missing."""
        names = [f"{EXCHANGE}:{symbol}" for symbol in tradingsymbols]
        return parse.bands(self._read("quotes", lambda kite: kite.quote(names)))

    def intraday_margins(self, tradingsymbols: Sequence[str]) -> dict[str, int]:
        """What an intraday entry blocks, in bps of its value by symbol; 0: the broker takes none."""
        orders = [
            {
                "exchange": EXCHANGE,
                "tradingsymbol": symbol,
                "transaction_type": "BUY",
                "variety": VARIETY,
                "product": PRODUCT,
                "order_type": "LIMIT",
                "quantity": MARGIN_SHARES,
                "price": MARGIN_RUPEES,
            }
            for symbol in tradingsymbols
        ]
        rows = self._read("margins", lambda kite: kite.order_margins(orders))
        return parse.intraday_margins(rows, MARGIN_SHARES * MARGIN_RUPEES * 100)

    def skew_ms(self) -> int:
        """This machine's clock less the broker's, by the Date of a reply: true to half a second.

        Raises:
            BrokerReadError: no reply, or one without a date.
        """
        return read("the broker's clock", self._skew_ms, self._reads)

    def health(self) -> tuple[Health, ...]:
        """The breakers as they are now."""
        return self._reads.health, self._orders.health

    def open(self) -> None:
        """Load the client library and the session now rather than at the first order (about a second)."""
        self._kite()

    def _refusal(self) -> Rejected | None:
        """Why an entry is not sent: the book cannot be read, or orders are not answered."""
        reads = self._reads.health
        if reads.state is not BreakerState.CLOSED:
            return Rejected("breaker_open", f"{reads.name} is {reads.state}: {reads.reason}")
        if not self._orders.allows():
            return Rejected("breaker_open", f"{self._orders.name} is open: {self._orders.health.reason}")
        return None

    def _order(self, request: Callable[[KiteConnect], object]) -> Outcome:
        try:
            kite = self._kite()
        except session.SessionError as err:
            return AuthLost(str(err))
        outcome = _outcome(lambda: request(kite))
        match outcome:
            case AuthLost():
                self._client = None  # the next request reads the session again: a person may have logged in
            case Unknown(reason) | Rejected("unreachable", reason):
                self._orders.trouble(reason)
                return outcome
        self._orders.well()
        return outcome

    def _read(self, what: str, request: Callable[[KiteConnect], T]) -> T:
        try:
            return read(what, lambda: request(self._kite()), self._reads, self._sleep)
        except BrokerReadError:
            self._client = None
            raise

    def _instruments(self) -> bytes:
        held = session.load(self._run)
        url = self._run.config.broker.rest_url
        headers = {**session.KITE_VERSION, "Authorization": f"token {held.api_key}:{held.access_token}"}
        trusting = not session.is_loopback(url)
        with httpx.Client(base_url=url, timeout=INSTRUMENTS_TIMEOUT_S, trust_env=trusting) as http:
            reply = http.get(f"/instruments/{EXCHANGE}", headers=headers)
            reply.raise_for_status()
        return reply.content

    def _skew_ms(self) -> int:
        url = self._run.config.broker.rest_url
        with httpx.Client(
            base_url=url, timeout=CLOCK_TIMEOUT_S, trust_env=not session.is_loopback(url)
        ) as http:
            sent = time.time()
            reply = http.get("/")
            heard = time.time()
        return parse.clock_skew_ms(reply.headers.get("date", ""), sent, heard)

    def _kite(self) -> KiteConnect:
        if self._client is None:
            self._client = self._connect(self._run)
        return self._client


def _outcome(request: Callable[[], object]) -> Outcome:
    from broker_adapter.kite.outcomes import classify

    try:
        order_id = request()
    except Exception as err:  # whatever it was, it has a meaning
        return classify(err)
    if order_id and isinstance(order_id, str | int) and not isinstance(order_id, bool):
        return Accepted(str(order_id))
    return Unknown(f"accepted without an order id: {order_id!r}")
