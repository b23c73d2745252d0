"""Margins and charges of orders that are only imagined: what Kite's calculators would answer.

Amounts are unrounded rupee floats, as Kite's are. The fee of the broker's own square-off is told only for the
id of an order the broker did place, inside `brokerage`: Kite's reply has no field of its own for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from broker_adapter.sandbox.book import Book
from broker_adapter.sandbox.errors import bad_input
from broker_adapter.sandbox.feed.port import FeedInstrument
from broker_adapter.sandbox.rms import RiskDesk
from broker_adapter.sandbox.rows import Row
from kitepilot.events import Side
from kitepilot.orders.charges import Charges, ExecutedOrder, charges_for

MAX_QUANTITY = 10_000_000
NO_CHARGES = Charges()


@dataclass(frozen=True, slots=True)
class Imagined:
    """One order of a calculator's request. `price` in rupees, 0 for the last price."""

    instrument: FeedInstrument
    buy: bool
    quantity: int
    price: Decimal
    order_id: str
    described: Mapping[str, str]

    @property
    def notional_paise(self) -> int:
        return int((self.quantity * self.price * 100).to_integral_value(ROUND_HALF_UP))


def imagined(item: Mapping[str, Any], instruments: Mapping[str, FeedInstrument], price: str) -> Imagined:
    """One object of a calculator's request; `price` names the field that holds the price.

    Raises:
        KiteError: 400 with what is missing or wrong.
    """
    names = ("exchange", "tradingsymbol", "transaction_type", "variety", "product", "order_type")
    described = {name: str(item.get(name) or "") for name in names}
    for name, value in described.items():
        if not value:
            raise bad_input(f"Missing or empty field `{name}`")
    instrument = instruments.get(described["tradingsymbol"])
    if described["exchange"] != "NSE" or instrument is None or instrument.segment != "NSE":
        raise bad_input(
            f"The instrument {described['exchange'][:8]}:{described['tradingsymbol'][:40]} is unknown."
        )
    if described["transaction_type"] not in ("BUY", "SELL") or described["product"] != "MIS":
        raise bad_input("Invalid `transaction_type` or `product`: this account trades MIS, BUY or SELL.")
    return Imagined(
        instrument,
        described["transaction_type"] == "BUY",
        int(_number(item, "quantity", least=1, most=MAX_QUANTITY, whole=True)),
        _number({price: 0, **item}, price),
        str(item.get("order_id") or ""),
        described,
    )


def charges_of(order: Imagined, notional_paise: int, on: date, *, by_broker: bool = False) -> Charges:
    """Unrounded charges of one order, as if executed at that value."""
    side = Side.BUY if order.buy else Side.SELL
    return charges_for([ExecutedOrder(side, order.quantity, notional_paise, by_broker)], on)


def charges_row(charges: Charges, tax_type: str = "stt") -> Row:
    gst = _rupees(charges.gst)
    return {
        "transaction_tax": _rupees(charges.stt),
        "transaction_tax_type": tax_type,
        "exchange_turnover_charge": _rupees(charges.transaction),
        "sebi_turnover_charge": _rupees(charges.sebi),
        "brokerage": _rupees(charges.brokerage + charges.auto_square_off),
        "stamp_duty": _rupees(charges.stamp),
        "gst": {"igst": gst, "cgst": 0, "sgst": 0, "total": gst},
        "total": _rupees(charges.total),
    }


def contract_note_row(order: Imagined, book: Book, on: date) -> Row:
    """One line of the virtual contract note; the order id is not told, as at Kite."""
    if order.price <= 0:
        raise bad_input("Invalid `average_price`: it must be above 0.")
    placed = book.orders.get(order.order_id)
    by_broker = placed is not None and placed.by_broker
    names = ("transaction_type", "tradingsymbol", "exchange", "variety", "product", "order_type")
    return {
        **{name: order.described[name] for name in names},
        "quantity": order.quantity,
        "price": float(order.price),
        "charges": charges_row(charges_of(order, order.notional_paise, on, by_broker=by_broker)),
    }


class MarginDesk:
    """Margins of imagined orders beside what the account holds."""

    def __init__(self, rms: RiskDesk, book: Book, last_paise: Callable[[int], int], on: date) -> None:
        self._rms = rms
        self._book = book
        self._last_paise = last_paise
        self._on = on

    def order_row(self, order: Imagined, *, beside_positions: bool = True) -> Row:
        """One row of /margins/orders."""
        token, price = order.instrument.token, self._price(order)
        if beside_positions:
            total = self._rms.required_margin(token, order.buy, order.quantity, price)
        else:
            total = self._rms.full_margin(token, order.quantity, price)
        charges = charges_of(order, order.quantity * price, self._on)
        return _margin_row(total, order.described, float(self._rms.leverage(token)), charges_row(charges))

    def basket_rows(self, orders: list[Imagined], *, consider_positions: bool) -> Row:
        """/margins/basket: `initial` before the orders offset each other, `final` after."""
        lines = [self.order_row(order, beside_positions=consider_positions) for order in orders]
        final = self._after(orders, consider_positions)
        charges = self._together(orders)
        return {
            "initial": _margin_row(sum(round(line["total"] * 100) for line in lines)),
            "final": _margin_row(final),
            "orders": lines,
            "charges": charges_row(charges),
        }

    def _after(self, orders: Iterable[Imagined], consider_positions: bool) -> int:
        """Margin of what the basket would add to the positions in the end, in paise."""
        net: dict[int, int] = defaultdict(int)
        price: dict[int, int] = {}
        for order in orders:
            net[order.instrument.token] += order.quantity if order.buy else -order.quantity
            price[order.instrument.token] = self._price(order)
        total = 0
        for token, change in net.items():
            held = self._book.quantity(token) if consider_positions else 0
            grown = max(0, abs(held + change) - abs(held))
            total += self._rms.full_margin(token, grown, price[token])
        return total

    def _together(self, orders: Iterable[Imagined]) -> Charges:
        return charges_for(
            (
                ExecutedOrder(
                    Side.BUY if order.buy else Side.SELL, order.quantity, order.quantity * self._price(order)
                )
                for order in orders
            ),
            self._on,
        )

    def _price(self, order: Imagined) -> int:
        return int(order.price * 100) or self._last_paise(order.instrument.token)


def compact(row: Row) -> Row:
    """`mode=compact`: only the total margin."""
    return {name: row[name] for name in ("type", "tradingsymbol", "exchange", "total")}


def _margin_row(
    total_paise: int,
    described: Mapping[str, str] | None = None,
    leverage: float = 0,
    charges: Row | None = None,
) -> Row:
    """Kite's margin object. An equity order's margin is all VaR; a basket's sums describe no instrument."""
    total = total_paise / 100
    zero = dict.fromkeys(("span", "exposure", "option_premium", "additional", "bo", "cash"), 0)
    return {
        "type": "equity" if described else "",
        "tradingsymbol": described["tradingsymbol"] if described else "",
        "exchange": described["exchange"] if described else "",
        **zero,
        "var": total if described else 0,
        "pnl": {"realised": 0, "unrealised": 0},
        "leverage": leverage,
        "charges": charges or charges_row(NO_CHARGES, ""),
        "total": total,
    }


def _number(
    item: Mapping[str, Any], name: str, *, least: int = 0, most: int = 10**9, whole: bool = False
) -> Decimal:
    try:
        value = Decimal(str(item.get(name)))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or not least <= value <= most or (whole and value != value.to_integral_value()):
        raise bad_input(f"Invalid `{name}`: {str(item.get(name))[:40]!r}.")
    return value


def _rupees(paise: Decimal) -> float:
    return float(paise / 100)
