"""The desk's words that are chosen from a list: they travel as their text."""

from __future__ import annotations

from enum import StrEnum


class Side(StrEnum):
    """Direction of a trade. A position's sign is `+1` for BUY, `-1` for SELL."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class Purpose(StrEnum):
    """Why an order exists. Everything but ENTRY reduces a position and is never frozen."""

    ENTRY = "entry"
    EXIT = "exit"
    SQUARE_OFF = "square_off"


class TradingState(StrEnum):
    """ACTIVE trades; REDUCING only reduces positions; HALTED opens nothing and waits for the owner."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


class OrderStatus(StrEnum):
    """Our side of an order's life. The legal moves are one table in `orders.order_machine`."""

    SUBMITTING = "submitting"  # journaled, the request may or may not have left
    ACCEPTED = "accepted"  # the broker gave an order id
    WORKING = "working"  # open at the exchange, perhaps partly filled
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    UNKNOWN = "unknown"  # the outcome of a request is not known: look in the order book, never resend

    @property
    def terminal(self) -> bool:
        return self in (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED)
