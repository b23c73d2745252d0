"""What the state, the exchange and the broker take for NSE equity intraday trades, by dated rates.

Three views of the same day, because three parties round differently: unrounded (Kite's `/charges/orders`),
every component to two decimals, and the contract note (STT to the rupee per share, on the average price).

The figure that all our books reconcile on is `Charges.total_paise`: each order's components unrounded, summed
over the day, rounded once, half up, to the paisa. Brokerage is capped per executed order (all its fills
together); everything else is proportional to value, so a ledger can be kept fill by fill: see `DayCharges`.

Sources: Zerodha's charges page and support articles as recorded 2026-09-10; NSE circular of 27 Feb 2026 (the
investor-protection fee merged into the transaction charge from 1 Mar 2026; what remains of that fee, and the
earlier Rs 10 per crore, are not among Kite's components and are left out, as in its own calculation). The
6 % rise of Jan 2021 and its roll-back in Apr 2023 are dated by the press (The Hindu, 2023-03-24); amounts
before 1 Oct 2024 are not verified against a circular: good for replaying a recorded day, not for tax.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property

import msgspec

from kitepilot.events import Side

PAISA = Decimal(1)
RUPEE = Decimal(100)


class ChargesError(ValueError):
    """No rates are known for that date."""


@dataclass(frozen=True)
class Rates:
    """Rates in force from `since`: fractions of value, except the two amounts in paise."""

    since: date
    brokerage: Decimal
    brokerage_cap_paise: int
    stt_sell: Decimal
    transaction: Decimal
    sebi: Decimal
    stamp_buy: Decimal
    gst: Decimal
    auto_square_off_paise: int

    @cached_property
    def brokerage_units(self) -> tuple[int, int]:
        """The rate of brokerage as (a whole number, so many decimal places)."""
        _, digits, exponent = self.brokerage.as_tuple()
        return int("".join(map(str, digits))), -int(exponent)


def _rates(since: str, transaction: str, sebi: str = "0.000001") -> Rates:
    """Only these two moved since the uniform stamp duty of July 2020."""
    return Rates(
        since=date.fromisoformat(since),
        brokerage=Decimal("0.0003"),
        brokerage_cap_paise=2_000,
        stt_sell=Decimal("0.00025"),
        transaction=Decimal(transaction),
        sebi=Decimal(sebi),
        stamp_buy=Decimal("0.00003"),
        gst=Decimal("0.18"),
        auto_square_off_paise=5_000,
    )


RATES: tuple[Rates, ...] = (
    _rates("2020-07-01", "0.0000325", sebi="0.0000005"),  # SEBI halved its fee for the pandemic year
    _rates("2021-01-01", "0.0000345", sebi="0.0000005"),
    _rates("2021-04-01", "0.0000345"),
    _rates("2023-04-01", "0.0000325"),
    _rates("2024-04-01", "0.0000322"),
    _rates("2024-10-01", "0.0000297"),
    _rates("2026-03-01", "0.0000307"),
)


class ExecutedOrder(msgspec.Struct, frozen=True):
    """All fills of one order. `token` matters only to the contract note, which works per share."""

    side: Side
    quantity: int
    notional_paise: int
    auto_square_off: bool = False
    token: int = 0


class Charges(msgspec.Struct, frozen=True, kw_only=True):
    """Components in paise (Decimal, as finely as the view has them)."""

    brokerage: Decimal = Decimal(0)
    transaction: Decimal = Decimal(0)
    sebi: Decimal = Decimal(0)
    auto_square_off: Decimal = Decimal(0)
    gst: Decimal = Decimal(0)
    stt: Decimal = Decimal(0)
    stamp: Decimal = Decimal(0)

    @property
    def total(self) -> Decimal:
        return (
            self.brokerage
            + self.transaction
            + self.sebi
            + self.auto_square_off
            + self.gst
            + self.stt
            + self.stamp
        )

    @property
    def total_paise(self) -> int:
        """The total rounded once, half up: the figure books are reconciled on."""
        return int(self.total.quantize(PAISA, ROUND_HALF_UP))

    def two_decimals(self) -> Charges:
        """Every component rounded to the paisa, half up."""
        rounded = {
            name: value.quantize(PAISA, ROUND_HALF_UP) for name, value in msgspec.structs.asdict(self).items()
        }
        return Charges(**rounded)


class DayCharges(msgspec.Struct, frozen=True, kw_only=True):
    """A day's ledger, updated fill by fill; its size does not grow with the day."""

    bought_paise: int = 0
    sold_paise: int = 0
    brokerage: Decimal = Decimal(0)  # paise, each order capped
    auto_square_offs: int = 0

    def add_fill(self, rates: Rates, side: Side, order_before_paise: int, value_paise: int) -> DayCharges:
        """Count a fill of `value_paise` on an order whose earlier fills came to `order_before_paise`."""
        more = brokerage(rates, order_before_paise + value_paise) - brokerage(rates, order_before_paise)
        buying = side is Side.BUY
        return DayCharges(
            bought_paise=self.bought_paise + (value_paise if buying else 0),
            sold_paise=self.sold_paise + (0 if buying else value_paise),
            brokerage=self.brokerage + more,
            auto_square_offs=self.auto_square_offs,
        )

    def add_auto_square_off(self) -> DayCharges:
        """The broker closed a position itself and bills for the order."""
        return msgspec.structs.replace(self, auto_square_offs=self.auto_square_offs + 1)

    def charges(self, rates: Rates) -> Charges:
        """The day so far, unrounded."""
        turnover = Decimal(self.bought_paise + self.sold_paise)
        transaction = turnover * rates.transaction
        sebi = turnover * rates.sebi
        fee = Decimal(self.auto_square_offs * rates.auto_square_off_paise)
        return Charges(
            brokerage=self.brokerage,
            transaction=transaction,
            sebi=sebi,
            auto_square_off=fee,
            gst=(self.brokerage + transaction + sebi + fee) * rates.gst,
            stt=self.sold_paise * rates.stt_sell,
            stamp=self.bought_paise * rates.stamp_buy,
        )


def rates_on(day: date) -> Rates:
    """The rates in force on an IST date.

    Raises:
        ChargesError: the date is before the first entry.
    """
    for rates in reversed(RATES):
        if rates.since <= day:
            return rates
    raise ChargesError(f"no charge rates for {day}: the table begins at {RATES[0].since}")


def brokerage(rates: Rates, order_paise: int) -> Decimal:
    """Brokerage of one order in paise, unrounded."""
    return min(order_paise * rates.brokerage, Decimal(rates.brokerage_cap_paise))


def brokerage_of(rates: Rates, orders_paise: Iterable[int]) -> Decimal:
    """Brokerage of many orders in paise, unrounded: the sum of theirs, in whole units of the rate."""
    units, places = rates.brokerage_units
    most = rates.brokerage_cap_paise * 10**places
    return Decimal(sum(min(value * units, most) for value in orders_paise)).scaleb(-places)


def charges_for(orders: Iterable[ExecutedOrder], on: date) -> Charges:
    """Unrounded charges of executed orders; `.total_paise` is what books are reconciled on."""
    rates = rates_on(on)
    day = DayCharges()
    for order in orders:
        day = day.add_fill(rates, order.side, 0, order.notional_paise)
        if order.auto_square_off:
            day = day.add_auto_square_off()
    return day.charges(rates)


def contract_note(orders: Iterable[ExecutedOrder], on: date) -> Charges:
    """As the broker's note shows it: STT per share to the rupee, everything else to the paisa.

    STT is charged on the squared-off quantity at the average price of all the day's buys and sells of the
    share (Zerodha support article on STT).
    """
    listed = list(orders)
    rates = rates_on(on)
    by_token: dict[int, list[ExecutedOrder]] = defaultdict(list)
    for order in listed:
        by_token[order.token].append(order)
    stt = sum((_note_stt(group, rates) for group in by_token.values()), Decimal(0))
    return msgspec.structs.replace(charges_for(listed, on).two_decimals(), stt=stt)


def _note_stt(orders: list[ExecutedOrder], rates: Rates) -> Decimal:
    traded = sum(order.quantity for order in orders)
    sold = sum(order.quantity for order in orders if order.side is Side.SELL)
    if not traded:
        return Decimal(0)
    notional = sum(order.notional_paise for order in orders)
    squared_off = min(sold, traded - sold)
    base = Decimal(squared_off * notional) / traded
    return (base * rates.stt_sell / RUPEE).quantize(PAISA, ROUND_HALF_UP) * RUPEE
