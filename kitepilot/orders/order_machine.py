"""The life of an order as one table: (where we are, what we hear) -> where we are next.

Reports arrive late, twice and out of order, so hearing is monotone: the filled quantity never falls, a
terminal order never comes back to life, and a fill that arrives after the end still counts (the venue raced
us). A word of the venue that we do not know means the order is live, and raises an alarm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from kitepilot.events import OrderStatus


class OrderEvent(StrEnum):
    """What can be heard about an order, from our own sending or from the venue."""

    ACKNOWLEDGED = "acknowledged"  # the broker gave an order id
    PENDING = "pending"  # on its way inside the broker or to the exchange
    OPEN = "open"  # at the exchange
    COMPLETE = "complete"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    LOST = "lost"  # the reply never came or cannot be believed
    ABSENT = "absent"  # looked for long enough, and it is not in the book
    STRANGE = "strange"  # a status word we do not know


#: Kite's status words (documentation of orders, read 2026-07-14). The set is open: see `hear`.
KITE_WORDS: dict[str, OrderEvent] = {
    "PUT ORDER REQ RECEIVED": OrderEvent.PENDING,
    "VALIDATION PENDING": OrderEvent.PENDING,
    "OPEN PENDING": OrderEvent.PENDING,
    "AMO REQ RECEIVED": OrderEvent.PENDING,
    "MODIFY AMO REQ RECEIVED": OrderEvent.PENDING,
    "TRIGGER PENDING": OrderEvent.OPEN,
    "OPEN": OrderEvent.OPEN,
    "UPDATE": OrderEvent.OPEN,
    "MODIFY VALIDATION PENDING": OrderEvent.OPEN,
    "MODIFY PENDING": OrderEvent.OPEN,
    "MODIFIED": OrderEvent.OPEN,
    "CANCEL PENDING": OrderEvent.OPEN,
    "COMPLETE": OrderEvent.COMPLETE,
    "CANCELLED": OrderEvent.CANCELLED,
    "REJECTED": OrderEvent.REJECTED,
}

_S, _E = OrderStatus, OrderEvent
_TERMINAL_ROWS = {
    (status, event): status
    for status in (_S.FILLED, _S.CANCELLED, _S.REJECTED)
    for event in OrderEvent  # terminal is terminal, whatever is said afterwards
}

TRANSITIONS: dict[tuple[OrderStatus, OrderEvent], OrderStatus] = {
    (_S.SUBMITTING, _E.ACKNOWLEDGED): _S.ACCEPTED,
    (_S.SUBMITTING, _E.PENDING): _S.ACCEPTED,  # the order frame overtook the reply
    (_S.SUBMITTING, _E.OPEN): _S.WORKING,
    (_S.SUBMITTING, _E.COMPLETE): _S.FILLED,
    (_S.SUBMITTING, _E.CANCELLED): _S.CANCELLED,
    (_S.SUBMITTING, _E.REJECTED): _S.REJECTED,
    (_S.SUBMITTING, _E.LOST): _S.UNKNOWN,
    (_S.SUBMITTING, _E.ABSENT): _S.REJECTED,
    (_S.SUBMITTING, _E.STRANGE): _S.ACCEPTED,
    (_S.ACCEPTED, _E.ACKNOWLEDGED): _S.ACCEPTED,
    (_S.ACCEPTED, _E.PENDING): _S.ACCEPTED,
    (_S.ACCEPTED, _E.OPEN): _S.WORKING,
    (_S.ACCEPTED, _E.COMPLETE): _S.FILLED,
    (_S.ACCEPTED, _E.CANCELLED): _S.CANCELLED,
    (_S.ACCEPTED, _E.REJECTED): _S.REJECTED,
    (_S.ACCEPTED, _E.LOST): _S.ACCEPTED,  # it has an id, so it is not lost
    (_S.ACCEPTED, _E.ABSENT): _S.UNKNOWN,  # had an id and is not in the book: nobody knows
    (_S.ACCEPTED, _E.STRANGE): _S.ACCEPTED,
    (_S.WORKING, _E.ACKNOWLEDGED): _S.WORKING,
    (_S.WORKING, _E.PENDING): _S.WORKING,  # an older word, overtaken
    (_S.WORKING, _E.OPEN): _S.WORKING,
    (_S.WORKING, _E.COMPLETE): _S.FILLED,
    (_S.WORKING, _E.CANCELLED): _S.CANCELLED,
    (_S.WORKING, _E.REJECTED): _S.REJECTED,
    (_S.WORKING, _E.LOST): _S.WORKING,
    (_S.WORKING, _E.ABSENT): _S.UNKNOWN,
    (_S.WORKING, _E.STRANGE): _S.WORKING,
    (_S.UNKNOWN, _E.ACKNOWLEDGED): _S.ACCEPTED,
    (_S.UNKNOWN, _E.PENDING): _S.ACCEPTED,
    (_S.UNKNOWN, _E.OPEN): _S.WORKING,
    (_S.UNKNOWN, _E.COMPLETE): _S.FILLED,
    (_S.UNKNOWN, _E.CANCELLED): _S.CANCELLED,
    (_S.UNKNOWN, _E.REJECTED): _S.REJECTED,
    (_S.UNKNOWN, _E.LOST): _S.UNKNOWN,
    (_S.UNKNOWN, _E.ABSENT): _S.REJECTED,
    (_S.UNKNOWN, _E.STRANGE): _S.ACCEPTED,  # it was found in the book, so it is there
    **_TERMINAL_ROWS,
}


@dataclass(frozen=True)
class OrderTruth:
    """What is known about one order. Invariant: `0 <= filled_quantity`, and it never falls."""

    quantity: int
    status: OrderStatus = OrderStatus.SUBMITTING
    filled_quantity: int = 0
    venue_status: str = ""
    alarm: str = ""  # why a person should look; stays once raised

    @property
    def open_quantity(self) -> int:
        """What may still fill: nothing once terminal."""
        return 0 if self.status.terminal else max(self.quantity - self.filled_quantity, 0)


def hear(word: str) -> OrderEvent:
    """A Kite status word -> event. Words we do not know are STRANGE: the order counts as live."""
    return KITE_WORDS.get(word.strip().upper(), OrderEvent.STRANGE)


def advance(
    truth: OrderTruth, event: OrderEvent, filled_quantity: int = 0, venue_status: str = ""
) -> OrderTruth:
    """Merge one report into what is known. `filled_quantity` is the venue's cumulative figure.

    A report that changes nothing returns an equal value. The filled quantity counts even on a terminal order.
    """
    status = TRANSITIONS[truth.status, event]
    filled = max(truth.filled_quantity, filled_quantity)
    heard = venue_status if venue_status and not truth.status.terminal else truth.venue_status
    return replace(
        truth,
        status=status,
        filled_quantity=filled,
        venue_status=heard,
        alarm=truth.alarm or _alarm(truth.quantity, status, event, filled, venue_status),
    )


def _alarm(quantity: int, status: OrderStatus, event: OrderEvent, filled: int, venue_status: str) -> str:
    if event is OrderEvent.STRANGE:
        return f"unknown order status {venue_status!r}"
    if filled > quantity:
        return f"filled {filled} of an order for {quantity}"
    if event is OrderEvent.COMPLETE and filled < quantity:
        return f"complete with {filled} of {quantity} filled"
    if status is OrderStatus.REJECTED and filled:
        return f"a rejected order has {filled} filled"
    return ""
