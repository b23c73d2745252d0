"""Our approved intent -> the parameters of Kite's order request. Pure."""

from __future__ import annotations

from kitepilot.events import ApprovedIntent
from kitepilot.orders.intents import parse_tag, parse_watchdog_tag

VARIETY = "regular"
EXCHANGE = "NSE"
PRODUCT = "MIS"
AUTOMATIC_PROTECTION = "-1"  # mandatory for API market orders since 1 Apr 2026 (Kite documentation)
MOST_PROTECTION_BPS = 10_000
ORDER_TYPES = frozenset({"LIMIT", "MARKET"})
VALIDITIES = frozenset({"IOC", "DAY"})


class IntentError(ValueError):
    """An approved intent that cannot be said to Kite; it is refused here and never sent."""


def rupees(paise: int) -> str:
    """157350 -> "1573.50": exact, no float on the way."""
    return f"{paise // 100}.{paise % 100:02d}"


def place_parameters(intent: ApprovedIntent, tag: str, quantity: int) -> dict[str, str]:
    """Parameters of `POST /orders/regular`, as text, ready for the form; `quantity` is this child's share.

    Raises:
        IntentError: tag, quantity, price, order type or validity is not something Kite takes.
    """
    _check(intent, tag, quantity)
    parameters = {
        "variety": VARIETY,
        "exchange": EXCHANGE,
        "tradingsymbol": intent.tradingsymbol,
        "transaction_type": intent.side.value,
        "quantity": str(quantity),
        "product": PRODUCT,
        "order_type": intent.order_type,
        "validity": intent.validity,
        "tag": tag,
    }
    if intent.order_type == "LIMIT":
        parameters["price"] = rupees(intent.limit_price_paise)
    else:
        parameters["market_protection"] = protection(intent.protection_bps)
    return parameters


def protection(bps: int) -> str:
    """Basis points -> Kite's percent as text; 0 lets the broker choose: 150 -> "1.50", 0 -> "-1"."""
    return f"{bps // 100}.{bps % 100:02d}" if bps else AUTOMATIC_PROTECTION


def _check(intent: ApprovedIntent, tag: str, quantity: int) -> None:
    found = parse_tag(tag) or parse_watchdog_tag(tag)
    if found is None or found[0] != intent.intent_id:
        raise IntentError(f"tag {tag!r} does not name intent {intent.intent_id!r}")
    if not 0 < quantity <= intent.quantity:
        raise IntentError(f"intent {intent.intent_id}: {quantity} is not 1 to {intent.quantity} shares")
    if intent.order_type not in ORDER_TYPES or intent.validity not in VALIDITIES:
        raise IntentError(
            f"intent {intent.intent_id}: {intent.order_type} {intent.validity} is not sent here"
        )
    if not 0 <= intent.protection_bps <= MOST_PROTECTION_BPS:
        raise IntentError(f"intent {intent.intent_id}: protection {intent.protection_bps} bps")
    if intent.order_type == "LIMIT" and intent.limit_price_paise <= 0:
        raise IntentError(f"intent {intent.intent_id}: limit price {intent.limit_price_paise} paise")
