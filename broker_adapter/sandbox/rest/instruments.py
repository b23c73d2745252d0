"""The instruments file: Kite's CSV, gzip on the wire."""

from __future__ import annotations

import csv
import gzip
import io

from litestar import Response, get

from broker_adapter.sandbox.errors import bad_input
from broker_adapter.sandbox.exchange import Exchange
from broker_adapter.sandbox.rest.desk import Call, Reply, desk_of

CSV_COLUMNS = (
    "instrument_token", "exchange_token", "tradingsymbol", "name", "last_price", "expiry", "strike",
    "tick_size", "lot_size", "instrument_type", "segment", "exchange",
)  # fmt: skip


@get("/instruments")
async def instruments(request: Call) -> Reply:
    return _file(desk_of(request).exchange)


@get("/instruments/{exchange:str}")
async def exchange_instruments(request: Call) -> Reply:
    if request.path_params["exchange"] != "NSE":
        raise bad_input("Invalid exchange: the sandbox is NSE only.")
    return _file(desk_of(request).exchange)


PRIVATE = (instruments, exchange_instruments)


def _file(exchange: Exchange) -> Reply:
    return Response(_instruments_csv(exchange), media_type="text/csv", headers={"Content-Encoding": "gzip"})


def _instruments_csv(exchange: Exchange) -> bytes:
    """Kite's twelve columns; numeric zeros instead of empties; gzip without a time stamp, so stable."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in exchange.market.instruments.values():
        tick = f"{row.tick_size_paise / 100:g}"
        writer.writerow(
            (row.token, row.exchange_token, row.tradingsymbol, row.name, 0, "", 0, tick, row.lot_size, "EQ",
             row.segment, "NSE")
        )  # fmt: skip
    return gzip.compress(text.getvalue().encode(), mtime=0)
