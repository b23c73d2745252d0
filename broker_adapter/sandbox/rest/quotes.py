"""Snapshots of the market: full quotes, OHLC and last prices by symbol or token."""

from __future__ import annotations

from typing import Any

from litestar import get

from broker_adapter.sandbox import rows
from broker_adapter.sandbox.errors import bad_input
from broker_adapter.sandbox.rest.desk import Call, Reply, desk_of, success

MAX_QUOTES, MAX_LTPS = 500, 1000


@get("/quote", opt={"scope": "quote"})
async def quote(request: Call) -> Reply:
    return success(_quotes(request, MAX_QUOTES, rows.quote_row))


@get("/quote/ohlc", opt={"scope": "quote"})
async def ohlc(request: Call) -> Reply:
    return success(_quotes(request, MAX_LTPS, rows.ohlc_row))


@get("/quote/ltp", opt={"scope": "quote"})
async def ltp(request: Call) -> Reply:
    return success(
        _quotes(request, MAX_LTPS, lambda row, packet: rows.ltp_row(row, int(packet["last_price"])))
    )


PRIVATE = (quote, ohlc, ltp)


def _quotes(request: Call, limit: int, render: Any) -> dict[str, rows.Row]:
    """Symbols without a packet yet, or unknown, are absent, as at Kite. Tokens may be given as numbers."""
    keys = request.query_params.getall("i", [])
    if not keys or len(keys) > limit:
        raise bad_input(f"`i` must be given 1 to {limit} times.")
    market = desk_of(request).exchange.market
    found = {}
    for key in keys:
        symbol = key.removeprefix("NSE:")
        row = (
            market.instruments.get(int(key))
            if key.isascii() and key.isdigit()
            else market.by_symbol.get(symbol)
        )
        packet = market.row(row.token) if row else None
        if row is not None and packet is not None:
            found[key] = render(row, packet)
    return found
