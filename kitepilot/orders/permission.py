"""Bytes from the intents topic -> an order this run may send, or the reason why not.

The gateway, the archive and the proof ask the same question, so a stranger's message on the topic is no
order to any of them.
"""

from __future__ import annotations

from kitepilot.events import ApprovedIntent, UndecodableError, decode
from kitepilot.orders.intents import tag


def permitted(value: bytes, run_id: str, config_hash: str) -> ApprovedIntent:
    """Decode and examine one message.

    Raises:
        UndecodableError: not an intent, of another run or configuration, without a quantity, or with an id
            that cannot be the broker's tag.
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
    try:
        tag(event.intent_id)
    except ValueError as err:
        raise UndecodableError(str(err)) from err
    return event
