"""Fills -> round trips with their charges and slippage, and the same paise once more by line of the note."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, Decimal

from kitepilot.events import Side
from kitepilot.orders.charges import Charges, DayCharges, Rates
from kitepilot.orders.positions import FLAT, Position, apply_fill
from research.outcome import Trade

LINES = Charges.__struct_fields__
NO_CHARGES = DayCharges()


@dataclass(slots=True)
class OpenTrip:
    """A position from flat to flat while it lasts."""

    tradingsymbol: str
    strategy: str
    opened_at: int
    side: Side
    position: Position = FLAT
    ledger: DayCharges = NO_CHARGES
    slippage_paise: int = 0


@dataclass(frozen=True, slots=True)
class Closed:
    """A trip that is over, its charges still unrounded."""

    trip: OpenTrip
    closed_at: int
    reason: str
    charges: Charges


class TripBook:
    """One session's trips. An order never turns a position: the fold's exits close, and nothing more."""

    def __init__(self, session: date, rates: Rates) -> None:
        self._session = session
        self._rates = rates
        self._open: dict[int, OpenTrip] = {}
        self._orders: dict[str, int] = {}  # paise filled by broker's order, where its brokerage stands
        self._closed: list[Closed] = []

    def fill(
        self,
        *,
        token: int,
        tradingsymbol: str,
        strategy: str,
        order_id: str,
        side: Side,
        quantity: int,
        price_paise: int,
        decision_price_paise: int,
        at: int,
        reason: str,
        by_broker: bool = False,
    ) -> None:
        """Count one fill. `reason` is why an exit was sent."""
        trip = self._open.get(token)
        if trip is None:
            trip = self._open[token] = OpenTrip(tradingsymbol, strategy, at, side)
        value = quantity * price_paise
        before = self._orders.get(order_id, 0)
        self._orders[order_id] = before + value
        trip.position = apply_fill(trip.position, side, quantity, price_paise)
        trip.ledger = trip.ledger.add_fill(self._rates, side, before, value)
        if by_broker and not before:
            trip.ledger = trip.ledger.add_auto_square_off()
        trip.slippage_paise += side.sign * (price_paise - decision_price_paise) * quantity
        if trip.position.flat:
            del self._open[token]
            self._closed.append(Closed(trip, at, reason, trip.ledger.charges(self._rates)))

    def carried(self, token: int, mark_paise: int, at: int) -> None:
        """The session is over and the position is still there: it is valued at the mark."""
        trip = self._open.pop(token)
        charges = trip.ledger.charges(self._rates)
        quantity = abs(trip.position.quantity)
        trip.position = apply_fill(trip.position, trip.side.opposite, quantity, mark_paise)
        self._closed.append(Closed(trip, at, "carried", charges))

    @property
    def open_tokens(self) -> tuple[int, ...]:
        return tuple(self._open)

    def trades(self) -> tuple[tuple[Trade, ...], dict[str, int]]:
        """Trades in order of closing, and the charges of the session by line; both add up to its total.

        The total is the session's exact charges rounded once. What rounding each trade down leaves goes to
        the trades with the largest fractions, and likewise for the lines.
        """
        exact = [closed.charges.total for closed in self._closed]
        paid = split_whole(exact)
        lines = [
            sum((getattr(closed.charges, line) for closed in self._closed), Decimal(0)) for line in LINES
        ]
        found = tuple(self._trade(closed, paise) for closed, paise in zip(self._closed, paid, strict=True))
        return found, dict(zip(LINES, split_whole(lines), strict=True))

    def _trade(self, closed: Closed, charges_paise: int) -> Trade:
        trip, position = closed.trip, closed.trip.position
        long = trip.side is Side.BUY
        bought, sold = position.bought_paise, position.sold_paise
        return Trade(
            session=self._session,
            tradingsymbol=trip.tradingsymbol,
            strategy=trip.strategy,
            long=long,
            quantity=position.bought_quantity,
            opened_at=trip.opened_at,
            closed_at=closed.closed_at,
            entry_paise=bought if long else sold,
            exit_paise=sold if long else bought,
            gross_paise=position.realised_paise,
            charges_paise=charges_paise,
            slippage_paise=trip.slippage_paise,
            exit_reason=closed.reason,
        )


def split_whole(amounts: Iterable[Decimal]) -> list[int]:
    """Whole paise for each amount that sum to the whole amount's own rounding (largest remainders).

    >>> split_whole([Decimal("1.5"), Decimal("1.5"), Decimal("0.6")])
    [2, 1, 1]
    """
    listed = list(amounts)
    total = Charges(brokerage=sum(listed, Decimal(0))).total_paise
    whole = [int(amount.to_integral_value(ROUND_FLOOR)) for amount in listed]
    missing = total - sum(whole)
    largest = sorted(range(len(listed)), key=lambda place: whole[place] - listed[place])
    for place in largest[:missing]:
        whole[place] += 1
    return whole


def note_of(lines: Iterable[dict[str, int]]) -> dict[str, int]:
    """The lines of many sessions added up."""
    total = dict.fromkeys(LINES, 0)
    for line in lines:
        for name, paise in line.items():
            total[name] += paise
    return total
