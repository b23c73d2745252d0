"""`kitepilot.ports.Broker` over the stock REST client. Thread-safe: the gateway calls it from a small pool.

An order request is sent once and never repeated; every reply and every failure becomes an `Outcome`. Reads
are repeated a few times with backoff, because reading twice costs nothing.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from broker_adapter.kite import parse, session
from broker_adapter.kite.render import EXCHANGE, VARIETY, IntentError, place_parameters
from kitepilot.events import ApprovedIntent
from kitepilot.ports import (
    Accepted,
    AuthLost,
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

READ_ATTEMPTS = 4
FIRST_PAUSE_S = 0.05
T = TypeVar("T")


class BrokerReadError(RuntimeError):
    """The broker's book could not be read; says which part and why."""


class KiteBroker:
    """Kite through one account. Paper and live differ by the address in the configuration."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._client: KiteConnect | None = None

    def submit(self, intent: ApprovedIntent, tag: str, quantity: int) -> Outcome:
        try:
            parameters = place_parameters(intent, tag, quantity)
        except IntentError as err:
            return Rejected("intent", str(err))
        return self._order(lambda kite: kite.place_order(**parameters))

    def cancel(self, order_id: str) -> Outcome:
        return self._order(lambda kite: kite.cancel_order(VARIETY, order_id))

    def orders(self) -> list[OrderReport]:
        rows = self._read("orders", lambda kite: kite.orders())
        return [parse.order_report(row) for row in parse.ours_to_see(rows)]

    def trades(self, order_id: str | None = None) -> list[TradeReport]:
        if order_id is None:
            rows = self._read("trades", lambda kite: kite.trades())
        else:
            rows = self._read(f"trades of order {order_id}", lambda kite: kite.order_trades(order_id))
        return [parse.trade_report(row) for row in parse.ours_to_see(rows)]

    def positions(self) -> list[PositionReport]:
        return parse.positions(self._read("positions", lambda kite: kite.positions()))

    def instruments(self) -> bytes:
        """The day's NSE instruments file, CSV as served. Raises `BrokerReadError`, `SessionError`."""
        held = session.load(self._run)
        url = self._run.config.broker.rest_url
        headers = {**session.KITE_VERSION, "Authorization": f"token {held.api_key}:{held.access_token}"}
        try:
            with httpx.Client(base_url=url, timeout=60.0, trust_env=not session.is_loopback(url)) as http:
                reply = http.get(f"/instruments/{EXCHANGE}", headers=headers)
                reply.raise_for_status()
        except httpx.HTTPError as err:
            raise BrokerReadError(f"the instruments file of {url} could not be read: {err}") from err
        return reply.content

    def open(self) -> None:
        """Load the client library and the session now rather than at the first order (about a second)."""
        self._kite()

    def _order(self, request: Callable[[KiteConnect], object]) -> Outcome:
        from broker_adapter.kite.outcomes import classify

        try:
            kite = self._kite()
        except session.SessionError as err:
            return AuthLost(str(err))
        try:
            order_id = request(kite)
        except Exception as err:  # whatever it was, it has a meaning
            outcome = classify(err)
            if isinstance(outcome, AuthLost):
                self._client = None  # the next request reads the session again: a person may have logged in
            return outcome
        return Accepted(str(order_id)) if order_id else Unknown(f"accepted without an order id: {order_id!r}")

    def _read(self, what: str, request: Callable[[KiteConnect], T]) -> T:
        from broker_adapter.kite.outcomes import worth_repeating

        for attempt in range(1, READ_ATTEMPTS + 1):
            try:
                return request(self._kite())
            except session.SessionError as err:
                raise BrokerReadError(f"{what}: {err}") from err
            except Exception as err:
                if attempt == READ_ATTEMPTS or not worth_repeating(err):
                    self._client = None
                    raise BrokerReadError(f"{what}: {type(err).__name__}: {err}") from err
            time.sleep(FIRST_PAUSE_S * 2**attempt * random.uniform(0.5, 1.0))
        raise AssertionError("unreachable")

    def _kite(self) -> KiteConnect:
        if self._client is None:
            self._client = _stock_client(self._run, session.load(self._run))
        return self._client


def _stock_client(run: Run, held: session.Session) -> KiteConnect:
    from kiteconnect import KiteConnect

    class PlainKite(KiteConnect):  # type: ignore[misc]  # the library is not typed
        """The stock client without its date guessing, which costs 0.1 ms a row and gives naive times."""

        def _format_response(self, data: Any) -> Any:
            return data

    broker = run.config.broker
    kite = PlainKite(held.api_key, held.access_token, root=broker.rest_url, timeout=broker.request_timeout_s)
    kite.reqsession.trust_env = not session.is_loopback(broker.rest_url)
    return kite
