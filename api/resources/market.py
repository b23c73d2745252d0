"""GET instruments, quotes and positions: the market as the decisions see it, and what is held in it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from api.day_rows import instrument_row, position_rows, quote_row
from api.problems import Problem
from api.resources import examples
from api.resources.route import read
from api.rows import InstrumentRow, PositionRow, QuoteRow
from api.services import Services

Symbols = Annotated[
    str,
    QueryParameter(max_length=4_000, description="Trading symbols, comma separated; all without."),
]


class Instruments(msgspec.Struct, frozen=True):
    items: list[InstrumentRow]


class Quotes(msgspec.Struct, frozen=True):
    items: list[QuoteRow]


class Positions(msgspec.Struct, frozen=True):
    """Those held first."""

    items: list[PositionRow]


@read(
    "/instruments",
    operation_id="listInstruments",
    summary="The instruments of the run, by symbol",
    answers=Instruments,
    example={"items": [examples.LISTED]},
)
async def instruments(services: NamedDependency[Services]) -> Instruments:
    terms = services.day.terms.values()
    return Instruments([instrument_row(each) for each in sorted(terms, key=lambda each: each.tradingsymbol)])


@read(
    "/quotes",
    operation_id="listQuotes",
    summary="The last quote of each instrument, by symbol",
    answers=Quotes,
    example={"items": [examples.QUOTE]},
    also=(404,),
)
async def quotes(services: NamedDependency[Services], symbols: Symbols = "") -> Quotes:
    """As the last mark of the session has it, one a second."""
    day = services.day
    wanted = {each.strip() for each in symbols.split(",") if each.strip()}
    if unknown := wanted - {each.tradingsymbol for each in day.terms.values()}:
        raise Problem("not_found", f"Not among this run's instruments: {', '.join(sorted(unknown)[:10])}.")
    rows = [quote_row(day, token, quote) for token, quote in list(day.quotes.items())]
    return Quotes(
        sorted(
            (row for row in rows if not wanted or row.tradingsymbol in wanted),
            key=lambda row: row.tradingsymbol,
        )
    )


@read(
    "/positions",
    operation_id="listPositions",
    summary="What is held and what was traded today, by symbol",
    answers=Positions,
    example={"items": [examples.POSITION]},
)
async def positions(services: NamedDependency[Services]) -> Positions:
    """Folded from fills; `stop_price_paise` is where the decisions would leave."""
    return Positions(position_rows(services.day))


ROUTES = (instruments, quotes, positions)
