"""Verified postbacks on the log -> hints for the order truth, as order frames are."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from kitepilot.events import PostbackReceived, UndecodableError, decode
from kitepilot.ports import EventLog
from kitepilot.topics import POSTBACKS

POLL_S = 0.05
MAX_RECORDS = 100


async def follow(log: EventLog, heard: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    """Pass on what arrives from now on; older ones are in the book by now. Ends by cancellation."""
    reader = log.reader({(POSTBACKS.name, 0): log.end_offset(POSTBACKS.name)})
    try:
        while True:
            records = reader.poll(MAX_RECORDS)
            for record in records:
                row = order_row(record.value)
                if row is not None:
                    await heard(row)
            if not records:
                await asyncio.sleep(POLL_S)
    finally:
        reader.close()


def order_row(value: bytes) -> dict[str, Any] | None:
    """The broker's row, or None for what is no postback: a hint less, and the book is read anyway."""
    try:
        event = decode(value)
        if isinstance(event, PostbackReceived):
            return msgspec.json.decode(event.body, type=dict[str, Any])
    except (UndecodableError, msgspec.DecodeError, msgspec.ValidationError) as err:
        sys.stderr.write(f"gateway: postback: {err}\n")
    return None
