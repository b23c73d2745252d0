"""Historical candles: /instruments/historical/{token}/{interval}."""

from __future__ import annotations

from datetime import datetime, timedelta

from litestar import get

from broker_adapter.sandbox.candles import MAX_DAYS
from broker_adapter.sandbox.errors import bad_input
from broker_adapter.sandbox.minute_bars import NS_PER_S, Bar
from broker_adapter.sandbox.rest.desk import Call, Reply, desk_of, required, success
from kitepilot.market.calendar import IST, to_ist

STAMPS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d")


@get("/instruments/historical/{token:str}/{interval:str}", opt={"scope": "candle"})
async def historical(request: Call) -> Reply:
    """`continuous` changes nothing: it joins futures contracts, and shares have none. `oi` is 0."""
    token, interval = request.path_params["token"], request.path_params["interval"]
    desk = desk_of(request)
    if interval not in MAX_DAYS:
        raise bad_input("invalid interval")
    if not (token.isascii() and token.isdigit()) or int(token) not in desk.exchange.market.instruments:
        raise bad_input("invalid token")
    first, last = (_instant(text) for text in required(dict(request.query_params), "from", "to"))
    if first > last:
        raise bad_input("invalid from date: it is after the to date")
    if last - first > timedelta(days=MAX_DAYS[interval]):
        raise bad_input(f"interval exceeds max limit: {MAX_DAYS[interval]} days")
    bars = await desk.candles.candles(int(token), interval, _ns(first), _ns(last))
    with_oi = request.query_params.get("oi") == "1"
    return success({"candles": [_row(bar, with_oi) for bar in bars]})


PRIVATE = (historical,)


def _instant(text: str) -> datetime:
    for form in STAMPS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=IST)
        except ValueError:
            continue
    raise bad_input("invalid date: expected yyyy-mm-dd hh:mm:ss")


def _ns(at: datetime) -> int:
    return int(at.timestamp()) * NS_PER_S


def _row(bar: Bar, with_oi: bool) -> list[object]:
    stamp = to_ist(bar.opens_s * NS_PER_S).strftime("%Y-%m-%dT%H:%M:%S%z")
    prices = [price / 100 for price in (bar.open, bar.high, bar.low, bar.close)]
    return [stamp, *prices, bar.volume, *([0] if with_oi else [])]
