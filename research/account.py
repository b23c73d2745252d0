"""Fills -> round trips and a day's account, to the paisa. A trip is flat to flat on one instrument.

A trip is named by what opened it: the signal of its first entry, so that the same trip is found in another
telling of the same day. Profit is kept trip by trip: their sum is the account's, by construction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from kitepilot.events import ApprovedIntent, Filled, Side
from kitepilot.orders.charges import ExecutedOrder, charges_for
from kitepilot.orders.positions import FLAT, Position, apply_fill


@dataclass(frozen=True)
class Account:
    """A day's profit before charges, and its charges, in paise."""

    gross_paise: int
    charges_paise: int

    @property
    def net_paise(self) -> int:
        return self.gross_paise - self.charges_paise


@dataclass
class Trip:
    """From flat to flat. `signal_id` is "" where no entry of ours opened it. Quantities in shares, paise."""

    token: int
    tradingsymbol: str
    signal_id: str
    strategy: str
    side: Side
    opened_at: int  # session ns of the first fill
    closed_at: int = 0  # 0 while open
    position: Position = FLAT
    mark_paise: int = 0  # what an open rest is valued at

    @property
    def gross_paise(self) -> int:
        held = self.position
        return held.realised_paise + (0 if held.flat else held.unrealised_paise(self.mark_paise))

    @property
    def entry_paise(self) -> tuple[int, int]:
        """(value, shares) that opened it; the average is their ratio."""
        held = self.position
        buying = self.side is Side.BUY
        return (held.bought_paise, held.bought_quantity) if buying else (held.sold_paise, held.sold_quantity)

    @property
    def exit_paise(self) -> tuple[int, int]:
        held = self.position
        buying = self.side is Side.BUY
        return (held.sold_paise, held.sold_quantity) if buying else (held.bought_paise, held.bought_quantity)


@dataclass
class Ledger:
    """Fills in the order they were told. Its size grows with the day's trades alone."""

    trips: list[Trip] = field(default_factory=list)
    orders: dict[str, list[Filled]] = field(default_factory=dict)  # by broker's order id
    _open: dict[int, Trip] = field(default_factory=dict)

    def add(self, fill: Filled, intent: ApprovedIntent | None) -> None:
        """A fill beyond flat closes its trip and opens the next with the rest."""
        self.orders.setdefault(fill.order_id, []).append(fill)
        left = fill.quantity
        while left:
            trip = self._open.get(fill.token) or self._begin(fill, intent)
            held = trip.position.quantity
            closing = held * fill.side.sign < 0
            quantity = min(left, abs(held)) if closing else left
            trip.position = apply_fill(trip.position, fill.side, quantity, fill.price_paise)
            left -= quantity
            if trip.position.flat:
                trip.closed_at = fill.filled_at
                del self._open[fill.token]

    def mark(self, token: int, last_paise: int) -> None:
        """The last price of an instrument that may still be held."""
        if token in self._open:
            self._open[token].mark_paise = last_paise

    def account(self, on: date) -> Account:
        """All trips, and the charges of their orders by the rates of that day."""
        executed = (
            ExecutedOrder(
                side=fills[0].side,
                quantity=sum(fill.quantity for fill in fills),
                notional_paise=sum(fill.quantity * fill.price_paise for fill in fills),
                token=fills[0].token,
            )
            for fills in self.orders.values()
        )
        gross = sum(trip.gross_paise for trip in self.trips)
        return Account(gross, charges_for(executed, on).total_paise)

    def _begin(self, fill: Filled, intent: ApprovedIntent | None) -> Trip:
        trip = Trip(
            token=fill.token,
            tradingsymbol=intent.tradingsymbol if intent else str(fill.token),
            signal_id=intent.signal_id if intent else "",
            strategy=intent.strategy if intent else "",
            side=fill.side,
            opened_at=fill.filled_at,
        )
        self.trips.append(trip)
        self._open[fill.token] = trip
        return trip


def ledger_of(fills: Iterable[Filled], intents: dict[str, ApprovedIntent]) -> Ledger:
    """All of a day's fills, each counted once."""
    ledger, seen = Ledger(), set()
    for fill in fills:
        if (fill.order_id, fill.trade_id) not in seen:
            seen.add((fill.order_id, fill.trade_id))
            ledger.add(fill, intents.get(fill.intent_id))
    return ledger
