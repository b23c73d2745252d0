"""What the account holds: positions of the day, and holdings, of which it has none."""

from __future__ import annotations

from litestar import get

from broker_adapter.sandbox import rows
from broker_adapter.sandbox.exchange import Exchange
from broker_adapter.sandbox.rest.desk import Call, Reply, desk_of, success


@get("/portfolio/positions")
async def positions(request: Call) -> Reply:
    held = position_rows(desk_of(request).exchange)
    return success({"net": held, "day": held})


@get("/portfolio/holdings")
async def holdings(request: Call) -> Reply:
    return success([])


PRIVATE = (positions, holdings)


def position_rows(exchange: Exchange) -> list[rows.Row]:
    """Kite's position rows, in order of first trade; closed ones stay with quantity 0."""
    market = exchange.market
    return [
        rows.position_row(market.instruments[token], tally, market.last_paise(token))
        for token, tally in exchange.book.tallies.items()
    ]
