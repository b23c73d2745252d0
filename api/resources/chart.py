"""GET candles and features: from the book of analysis, some tenths of a second behind the market."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite
from typing import Annotated, Any, Literal

import msgspec
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from api import cursors
from api.cursors import Cursor
from api.problems import Problem
from api.resources import examples
from api.resources.examples import AT, RUN
from api.resources.route import read
from api.services import Services
from api.times import IST, Instant, instant

INTERVALS = {"1s": 1, "1m": 60, "3m": 180, "5m": 300, "10m": 600, "15m": 900, "30m": 1_800, "60m": 3_600}
#: As the broker names the candles it keeps.
KEPT = {"1m": "minute", "3m": "3minute", "5m": "5minute", "10m": "10minute", "15m": "15minute",
        "30m": "30minute", "60m": "60minute", "1d": "day"}  # fmt: skip
OPENS_S = 13_500  # 09:15 IST is 03:45 UTC: from there intervals are counted, as the broker counts them
MOST_CANDLES = 5_000
MOST_FEATURES = 200
LATEST_NS = 1 << 62

Interval = Literal["1s", "1m", "3m", "5m", "10m", "15m", "30m", "60m", "1d"]
Symbol = Annotated[str, QueryParameter(min_length=1, max_length=64, description="Trading symbol.")]
Since = Annotated[datetime | None, QueryParameter(name="from", description="From it on; IST without offset.")]
Until = Annotated[datetime | None, QueryParameter(name="to", description="Before it; IST without offset.")]
RunId = Annotated[
    str | None, QueryParameter(name="run", max_length=64, description="Another run than the one that is up.")
]

#: Bars of a run: its smallest of that length, put together from 09:15 on.
_OF_RUN = """
    SELECT intDiv(toUnixTimestamp(b.close_at) - {made:Int64} - {opens:Int64}, {step:Int64}) * {step:Int64}
               + {opens:Int64} AS begins_s,
           argMin(b.open_paise, b.close_at) AS open_paise, max(b.high_paise) AS high_paise,
           min(b.low_paise) AS low_paise, argMax(b.close_paise, b.close_at) AS close_paise,
           sum(b.volume) AS volume
    FROM bars AS b
    WHERE b.run_id = {run:String} AND b.token = {token:UInt32} AND b.interval_s = {made:Int64}
        AND NOT b.backfilled
        AND toUnixTimestamp64Nano(b.close_at) - {made:Int64} * 1000000000 >= {since:Int64}
        AND toUnixTimestamp64Nano(b.close_at) - {made:Int64} * 1000000000 < {until:Int64}
    GROUP BY begins_s
    HAVING begins_s > {after:Int64}
    ORDER BY begins_s LIMIT {limit:UInt32}"""
_KEPT = """
    SELECT toUnixTimestamp(begins_at) AS begins_s, open_paise, high_paise, low_paise, close_paise, volume
    FROM candles
    WHERE interval = {interval:String} AND tradingsymbol = {symbol:String}
        AND toUnixTimestamp64Milli(begins_at) * 1000000 >= {since:Int64}
        AND toUnixTimestamp64Milli(begins_at) * 1000000 < {until:Int64}
        AND toUnixTimestamp(begins_at) > {after:Int64}
    ORDER BY begins_at LIMIT {limit:UInt32}"""
_FEATURES = """
    SELECT toUnixTimestamp64Nano(close_at) AS close_ns, names, values FROM features
    WHERE run_id = {run:String} AND token = {token:UInt32} AND interval_s = {made:Int64}
        AND toUnixTimestamp64Nano(close_at) >= {since:Int64}
        AND toUnixTimestamp64Nano(close_at) < {until:Int64}
        AND toUnixTimestamp64Nano(close_at) > {after:Int64}
    ORDER BY close_at LIMIT {limit:UInt32}"""


class Candle(msgspec.Struct, frozen=True):
    """Labelled by the start of its interval. Prices in paise."""

    begins: Instant
    open_paise: int
    high_paise: int
    low_paise: int
    close_paise: int
    volume: int


class CandlePage(msgspec.Struct, frozen=True):
    """Oldest first. `next` is null where there is no more."""

    tradingsymbol: str
    interval: str
    items: list[Candle]
    next: str | None


class FeatureRow(msgspec.Struct, frozen=True):
    """One bar close; null while a feature warms up."""

    closes: Instant
    values: dict[str, float | None]


class FeaturePage(msgspec.Struct, frozen=True):
    """Oldest first. `next` is null where there is no more."""

    run_id: str
    tradingsymbol: str
    interval_s: int
    items: list[FeatureRow]
    next: str | None


_CANDLE = {
    "begins": AT, "open_paise": 150_200, "high_paise": 150_400, "low_paise": 150_150, "close_paise": 150_350,
    "volume": 41_250,
}  # fmt: skip
_FEATURE = {"closes": AT, "values": {"return_1m": 0.0004, "vwap_distance": -0.0011}}


@read(
    "/candles",
    operation_id="listCandles",
    summary="Candles of one instrument, oldest first",
    answers=CandlePage,
    example={"tradingsymbol": "INFY", "interval": "1m", **examples.page(_CANDLE)},
    also=(404, 503),
)
async def candles(
    services: NamedDependency[Services],
    symbol: Symbol,
    interval: FromQuery[Interval] = "1m",
    source: Annotated[
        Literal["run", "history"],
        QueryParameter(description="run: made from its ticks. history: the broker's, as they were imported."),
    ] = "run",
    since: Since = None,
    until: Until = None,
    run_id: RunId = None,
    limit: Annotated[int, QueryParameter(ge=1, le=MOST_CANDLES)] = 500,
    cursor: Cursor = None,
) -> CandlePage:
    """Those of a run longer than a minute are put together from its 1 m bars, from 09:15 IST on."""
    name = f"candles {source} {symbol} {interval}"
    values: dict[str, Any] = {**_span(since, until), "after": _after(name, cursor), "limit": limit + 1}
    if source == "history":
        if interval not in KEPT:
            raise Problem("not_found", f"history has {', '.join(KEPT)}.")
        rows = await services.analysis.rows(_KEPT, values | {"interval": KEPT[interval], "symbol": symbol})
    else:
        if interval not in INTERVALS:
            raise Problem("not_found", f"A run has {', '.join(INTERVALS)}; days are in history.")
        step = INTERVALS[interval]
        chosen = {"run": run_id or services.run.run_id, "token": _token(services, symbol)}
        values |= chosen | {"step": step, "made": min(step, 60), "opens": OPENS_S}
        rows = await services.analysis.rows(_OF_RUN, values)
    following = cursors.sealed(name, rows[limit - 1]["begins_s"]) if len(rows) > limit else None
    return CandlePage(symbol, interval, [_candle(row) for row in rows[:limit]], following)


@read(
    "/features",
    operation_id="listFeatures",
    summary="Features of one instrument at each bar close, oldest first",
    answers=FeaturePage,
    example={"run_id": RUN, "tradingsymbol": "INFY", "interval_s": 60, **examples.page(_FEATURE)},
    also=(404, 503),
)
async def features(
    services: NamedDependency[Services],
    symbol: Symbol,
    interval: FromQuery[Literal["1s", "1m"]] = "1m",
    since: Since = None,
    until: Until = None,
    run_id: RunId = None,
    limit: Annotated[int, QueryParameter(ge=1, le=MOST_FEATURES)] = 60,
    cursor: Cursor = None,
) -> FeaturePage:
    name, made = f"features {symbol} {interval}", INTERVALS[interval]
    of_run = run_id or services.run.run_id
    chosen = {"run": of_run, "token": _token(services, symbol), "made": made}
    page = {"after": _after(name, cursor), "limit": limit + 1}
    rows = await services.analysis.rows(_FEATURES, _span(since, until) | chosen | page)
    following = cursors.sealed(name, rows[limit - 1]["close_ns"]) if len(rows) > limit else None
    return FeaturePage(of_run, symbol, made, [_feature_row(row) for row in rows[:limit]], following)


def _token(services: Services, symbol: str) -> int:
    for terms in services.day.terms.values():
        if terms.tradingsymbol == symbol:
            return terms.token
    raise Problem("not_found", "Not among this run's instruments: GET /api/v1/instruments.")


def _span(since: datetime | None, until: datetime | None) -> dict[str, int]:
    return {"since": _ns(since) if since else 0, "until": _ns(until) if until else LATEST_NS}


def _ns(moment: datetime) -> int:
    """Naive is IST. What a database cannot hold is its earliest or latest moment."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=IST)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    try:
        seconds = int((aware - epoch).total_seconds())
    except OverflowError:
        return 0
    return min(max(seconds * 10**9, 0), LATEST_NS)


def _after(name: str, cursor: str | None) -> int:
    key = cursors.opened(name, cursor, int)
    return int(key[0]) if key else -1


def _candle(row: dict[str, Any]) -> Candle:
    return Candle(
        begins=instant(int(row["begins_s"]) * 10**9),
        open_paise=int(row["open_paise"]),
        high_paise=int(row["high_paise"]),
        low_paise=int(row["low_paise"]),
        close_paise=int(row["close_paise"]),
        volume=int(row["volume"]),
    )


def _feature_row(row: dict[str, Any]) -> FeatureRow:
    values = {
        str(name): float(value) if isfinite(value) else None
        for name, value in zip(row["names"], row["values"], strict=True)
    }
    return FeatureRow(instant(int(row["close_ns"])), values)


ROUTES = (candles, features)
