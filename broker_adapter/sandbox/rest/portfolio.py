"""What the account holds: positions of the day, and holdings, of which it has none."""

from __future__ import annotations

import secrets

from litestar import get, post, put

from broker_adapter.sandbox import rows
from broker_adapter.sandbox.errors import bad_input, bad_order
from broker_adapter.sandbox.exchange import Exchange
from broker_adapter.sandbox.rest.desk import Call, Reply, desk_of, form_of, required, success

CONVERSION = (
    "exchange", "tradingsymbol", "transaction_type", "position_type", "quantity", "old_product",
    "new_product",
)  # fmt: skip


@get("/portfolio/positions")
async def positions(request: Call) -> Reply:
    held = position_rows(desk_of(request).exchange)
    return success({"net": held, "day": held})


@put("/portfolio/positions")
async def convert(request: Call) -> Reply:
    """Kite would block a delivery's full value; this account trades intraday only, so it is refused."""
    form = await form_of(request)
    exchange, symbol, *_, quantity, old, new = required(form, *CONVERSION)
    held = {row["tradingsymbol"]: row["quantity"] for row in position_rows(desk_of(request).exchange)}
    if exchange != "NSE" or old != "MIS" or not quantity.isdigit():
        raise bad_input("Invalid conversion: the account has MIS positions on NSE only.")
    if not 0 < int(quantity) <= abs(held.get(symbol, 0)):
        raise bad_order(f"There is no position of {quantity[:12]} shares of {symbol[:40]} to convert.")
    raise bad_order(f"Positions cannot be converted from {old} to {new[:8]}: this account is intraday only.")


@get("/portfolio/holdings")
async def holdings(request: Call) -> Reply:
    return success([])


@get("/portfolio/holdings/summary")
async def holdings_summary(request: Call) -> Reply:
    names = ("total_pnl", "total_pnl_percent", "today_pnl", "today_pnl_percent", "invested_amount")
    return success(dict.fromkeys((*names, "current_value"), 0))


@get(["/portfolio/holdings/compact", "/portfolio/holdings/auctions"])
async def no_holdings(request: Call) -> Reply:
    return success([])


@post("/portfolio/holdings/authorise", status_code=200)
async def authorise(request: Call) -> Reply:
    """The id of an authorisation that a browser would complete; nobody completes it here."""
    return success({"request_id": secrets.token_hex(16)})


PRIVATE = (positions, convert, holdings, holdings_summary, no_holdings, authorise)


def position_rows(exchange: Exchange) -> list[rows.Row]:
    """Kite's position rows, in order of first trade; closed ones stay with quantity 0."""
    market = exchange.market
    return [
        rows.position_row(market.instruments[token], tally, market.last_paise(token))
        for token, tally in exchange.book.tallies.items()
    ]
