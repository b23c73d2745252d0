"""Kite's minute candles: the request's parameters, and the reply -> whole paise. Pure.

`from` and `to` are IST strings and include both ends, by the minute a candle begins in. A row is [time, open,
high, low, close, volume] and perhaps open interest; minutes without a trade are absent. Source: Kite Connect
v3 documentation, historical data, read 2026-07-14.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from kitepilot.market.calendar import NS_PER_S, to_ist

MINUTE_S = 60
MAX_PAISE = 2**31 - 1
MAX_REPLY_BYTES = 1 << 20
PRICES = 4


class CandleError(ValueError):
    """A reply that cannot be believed; says what is wrong with it."""


class Candle(NamedTuple):
    """One minute of one instrument; `begins_at` in epoch seconds (UTC), prices in paise."""

    begins_at: int
    open: int
    high: int
    low: int
    close: int
    volume: int


class _Data(msgspec.Struct):
    candles: list[list[Any]]


class _Reply(msgspec.Struct):
    data: _Data


_reply = msgspec.json.Decoder(_Reply, float_hook=Decimal)  # a price must not pass through binary fractions


def minute_path(token: int) -> str:
    """Where an instrument's minute candles are."""
    return f"/instruments/historical/{token}/minute"


def minute_query(first: int, last: int) -> dict[str, str]:
    """Candles that begin in minutes `first` to `last` (epoch seconds), both included."""
    return {
        name: f"{to_ist(at * NS_PER_S):%Y-%m-%d %H:%M:%S}" for name, at in (("from", first), ("to", last))
    }


def minute_candles(body: bytes, first: int, last: int, max_bytes: int = MAX_REPLY_BYTES) -> list[Candle]:
    """The candles of a reply, in order. Longer intervals than a minute begin in minutes too.

    Raises:
        CandleError: not Kite's shape; a price that is not whole paise, or not within low and high; a time
            that is no minute of the asked range, or out of order.
    """
    if len(body) > max_bytes:
        raise CandleError(f"a reply of {len(body)} bytes")
    try:
        rows = _reply.decode(body).data.candles
    except (msgspec.DecodeError, msgspec.ValidationError) as err:
        raise CandleError(f"no candles in the reply: {err}") from err
    candles = [_candle(row) for row in rows]
    before = first - 1
    for candle in candles:
        if not before < candle.begins_at <= last or candle.begins_at % MINUTE_S:
            raise CandleError(f"a candle of {candle.begins_at} in the reply for {first} to {last}")
        before = candle.begins_at
    return candles


def _candle(row: list[Any]) -> Candle:
    if len(row) not in (6, 7):
        raise CandleError(f"a candle of {len(row)} columns: {row!r:.200}")
    opened, high, low, close = (_paise(value) for value in row[1 : 1 + PRICES])
    volume = row[5]
    if type(volume) is not int or not 0 <= volume < 2**63:
        raise CandleError(f"a volume of {volume!r:.50}")
    if not low <= min(opened, close) <= max(opened, close) <= high:
        raise CandleError(f"prices outside low and high: {row!r:.200}")
    return Candle(_begins_at(row[0]), opened, high, low, close, volume)


def _begins_at(text: object) -> int:
    try:
        return int(datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%S%z").timestamp())
    except ValueError as err:
        raise CandleError(f"a time of {text!r:.50}") from err


def _paise(value: object) -> int:
    if type(value) is not int and not isinstance(value, Decimal):
        raise CandleError(f"a price of {value!r:.50}")
    rupees = Decimal(value)
    paise = rupees * 100
    if not 0 < rupees <= MAX_PAISE // 100 or paise != int(paise):
        raise CandleError(f"a price of {value!s:.50} rupees")
    return int(paise)
