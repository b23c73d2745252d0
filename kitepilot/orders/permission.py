"""Bytes from the intents topic -> an order this run may send, or the reason why not.

The gateway, the archive and the proof ask the same question, so a stranger's message on the topic is no
order to any of them.
"""

from __future__ import annotations

from kitepilot.events import ApprovedIntent, Purpose, UndecodableError, decode
from kitepilot.orders.intents import tag

FULL_PROTECTION_BPS = 10_000  # Kite takes up to 100 percent (documentation of orders, read 2026-07-14)


def permitted(value: bytes, run_id: str, config_hash: str) -> ApprovedIntent:
    """Decode and examine one message.

    Raises:
        UndecodableError: not an intent, of another run or configuration, without a quantity, or with an id
            that cannot be the broker's tag; an entry at the market, or a market order without protection.
    """
    event = decode(value)
    if not isinstance(event, ApprovedIntent):
        raise UndecodableError(f"{type(event).__name__} among the intents")
    if event.run_id != run_id:
        raise UndecodableError(f"an intent of run {event.run_id!r}")
    if event.config_hash != config_hash:
        raise UndecodableError(f"approved under configuration {event.config_hash!r}, not ours")
    if event.quantity <= 0:
        raise UndecodableError(f"quantity {event.quantity}")
    flaw = _price_flaw(event)
    if flaw:
        raise UndecodableError(flaw)
    try:
        tag(event.intent_id)
    except ValueError as err:
        raise UndecodableError(str(err)) from err
    return event


def _price_flaw(intent: ApprovedIntent) -> str:
    """Entries are protected limits; a market order of ours is an exit and names its protection."""
    if intent.order_type == "LIMIT":
        return "" if intent.protection_bps == 0 else f"a limit with protection {intent.protection_bps} bps"
    if intent.order_type != "MARKET":
        return f"order type {intent.order_type!r}"
    if intent.purpose is Purpose.ENTRY:
        return "an entry at the market"
    if not 0 < intent.protection_bps <= FULL_PROTECTION_BPS:
        return f"a market order with protection {intent.protection_bps} bps"
    return ""
