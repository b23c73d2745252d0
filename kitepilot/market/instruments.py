"""The day's instruments file -> the instruments we may trade, with prices as exact paise."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Literal

#: Kite's columns that we read; the file has twelve (source: Kite Connect v3 documentation, read 2026-07-14).
REQUIRED_COLUMNS = (
    "instrument_token",
    "exchange_token",
    "tradingsymbol",
    "name",
    "tick_size",
    "lot_size",
    "instrument_type",
    "segment",
)
MAX_TICK_PAISE = 100_000

#: Kite appends the series to everything that is not plain EQ: `-BE`, `-SM`, `-N1`. BAJAJ-AUTO is plain.
_SERIES_SUFFIX = re.compile(r"-[A-Z][A-Z0-9]$")

RoundingMode = Literal["down", "up", "nearest"]


class InstrumentsError(ValueError):
    """The instruments file cannot be used; the text names row, column and value."""


@dataclass(frozen=True)
class Instrument:
    """One row of the instruments file. `token == exchange_token * 256 + segment code`."""

    token: int
    exchange_token: int
    tradingsymbol: str
    name: str
    tick_size_paise: int  # 0 for an index: it cannot be traded
    lot_size: int
    segment: str
    instrument_type: str
    closing_auction: bool = False  # the exchange's closing auction takes it; not in Kite's file

    @property
    def tradable(self) -> bool:
        """An NSE cash share of the normal series: no index, no bond, no trade-for-trade series."""
        return (
            self.segment == "NSE"
            and self.instrument_type == "EQ"
            and self.tick_size_paise > 0
            and self.lot_size == 1
            and not _SERIES_SUFFIX.search(self.tradingsymbol)
        )


def parse_instruments(csv_bytes: bytes) -> tuple[Instrument, ...]:
    """All rows of Kite's instruments CSV, in file order; an extra column `closing_auction` (0 or 1) is read.

    Raises:
        InstrumentsError: not UTF-8, a missing column, a cell that does not parse, a token that appears twice.
    """
    try:
        text = csv_bytes.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise InstrumentsError(f"instruments file: byte {err.start} is not UTF-8") from err
    reader = csv.DictReader(io.StringIO(text))
    missing = [name for name in REQUIRED_COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise InstrumentsError(f"instruments file: row 1 lacks the column(s) {', '.join(missing)}")
    instruments: dict[int, Instrument] = {}
    for row_number, row in enumerate(reader, start=2):
        instrument = _parse_row(row, row_number)
        if instrument.token in instruments:
            raise InstrumentsError(
                f"instruments file, row {row_number}, column instrument_token: {instrument.token} "
                f"appears twice: {instruments[instrument.token].tradingsymbol}, {instrument.tradingsymbol}"
            )
        instruments[instrument.token] = instrument
    return tuple(instruments.values())


def tradable(instruments: tuple[Instrument, ...]) -> tuple[Instrument, ...]:
    """Only what the desk may trade: see `Instrument.tradable`."""
    return tuple(instrument for instrument in instruments if instrument.tradable)


def with_closing_auction(
    instruments: tuple[Instrument, ...], tokens: frozenset[int]
) -> tuple[Instrument, ...]:
    """Mark those whose token is in `tokens` as closing-auction stocks."""
    return tuple(
        replace(instrument, closing_auction=instrument.token in tokens) for instrument in instruments
    )


def round_to_tick(price_paise: int, tick_size_paise: int, mode: RoundingMode) -> int:
    """Nearest multiple of the tick below, above, or closest (a tie goes up). Exact in paise.

    Raises:
        ValueError: the tick is not positive, or the price is negative.
    """
    if tick_size_paise <= 0 or price_paise < 0:
        raise ValueError(f"cannot round {price_paise} paise to a tick of {tick_size_paise} paise")
    offset = {"down": 0, "up": tick_size_paise - 1, "nearest": tick_size_paise // 2}[mode]
    return (price_paise + offset) // tick_size_paise * tick_size_paise


def paise(rupees: str) -> int:
    """Decimal text in rupees -> exact paise.

    Raises:
        ValueError: not a number, not finite, or finer than a paisa.
    """
    try:
        value = Decimal(rupees) * 100
    except InvalidOperation as err:
        raise ValueError(f"{rupees!r} is not a number") from err
    if not value.is_finite() or value != value.to_integral_value():
        raise ValueError(f"{rupees!r} is not a whole number of paise")
    return int(value)


def _parse_row(row: dict[str, str], row_number: int) -> Instrument:
    def cell(column: str) -> str:
        value = row.get(column)
        if value is None:
            raise InstrumentsError(
                f"instruments file, row {row_number}, column {column}: the row is cut short"
            )
        return value

    def integer(column: str) -> int:
        text = cell(column)
        if not text.isascii() or not text.isdigit():
            raise _bad_cell(row_number, column, f"{text!r} is not a whole number")
        return int(text)

    try:
        tick = paise(cell("tick_size"))
    except ValueError as err:
        raise _bad_cell(row_number, "tick_size", str(err)) from err
    if not 0 <= tick <= MAX_TICK_PAISE:
        raise _bad_cell(row_number, "tick_size", f"{tick} paise is outside 0..{MAX_TICK_PAISE}")
    if not cell("tradingsymbol"):
        raise _bad_cell(row_number, "tradingsymbol", "is empty")
    return Instrument(
        token=integer("instrument_token"),
        exchange_token=integer("exchange_token"),
        tradingsymbol=cell("tradingsymbol"),
        name=cell("name"),
        tick_size_paise=tick,
        lot_size=integer("lot_size"),
        segment=cell("segment"),
        instrument_type=cell("instrument_type"),
        closing_auction=row.get("closing_auction", "") == "1",
    )


def _bad_cell(row_number: int, column: str, why: str) -> InstrumentsError:
    return InstrumentsError(f"instruments file, row {row_number}, column {column}: {why}")
