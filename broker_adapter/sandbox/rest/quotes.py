"""Snapshots of the market: full quotes, OHLC and last prices by symbol or token."""

from __future__ import annotations

from collections.abc import Callable

from litestar import get

from broker_adapter.sandbox import rows
from broker_adapter.sandbox.errors import bad_input
from broker_adapter.sandbox.feed.port import FeedInstrument
from broker_adapter.sandbox.market import Market
from broker_adapter.sandbox.rest.desk import Call, Reply, desk_of, success

MAX_QUOTES, MAX_LTPS = 500, 1000
Render = Callable[[Market, FeedInstrument], rows.Row | None]


@get("/quote", opt={"scope": "quote"})
async def quote(request: Call) -> Reply:
    return success(_quotes(request, MAX_QUOTES, _quote))


@get("/quote/ohlc", opt={"scope": "quote"})
async def ohlc(request: Call) -> Reply:
    return success(_quotes(request, MAX_LTPS, _ohlc))


@get("/quote/ltp", opt={"scope": "quote"})
async def ltp(request: Call) -> Reply:
    return success(_quotes(request, MAX_LTPS, _ltp))


PRIVATE = (quote, ohlc, ltp)


def _quote(market: Market, row: FeedInstrument) -> rows.Row | None:
    if row.token in market.index_packets:
        return rows.index_row(row, market.index_packets[row.token])
    packet = market.row(row.token)
    return None if packet is None else rows.quote_row(row, packet)


def _ohlc(market: Market, row: FeedInstrument) -> rows.Row | None:
    full = _quote(market, row)
    return full and {name: full[name] for name in ("instrument_token", "last_price", "ohlc")}


def _ltp(market: Market, row: FeedInstrument) -> rows.Row | None:
    full = _quote(market, row)
    return full and {name: full[name] for name in ("instrument_token", "last_price")}


def _quotes(request: Call, limit: int, render: Render) -> dict[str, rows.Row]:
    """Symbols without a packet yet, or unknown, are absent, as at Kite. Tokens may be given as numbers."""
    keys = request.query_params.getall("i", [])
    if not keys or len(keys) > limit:
        raise bad_input(f"`i` must be given 1 to {limit} times.")
    market = desk_of(request).exchange.market
    listed = {key: _instrument(market, key) for key in keys}
    quoted = {key: render(market, row) for key, row in listed.items() if row is not None}
    return {key: shown for key, shown in quoted.items() if shown is not None}


def _instrument(market: Market, key: str) -> FeedInstrument | None:
    """`NSE:INFY` or an instrument token; the sandbox is NSE only, so any other exchange is unknown."""
    if key.isascii() and key.isdigit():
        return market.instruments.get(int(key))
    return market.by_symbol.get(key.removeprefix("NSE:")) if key.startswith("NSE:") else None
