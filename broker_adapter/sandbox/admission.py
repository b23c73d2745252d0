"""Order forms -> requests: the checks Kite makes before it gives an order id, in its own words.

Wording follows messages seen on Kite's forum and in its documentation (facts read 2026-07-14); Kite has no
error codes, so clients must not match these texts, but for the market-protection one which is quoted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from broker_adapter.sandbox.errors import KiteError, bad_input, bad_order
from broker_adapter.sandbox.feed.port import FeedInstrument
from broker_adapter.sandbox.orders import Leg, Order, OrderRequest, OrderType, Validity, Variety

Form = Mapping[str, str]

ORDER_TYPES = ("MARKET", "LIMIT", "SL", "SL-M")
VALIDITIES = ("DAY", "IOC", "TTL")
VARIETIES = ("regular", "amo", "iceberg")
BOOLEANS = ("true", "false")
MAX_TAG = 20
MAX_MODIFICATIONS = 25
MAX_QUANTITY = 10_000_000
MAX_SLICES, MAX_LEGS = 10, 50
#: Stands in for the exchange's daily list of freeze quantities: an order's value in paise, ten crore rupees.
FREEZE_VALUE_PAISE = 10_00_00_000 * 100


def placement(variety: str, form: Form, instruments: Mapping[str, FeedInstrument]) -> OrderRequest:
    """A POST /orders/{variety} form as a request; of an iceberg its first leg.

    Raises:
        KiteError: 400 with what is missing or wrong.
    """
    if variety not in VARIETIES:
        raise bad_input(f"Invalid `variety`: {variety[:20]!r}; the sandbox takes {', '.join(VARIETIES)}.")
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
        variety=cast(Variety, variety),
    )
    if variety == "iceberg":
        request = _first_leg(form, request)
    _check_shape(request)
    check_terms(request.quantity, request.price_paise, request.trigger_paise, instrument)
    if not _wants_slices(form, request):
        check_freeze(request.quantity, instrument)
    return request


def _wants_slices(form: Form, request: OrderRequest) -> bool:
    wanted = _one_of({"autoslice": "false", **{k: v.lower() for k, v in form.items()}}, "autoslice", BOOLEANS)
    return wanted == "true" and request.variety == "regular"


def slices(request: OrderRequest, instrument: FeedInstrument) -> list[OrderRequest]:
    """The request cut at the freeze quantity; itself alone if not above that. Raises KiteError 400."""
    freeze = freeze_quantity(instrument)
    if -(-request.quantity // freeze) > MAX_SLICES:
        raise bad_input(f"Order quantity {request.quantity} needs more than {MAX_SLICES} slices of {freeze}.")
    sizes = [min(freeze, request.quantity - start) for start in range(0, request.quantity, freeze)]
    return [replace(request, quantity=size) for size in sizes]


def next_leg(request: OrderRequest) -> OrderRequest | None:
    """What an iceberg sends when a leg is complete; None after the last."""
    leg = request.leg
    if leg is None or not leg.remaining:
        return None
    following = replace(leg, number=leg.number + 1)
    return replace(request, leg=following, quantity=min(leg.quantity, leg.remaining))


def freeze_quantity(instrument: FeedInstrument) -> int:
    """Most shares of one order: modelled, for the exchange's daily list is not in Kite's instruments file."""
    shares = min(MAX_QUANTITY, FREEZE_VALUE_PAISE // max(instrument.previous_close_paise, 1))
    return max(instrument.lot_size, shares // instrument.lot_size * instrument.lot_size)


def check_freeze(quantity: int, instrument: FeedInstrument) -> None:
    """Raises KiteError 400 above the freeze quantity."""
    freeze = freeze_quantity(instrument)
    if quantity > freeze:
        raise bad_input(f"Order quantity {quantity} is above the freeze quantity {freeze} of the exchange.")


def check_terms(quantity: int, price_paise: int, trigger_paise: int, instrument: FeedInstrument) -> None:
    """Lot, tick and circuit limits. Prices of 0 are absent. Raises KiteError 400."""
    if quantity % instrument.lot_size:
        raise bad_input(f"Quantity should be in multiples of the lot size {instrument.lot_size}.")
    if quantity > MAX_QUANTITY * MAX_SLICES:
        raise bad_input(f"Order quantity {quantity} is above anything the exchange takes.")
    for price in filter(None, (price_paise, trigger_paise)):
        _check_price(price, instrument)


def _first_leg(form: Form, request: OrderRequest) -> OrderRequest:
    """`iceberg_quantity` is quantity / legs; the last leg may be smaller."""
    legs, size = _integer(form, "iceberg_legs", least=2), _integer(form, "iceberg_quantity")
    if legs > MAX_LEGS:
        raise bad_input(f"Invalid `iceberg_legs`: {legs}; 2 to {MAX_LEGS} are allowed.")
    if -(-request.quantity // size) != legs:
        raise bad_input("Invalid `iceberg_quantity`: it must be `quantity` / `iceberg_legs`.")
    if request.validity == "IOC" or request.disclosed_quantity or request.order_type in ("SL", "SL-M"):
        raise bad_input("An iceberg is a LIMIT or MARKET order of DAY or TTL, without disclosed quantity.")
    return replace(request, quantity=size, leg=Leg(1, legs, size, request.quantity))


def _check_shape(request: OrderRequest) -> None:
    """Terms that contradict each other. Raises KiteError 400."""
    check_stop(request.order_type, request.buy, request.price_paise, request.trigger_paise)
    check_disclosed(request.disclosed_quantity, request.quantity)
    if request.disclosed_quantity and request.validity == "IOC":
        raise bad_input("Disclosed quantity cannot be used with IOC orders.")


def check_stop(order_type: str, buy: bool, price: int, trigger: int) -> None:
    """A stop's limit lies behind its trigger. Raises KiteError 400."""
    if order_type != "SL" or (trigger <= price if buy else trigger >= price):
        return
    if buy:
        raise bad_input("Trigger price cannot be higher than the limit price for a stoploss buy order.")
    raise bad_input("Trigger price cannot be lower than the limit price for a stoploss sell order.")


def check_disclosed(disclosed: int, quantity: int) -> None:
    """The exchange wants at least a tenth shown. Raises KiteError 400."""
    if disclosed > quantity:
        raise bad_input("Disclosed quantity cannot be more than the quantity.")
    if disclosed and disclosed * 10 < quantity:
        raise bad_input("Disclosed quantity should be at least 10% of the quantity.")


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


def amendment(form: Form, order: Order, instrument: FeedInstrument) -> dict[str, Any]:
    """A PUT form as the fields of `Order` it changes. `quantity` is the order's new total.

    Raises:
        KiteError: 400 for terms that cannot be, or a quantity below what has traded.
    """
    order_type = _one_of({"order_type": order.order_type, **form}, "order_type", ORDER_TYPES)
    quantity = _integer({"quantity": str(order.quantity), **form}, "quantity")
    disclosed = _integer(
        {"disclosed_quantity": str(order.disclosed_quantity), **form}, "disclosed_quantity", 0
    )
    price = _paise(form, "price") if given(form, "price") else order.price_paise
    trigger = _paise(form, "trigger_price") if given(form, "trigger_price") else order.trigger_paise
    validity = _one_of({"validity": order.validity, **form}, "validity", VALIDITIES)
    if validity == "TTL" and order.validity != "TTL":
        raise bad_input("An order cannot be changed to TTL by the sandbox: cancel it and place a new one.")
    if quantity <= order.filled_quantity:
        raise bad_order(f"{order.filled_quantity} have traded already; quantity must be above that.")
    if order_type in ("LIMIT", "SL") and not price:
        raise bad_input("Missing or empty field `price`")
    if order_type in ("SL", "SL-M") and not trigger:
        raise bad_input("Missing or empty field `trigger_price`")
    priced, stopped = order_type in ("LIMIT", "SL"), order_type in ("SL", "SL-M")
    price, trigger = price if priced else 0, trigger if stopped else 0
    check_stop(order_type, order.request.buy, price, trigger)
    check_disclosed(disclosed, quantity)
    check_terms(quantity, price, trigger, instrument)
    check_freeze(quantity, instrument)
    return {
        "order_type": order_type,
        "quantity": quantity,
        "price_paise": price,
        "trigger_paise": trigger,
        "validity": validity,
        "disclosed_quantity": disclosed,
        "protection_bps": _new_protection(form, order, order_type),
    }


def _new_protection(form: Form, order: Order, order_type: str) -> int:
    """Asked for when a limit order becomes a market order; a market order keeps its own."""
    if order_type in ("MARKET", "SL-M"):
        if order.order_type == order_type and not given(form, "market_protection"):
            return order.protection_bps
        return _protection(form)
    return order.protection_bps if order_type == order.order_type else 0


def given(form: Form, name: str) -> bool:
    """SDKs send zeros for what they leave alone."""
    text = form.get(name, "")
    return bool(text) and bool(text.strip("0."))


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


def finished(order: Order) -> KiteError:
    """What Kite says of a change that lost the race against the order's end (forum, January 2025)."""
    return bad_order(
        f"The order for ID {order.order_id} does not exist: it is {order.status.lower()} already."
    )


def not_found(order_id: str) -> KiteError:
    """What Kite says of an order id it does not know."""
    return bad_order(f"Couldn't find that `order_id`: {order_id[:32]!r}.")
