"""The broker's risk desk: margin, leverage, circuits. It answers with amounts (paise) and with texts."""

from __future__ import annotations

from decimal import Decimal
from hashlib import blake2b

from broker_adapter.sandbox.book import Book
from broker_adapter.sandbox.feed.port import FeedInstrument
from broker_adapter.sandbox.market import Market
from broker_adapter.sandbox.orders import UNCHECKED, Order, OrderRequest

BPS = 10_000
#: Share of an intraday order's value to be there upfront, in basis points: 20 % is SEBI's least (five times).
LEAST_MARGIN_BPS = 2_000
#: What some stocks without derivatives ask for instead (four times, two and a half times): modelled.
HIGHER_MARGINS_BPS = (2_500, 4_000)


class RiskDesk:
    """Reads the account's book and the market; changes neither.

    Args:
        no_mis_percent: so many of a hundred stocks without derivatives cannot be traded intraday at all
            (trade-to-trade, surveillance); which ones depends on their names.
    """

    def __init__(self, market: Market, book: Book, cash_paise: int, no_mis_percent: int = 2) -> None:
        self._market = market
        self._book = book
        self._no_mis_percent = no_mis_percent
        self.cash_paise = cash_paise

    def margin_bps(self, token: int) -> int:
        """Share of the value that an intraday order of this instrument blocks; 0 where there is none."""
        instrument = self._market.instruments[token]
        if instrument.closing_auction:
            return LEAST_MARGIN_BPS
        drawn = _percentile(instrument)
        if drawn < self._no_mis_percent:
            return 0
        if drawn >= 80:
            return HIGHER_MARGINS_BPS[drawn >= 95]
        return LEAST_MARGIN_BPS

    def leverage(self, token: int) -> Decimal:
        """How many times the margin may be traded, as /margins/orders shows it; 0: not intraday."""
        bps = self.margin_bps(token)
        return Decimal(BPS) / bps if bps else Decimal(0)

    def required_margin(self, token: int, buy: bool, quantity: int, price_paise: int) -> int:
        """Margin for an order beside what is held; what only reduces a position is free."""
        growing = max(0, quantity - self._covers(token, buy))
        return growing * (price_paise or self._market.last_paise(token)) * self.margin_bps(token) // BPS

    def full_margin(self, token: int, quantity: int, price_paise: int) -> int:
        """Margin for an order as if nothing was held."""
        return quantity * (price_paise or self._market.last_paise(token)) * self.margin_bps(token) // BPS

    def used_margin_paise(self) -> int:
        """What is held and what live orders would add."""
        held = sum(
            self.full_margin(token, abs(tally.quantity), 0)
            for token, tally in self._book.tallies.items()
            if tally.quantity
        )
        live = (order for order in self._book.live() if order.status not in UNCHECKED)
        return held + sum(self._adds(order) for order in live)

    def available_paise(self) -> int:
        return self.cash_paise + self.pnl_paise() - self.used_margin_paise()

    def pnl_paise(self) -> int:
        """Realised and unrealised of the day, before charges."""
        return sum(
            tally.pnl_paise(self._market.last_paise(token)) for token, tally in self._book.tallies.items()
        )

    def grows(self, request: OrderRequest) -> bool:
        """Whether an order could open or enlarge a position."""
        return request.quantity > self._covers(request.token, request.buy)

    def margin_refusal(self, order: Order, before: Order | None = None) -> str:
        """Why there is not enough margin for the order (instead of `before`); empty when there is."""
        required = self._adds(order)
        available = self.available_paise() + (self._adds(before) if before else 0)
        if required <= available or not required:
            return ""
        return f"RMS:Margin Exceeds,Required:{required / 100:.2f}, Available:{available / 100:.2f}"

    def circuit_refusal(self, order: Order) -> str:
        """Why a price cannot stand (0: there is none); empty when it can."""
        instrument = self._market.instruments[order.request.token]
        low, high = instrument.lower_circuit_paise, instrument.upper_circuit_paise
        price = order.price_paise
        if price and ((low and price < low) or (high and price > high)):
            return "Exchange: the protection price is outside the circuit limits."
        return ""

    def _covers(self, token: int, buy: bool) -> int:
        """How many shares an order of that side could trade by only reducing what is held."""
        held = self._book.quantity(token)
        return max(0, -held if buy else held)

    def _adds(self, order: Order) -> int:
        request = order.request
        return self.required_margin(request.token, request.buy, order.pending_quantity, order.price_paise)


def _percentile(instrument: FeedInstrument) -> int:
    """0 to 99, the same for a name every day."""
    digest = blake2b(instrument.tradingsymbol.encode(), digest_size=4, person=b"margin").digest()
    return int.from_bytes(digest) % 100
