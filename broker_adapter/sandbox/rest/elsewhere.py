"""What Kite offers beyond intraday equity, as an account answers that has none of it.

GTT, alerts and mutual funds: lists are empty, single ones are not found, and nothing can be created.
"""

from __future__ import annotations

from litestar import delete, get, post, put

from broker_adapter.sandbox.errors import KiteError, bad_input
from broker_adapter.sandbox.rest.desk import Call, Reply, csv_file, desk_of, success

MF_COLUMNS = (
    "tradingsymbol,amc,name,purchase_allowed,redemption_allowed,minimum_purchase_amount,"
    "purchase_amount_multiplier,minimum_additional_purchase_amount,minimum_redemption_quantity,"
    "redemption_quantity_multiplier,dividend_type,scheme_type,plan,settlement_type,last_price,last_price_date\n"
)
LISTS = ["/gtt/triggers", "/alerts", "/mf/orders", "/mf/sips", "/mf/holdings", "/mf/allotments"]
SINGLES = ["/gtt/triggers/{key:str}", "/alerts/{key:str}", "/mf/orders/{key:str}", "/mf/sips/{key:str}"]


@get(LISTS)
async def nothing(request: Call) -> Reply:
    return success([])


@get([*SINGLES, "/alerts/{key:str}/history", "/mf/holdings/{key:str}"])
async def not_there(request: Call) -> Reply:
    raise _unknown(request)


@put(SINGLES)
async def not_changed(request: Call) -> Reply:
    raise _unknown(request)


@delete([*SINGLES, "/alerts"], status_code=200)
async def not_deleted(request: Call) -> Reply:
    raise _unknown(request)


@post(["/gtt/triggers", "/alerts", "/mf/orders", "/mf/sips"], status_code=200)
async def not_made(request: Call) -> Reply:
    raise bad_input("This account trades intraday equity only: GTT, alerts and mutual funds are not enabled.")


@get("/mf/instruments")
async def funds(request: Call) -> Reply:
    return csv_file(MF_COLUMNS.encode())


@get("/instruments/trigger_range/{side:str}")
async def trigger_range(request: Call) -> Reply:
    """Cover orders' triggers: anywhere between the day's circuit limits (Kite's own range is narrower)."""
    if request.path_params["side"] not in ("buy", "sell"):
        raise bad_input("Invalid `transaction_type`: expected buy or sell.")
    market = desk_of(request).exchange.market
    found = {
        key: market.by_symbol.get(key.removeprefix("NSE:")) for key in request.query_params.getall("i", [])
    }
    return success(
        {
            key: {
                "instrument_token": row.token,
                "lower": row.lower_circuit_paise / 100,
                "upper": row.upper_circuit_paise / 100,
            }
            for key, row in found.items()
            if row is not None
        }
    )


PRIVATE = (nothing, not_there, not_changed, not_deleted, not_made, funds, trigger_range)


def _unknown(request: Call) -> KiteError:
    return KiteError(404, "GeneralException", f"There is nothing at {request.url.path[:80]}.")
