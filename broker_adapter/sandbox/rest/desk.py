"""What the REST handlers share: the account's desk, Kite's envelope, and how a request is read."""

from __future__ import annotations

import urllib.parse
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Request, Response

from broker_adapter.sandbox.accounts import Accounts
from broker_adapter.sandbox.candles import CandleDesk
from broker_adapter.sandbox.errors import bad_input
from broker_adapter.sandbox.exchange import Exchange
from broker_adapter.sandbox.limits import RateLimiter
from broker_adapter.sandbox.session_clock import SessionClock

Call = Request[Any, Any, Any]
Reply = Response[bytes]
HANDLING = "kitepilot.handling"  # in a request's scope: what goes wrong with its placement

MAX_ITEMS = 500


async def in_memory() -> None:
    """Nothing is kept, so there is nothing to wait for."""


@dataclass
class Desk:
    """One per sandbox, kept in the app's state as `desk`.

    `settled` returns when what was asked so far would survive the machine: no order is answered before.
    """

    accounts: Accounts
    exchange: Exchange
    clock: SessionClock
    limiter: RateLimiter
    candles: CandleDesk
    settled: Callable[[], Awaitable[None]] = in_memory


def desk_of(request: Call) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def success(data: object) -> Reply:
    """Kite's envelope around `data`."""
    body = msgspec.json.encode({"status": "success", "data": data})
    return Response(body, media_type="application/json")


def csv_file(body: bytes, **headers: str) -> Reply:
    """A CSV body. Exactly `text/csv`: with a charset behind it Kite's Node client hands out raw text."""
    return Response(body, media_type="text/csv", headers={"Content-Type": "text/csv", **headers})


async def form_of(request: Call) -> dict[str, str]:
    """An urlencoded body; the last of a repeated field counts."""
    try:
        body = (await request.body()).decode()
        return dict(urllib.parse.parse_qsl(body, keep_blank_values=True, max_num_fields=100))
    except ValueError as err:
        raise bad_input("The request body is not a form.") from err


async def items_of(request: Call) -> list[dict[str, Any]]:
    """A JSON body: an array of objects, one per order. Raises KiteError 400."""
    try:
        items = msgspec.json.decode(await request.body(), type=list[dict[str, Any]])
    except (msgspec.DecodeError, msgspec.ValidationError) as err:
        raise bad_input("The request body must be a JSON array of orders.") from err
    if not 1 <= len(items) <= MAX_ITEMS:
        raise bad_input(f"The request body must hold 1 to {MAX_ITEMS} orders.")
    return items


def required(form: Mapping[str, str], *names: str) -> list[str]:
    """The named fields in order. Raises KiteError 400 for one that is missing or empty."""
    for name in names:
        if not form.get(name):
            raise bad_input(f"Missing or empty field `{name}`")
    return [form[name] for name in names]
