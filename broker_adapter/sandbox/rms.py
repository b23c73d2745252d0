"""The broker's risk desk: margin, circuits, and when fresh intraday orders stop. It answers with texts."""

from __future__ import annotations

from datetime import date

from broker_adapter.sandbox.book import Book
from broker_adapter.sandbox.market import Market
from broker_adapter.sandbox.orders import Order, OrderRequest
from kitepilot.market.calendar import ist_ns

MARGIN_PERCENT = 20  # MIS leverage of five
CLOSING_AUCTION_FROM = date(2026, 8, 3)


def fresh_until(day: date) -> int:
    """When the broker stops taking MIS orders that open a position (ns UTC).

    15:20 until the closing auction came (support article); the later time is not published, 15:12 is in the
    middle of what other brokers announced.
    """
    return ist_ns(day, "15:12" if day >= CLOSING_AUCTION_FROM else "15:20")


class RiskDesk:
    """Reads the account's book and the market; changes neither. Amounts in paise."""

    def __init__(self, market: Market, book: Book, cash_paise: int) -> None:
        self._market = market
        self._book = book
        self.cash_paise = cash_paise

    def used_margin_paise(self) -> int:
        """A fifth of what is held and of what live orders would add."""
        held = sum(
            abs(tally.quantity) * self._market.last_paise(token)
            for token, tally in self._book.tallies.items()
            if tally.quantity
        )
        live = sum(self._adds(order) for order in self._book.live() if order.accepted_at)
        return (held + live) * MARGIN_PERCENT // 100

    def pnl_paise(self) -> int:
        """Realised and unrealised of the day, before charges."""
        return sum(
            tally.pnl_paise(self._market.last_paise(token)) for token, tally in self._book.tallies.items()
        )

    def grows(self, request: OrderRequest) -> bool:
        """Whether an order could open or enlarge a position."""
        return request.quantity > self._covers(request.token, request.buy)

    def margin_refusal(self, order: Order) -> str:
        """Why there is not enough margin for the order; empty when there is."""
        required = self._adds(order) * MARGIN_PERCENT // 100
        available = self.cash_paise + self.pnl_paise() - self.used_margin_paise()
        if required <= available or not required:
            return ""
        return f"RMS:Margin Exceeds,Required:{required / 100:.2f}, Available:{available / 100:.2f}"

    def circuit_refusal(self, order: Order) -> str:
        """Why a protection price cannot stand; empty when it can."""
        instrument = self._market.instruments[order.request.token]
        low, high = instrument.lower_circuit_paise, instrument.upper_circuit_paise
        if (low and order.price_paise < low) or (high and order.price_paise > high):
            return "Exchange: the protection price is outside the circuit limits."
        return ""

    def _covers(self, token: int, buy: bool) -> int:
        """How many shares an order of that side could trade by only reducing what is held."""
        held = self._book.quantity(token)
        return max(0, -held if buy else held)

    def _adds(self, order: Order) -> int:
        """Notional by which an order could grow its position."""
        token = order.request.token
        growing = max(0, order.pending_quantity - self._covers(token, order.request.buy))
        return growing * (order.price_paise or self._market.last_paise(token))
