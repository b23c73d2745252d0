"""The instruments file: Kite's CSV, gzip on the wire."""

from __future__ import annotations

import gzip

from litestar import get

from broker_adapter.sandbox.errors import bad_input
from broker_adapter.sandbox.instruments_file import EXCHANGES, instruments_csv
from broker_adapter.sandbox.rest.desk import Call, Reply, csv_file, desk_of


@get("/instruments")
async def instruments(request: Call) -> Reply:
    return _file(request, "")


@get("/instruments/{exchange:str}")
async def exchange_instruments(request: Call) -> Reply:
    exchange = request.path_params["exchange"]
    if exchange not in EXCHANGES:
        raise bad_input(f"Invalid `exchange`: expected one of {', '.join(EXCHANGES)}.")
    return _file(request, exchange)


PRIVATE = (instruments, exchange_instruments)


def _file(request: Call, exchange: str) -> Reply:
    """Gzip without a time stamp: the same day gives the same bytes."""
    venue = desk_of(request).exchange
    text = instruments_csv(venue.market.instruments.values(), venue.session.date, exchange)
    return csv_file(gzip.compress(text, mtime=0), **{"Content-Encoding": "gzip"})
