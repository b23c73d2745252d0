"""An exchange and a hand on its clock, for tests of orders step by step."""

from __future__ import annotations

import numpy as np
from small_market import DAY, SESSION, S, SmallMarket, packet

from broker_adapter.sandbox.book import Book
from broker_adapter.sandbox.exchange import Exchange
from broker_adapter.sandbox.input_log import Asked
from broker_adapter.sandbox.latency import Latency
from broker_adapter.sandbox.market import Market
from broker_adapter.sandbox.orders import ON_TIME, Placed
from broker_adapter.sandbox.rms import RiskDesk
from kitepilot.market.ticks import PACKET_DTYPE

NOTHING = np.zeros(0, PACKET_DTYPE), np.zeros(0, np.int64)


class Desk:
    """An exchange and a hand on its clock."""

    def __init__(self, latency_ms: float = 0, seed: int = 7, *, square_off: bool = True) -> None:
        """`asked` collects what the exchange records."""
        market, book = Market(SmallMarket(), 60 * S), Book(DAY, seed)
        self.book = book
        self.exchange = Exchange(
            market,
            SESSION,
            book,
            Latency(latency_ms, seed),
            RiskDesk(market, book, 10_00_000_00),
            square_off=square_off,
        )
        self.asked: list[Asked] = []
        self.exchange.record = self.asked.append

    def quote(self, at: int, instrument, last, bids=(), asks=()):
        row = packet(instrument, last, bids, asks, at).astype(PACKET_DTYPE)
        return self.exchange.advance(row, np.array([at]), at + 1)

    def pass_to(self, at: int):
        return self.exchange.advance(*NOTHING, at)

    def place(self, at: int, side: str = "BUY", quantity: int = 100, **changes) -> str:
        return self.placed(at, side, quantity, **changes).order_id

    def placed(
        self, at: int, side: str = "BUY", quantity: int = 100, variety="regular", handling=ON_TIME, **changes
    ) -> Placed:
        form = {
            "exchange": "NSE",
            "tradingsymbol": "KPALPHA",
            "transaction_type": side,
            "quantity": str(quantity),
            "product": "MIS",
            "order_type": "LIMIT",
            "validity": "DAY",
            **{name: str(value) for name, value in changes.items()},
        }
        return self.exchange.place(variety, form, at, handling)

    def row(self, order_id: str):
        return self.book.orders[order_id]

    def statuses(self, order_id: str) -> list[str]:
        return [state.status for state in self.book.histories[order_id]]


BOOK = {"bids": [(499_95, 100)], "asks": [(500_05, 100)]}
