"""The broker closes what an account left open; the closing auction gives a last chance. Times in ns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from broker_adapter.sandbox.book import Book
from broker_adapter.sandbox.floor import Floor
from broker_adapter.sandbox.market import Market
from broker_adapter.sandbox.orders import BROKER, OPEN_PENDING, VALIDATION_PENDING, Order, OrderRequest

REASON = "Cancelled by the broker's intraday square-off."


def closing_request(token: int, tradingsymbol: str, quantity: int) -> OrderRequest:
    """The broker's own order against a position (signed): at the market, automatically protected, no tag."""
    return OrderRequest(
        token=token,
        tradingsymbol=tradingsymbol,
        buy=quantity < 0,
        quantity=abs(quantity),
        order_type="MARKET",
        price_paise=0,
        trigger_paise=0,
        validity="DAY",
        validity_ttl_min=0,
        disclosed_quantity=0,
        protection_bps=-1,
        tag="",
        placed_by=BROKER,
    )


class SquareOff:
    """Sweeps one class of stocks: cancels every live order, then sells the longs and buys the shorts back."""

    def __init__(self, market: Market, book: Book, floor: Floor) -> None:
        self._market = market
        self._book = book
        self._floor = floor

    def sweep(self, closing_auction: bool, at: int) -> bool:
        """One round; False when nothing is open any more."""
        instruments = self._market.instruments
        for order in self._book.live():
            if instruments[order.request.token].closing_auction == closing_auction and order.accepted_at:
                self._floor.cancel(order, at, REASON)
        open_positions = [
            (token, tally.quantity)
            for token, tally in self._book.tallies.items()
            if tally.quantity and instruments[token].closing_auction == closing_auction
        ]
        for token, quantity in open_positions:
            request = closing_request(token, instruments[token].tradingsymbol, quantity)
            order = self._book.open(self._book.issue_id(), request, at)
            order = self._book.move(order, VALIDATION_PENDING, at)
            self._floor.arrive(self._book.move(order, OPEN_PENDING, at), at)
        return bool(open_positions)


class ClosingAuction:
    """The call auction of stocks with derivatives: one price, from the last fifteen minutes' trades.

    Ours: the auction's own order book is not in the data, so everything that crosses the reference price
    trades at it, in full, and the rest is cancelled.
    """

    def __init__(self, market: Market, book: Book, floor: Floor) -> None:
        self._market = market
        self._book = book
        self._floor = floor
        self._before: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None = None
        self._after: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None = None

    def note_begin(self, _: int) -> None:
        """The reference price begins to form."""
        self._before = self._market.turnover()

    def purge(self, at: int) -> None:
        """Continuous trading ends: stops that sleep, icebergs and disclosed orders go, plain limits stay."""
        self._after = self._market.turnover()
        for order in self._of_auction():
            sleeping = self._floor.place_of(order.order_id) is None
            if sleeping or order.disclosed_quantity or order.request.leg or order.validity == "TTL":
                self._floor.cancel(order, at)

    def match(self, at: int) -> None:
        for token in {order.request.token: None for order in self._of_auction()}:
            self._floor.match_auction(token, self.reference_paise(token), at)
        for order in self._of_auction():
            self._floor.cancel(order, at)

    def reference_paise(self, token: int) -> int:
        """Volume-weighted price of the reference minutes, on the tick grid; without trades the last price."""
        tick = self._market.instruments[token].tick_size_paise
        if self._before is None or self._after is None:
            return self._market.last_paise(token)
        row = int(np.searchsorted(self._market.tokens, token))
        volume = int(self._after[0][row] - self._before[0][row])
        value = int(self._after[1][row] - self._before[1][row])
        if volume <= 0 or value <= 0:
            return self._market.last_paise(token)
        return max(tick, round(value / volume / tick) * tick)

    def _of_auction(self) -> list[Order]:
        instruments = self._market.instruments
        return [
            order
            for order in self._book.live()
            if order.accepted_at and instruments[order.request.token].closing_auction
        ]
