"""Order forms -> requests: the checks Kite makes before it gives an order id, in its own words.

Wording follows messages seen on Kite's forum and in its documentation (facts read 2026-07-14); Kite has no
error codes, so clients must not match these texts, but for the market-protection one which is quoted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import cast

from broker_adapter.sandbox.errors import KiteError, bad_input, bad_order
from broker_adapter.sandbox.feed.port import FeedInstrument
from broker_adapter.sandbox.orders import Order, OrderRequest, OrderType, Validity

Form = Mapping[str, str]

ORDER_TYPES = ("MARKET", "LIMIT", "SL", "SL-M")
VALIDITIES = ("DAY", "IOC", "TTL")
MAX_TAG = 20
MAX_MODIFICATIONS = 25
MAX_QUANTITY = 10_000_000
#: Freeze quantity: the exchange's own list is not in Kite's instruments file. One value of an order stands
#: in for it (paise): ten crore rupees, NSE's single-order value limit for most brokers.
FREEZE_VALUE_PAISE = 10_00_00_000 * 100


def placement(form: Form, instruments: Mapping[str, FeedInstrument]) -> OrderRequest:
    """A POST /orders/regular form as a request.

    Raises:
        KiteError: 400 with what is missing or wrong.
    """
    instrument = _instrument(form, instruments)
    side = _one_of(form, "transaction_type", ("BUY", "SELL"))
    if _one_of(form, "product", ("MIS", "CNC", "NRML", "MTF")) != "MIS":
        raise bad_input("The sandbox trades intraday only: `product` must be MIS.")
    order_type = cast(OrderType, _one_of(form, "order_type", ORDER_TYPES))
    validity = cast(Validity, _one_of({"validity": "DAY", **form}, "validity", VALIDITIES))
    request = OrderRequest(
        token=instrument.token,
        tradingsymbol=instrument.tradingsymbol,
        buy=side == "BUY",
        quantity=_integer(form, "quantity"),
        order_type=order_type,
        price_paise=_paise(form, "price") if order_type in ("LIMIT", "SL") else 0,
        trigger_paise=_paise(form, "trigger_price") if order_type in ("SL", "SL-M") else 0,
        validity=validity,
        validity_ttl_min=_integer(form, "validity_ttl") if validity == "TTL" else 0,
        disclosed_quantity=_integer({"disclosed_quantity": "0", **form}, "disclosed_quantity", least=0),
        protection_bps=_protection(form) if order_type in ("MARKET", "SL-M") else 0,
        tag=_tag(form),
    )
    check_terms(request.quantity, request.price_paise, request.trigger_paise, instrument)
    return request


def check_terms(quantity: int, price_paise: int, trigger_paise: int, instrument: FeedInstrument) -> None:
    """Lot, freeze value, tick and circuit limits. Prices of 0 are absent. Raises KiteError 400."""
    if quantity % instrument.lot_size:
        raise bad_input(f"Quantity should be in multiples of the lot size {instrument.lot_size}.")
    reference = price_paise or instrument.previous_close_paise
    if quantity > MAX_QUANTITY or quantity * reference > FREEZE_VALUE_PAISE:
        raise bad_input(f"Order quantity {quantity} is above the freeze quantity of the exchange.")
    for price in filter(None, (price_paise, trigger_paise)):
        _check_price(price, instrument)


def _check_price(price: int, instrument: FeedInstrument) -> None:
    tick = instrument.tick_size_paise
    if price % tick:
        raise bad_input(
            f"Tick size for this script is {tick / 100:.2f}. "
            "Kindly enter price in the multiple of tick size for this script."
        )
    low, high = instrument.lower_circuit_paise, instrument.upper_circuit_paise
    if low and price < low:
        raise bad_input(f"Your order price is lower than the current lower circuit limit of {low / 100:.2f}.")
    if high and price > high:
        raise bad_input(
            f"Your order price is higher than the current upper circuit limit of {high / 100:.2f}."
        )


def amendment(form: Form, order: Order, instrument: FeedInstrument) -> dict[str, object]:
    """A PUT form as the fields of `Order` it changes. `quantity` is the order's new total.

    Raises:
        KiteError: 400; also after 25 modifications, or a quantity below what has traded.
    """
    if order.modifications >= MAX_MODIFICATIONS:
        raise bad_order("Maximum allowed order modifications exceeded.")
    quantity = _integer({"quantity": str(order.quantity), **form}, "quantity")
    order_type = _one_of({"order_type": order.order_type, **form}, "order_type", ORDER_TYPES)
    if order_type != order.order_type:
        raise bad_order(f"Changing {order.order_type} to {order_type} is not supported by the sandbox.")
    changes: dict[str, object] = {
        "quantity": quantity,
        "price_paise": _paise(form, "price") if form.get("price") else order.price_paise,
        "trigger_paise": _paise(form, "trigger_price") if form.get("trigger_price") else order.trigger_paise,
        "validity": _one_of({"validity": order.validity, **form}, "validity", VALIDITIES),
    }
    if quantity <= order.filled_quantity:
        raise bad_order(f"{order.filled_quantity} have traded already; quantity must be above that.")
    check_terms(quantity, cast(int, changes["price_paise"]), cast(int, changes["trigger_paise"]), instrument)
    return changes


def _instrument(form: Form, instruments: Mapping[str, FeedInstrument]) -> FeedInstrument:
    if _required(form, "exchange") != "NSE":
        raise bad_input("The sandbox is NSE only: `exchange` must be NSE.")
    instrument = instruments.get(_required(form, "tradingsymbol"))
    if instrument is None or instrument.segment != "NSE":
        raise bad_input(f"The instrument NSE:{form['tradingsymbol']} does not exist or cannot be traded.")
    return instrument


def _required(form: Form, name: str) -> str:
    value = form.get(name, "")
    if not value:
        raise bad_input(f"Missing or empty field `{name}`")
    return value


def _one_of(form: Form, name: str, allowed: tuple[str, ...]) -> str:
    value = _required(form, name)
    if value not in allowed:
        raise bad_input(f"Invalid `{name}`: {value[:40]!r}; expected one of {', '.join(allowed)}.")
    return value


def _integer(form: Form, name: str, least: int = 1) -> int:
    text = _required(form, name)
    if not re.fullmatch(r"[0-9]{1,12}", text) or int(text) < least:
        raise bad_input(f"Invalid `{name}`: {text[:40]!r} is not a whole number of at least {least}.")
    return int(text)


def _paise(form: Form, name: str) -> int:
    text = _required(form, name)
    try:
        value = Decimal(text) * 100
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or not 0 < value < 10**9:
        raise bad_input(f"Invalid `{name}`: {text[:40]!r} is not a price.")
    if value != value.to_integral_value():
        raise bad_input(f"Invalid `{name}`: {text[:40]!r} is finer than a paisa, so off any tick size.")
    return int(value)


def _protection(form: Form) -> int:
    text = form.get("market_protection", "0")
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if value == -1:
        return -1
    if value == 0:
        raise bad_input(
            "Market orders without market protection are not allowed via API. "
            "Please set market protection or use a Limit order."
        )
    if not value.is_finite() or not 0 < value <= 100:
        raise bad_input("Invalid `market_protection`: expected -1 or a percentage above 0 and at most 100.")
    return int(value * 100)


def _tag(form: Form) -> str:
    tag = form.get("tag", "")
    if len(tag) > MAX_TAG:
        raise bad_input(f"Invalid `tag`: it has {len(tag)} characters, at most {MAX_TAG} are allowed.")
    if tag and not (tag.isascii() and tag.isalnum()):
        raise bad_input("Invalid `tag`: only letters and digits are allowed.")
    return tag


def not_found(order_id: str) -> KiteError:
    """What Kite says of an order id it does not know."""
    return bad_order(f"Couldn't find that `order_id`: {order_id[:32]!r}.")
