"""The feed's instruments -> Kite's instruments CSV, with what else the real file holds around them.

Kite's file says neither which shares have derivatives nor which are in another series; one reads it off the
NFO rows and the suffixes. So each share of the closing auction gets its stock futures, and two shares in
other series are listed that nobody can trade here. Lot sizes of the futures are modelled (about ten lakh
rupees a contract), expiries are the month's last Tuesday or the session before it (NSE since Sep 2025).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from broker_adapter.sandbox.feed.port import FeedInstrument
from kitepilot.market import calendar

COLUMNS = (
    "instrument_token", "exchange_token", "tradingsymbol", "name", "last_price", "expiry", "strike",
    "tick_size", "lot_size", "instrument_type", "segment", "exchange",
)  # fmt: skip
EXCHANGES = ("NSE", "NFO", "BSE", "BFO", "CDS", "BCD", "MCX", "NCO")
OTHER_SERIES = (("KPTRADE4TRADE-BE", "TRADE FOR TRADE"), ("KPSMALL-SM", "SMALL ENTERPRISE"))
OTHER_SERIES_FROM = 40_001  # exchange tokens that no feed uses for shares
FUTURES_FROM = 100_000
CONTRACT_PAISE = 10_00_000_00
NSE_CODE, NFO_CODE = 1, 2

_Row = tuple[object, ...]


def instruments_csv(instruments: Iterable[FeedInstrument], day: date, exchange: str = "") -> bytes:
    """Kite's twelve columns, numeric zeros instead of empties; all exchanges or one of them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    listed = tuple(instruments)
    writer.writerows(row for row in (*_cash(listed), *_futures(listed, day)) if exchange in ("", row[-1]))
    return text.getvalue().encode()


def expiries(day: date, count: int = 3) -> list[date]:
    """The next monthly expiries from a session date on."""
    found: list[date] = []
    year, month = day.year, day.month
    while len(found) < count:
        following = date(year + month // 12, month % 12 + 1, 1)
        last = following - timedelta(days=1)
        expiry = last - timedelta(days=(last.weekday() - 1) % 7)
        while not _trades(expiry):
            expiry -= timedelta(days=1)
        if expiry >= day:
            found.append(expiry)
        year, month = following.year, following.month
    return found


def _trades(day: date) -> bool:
    try:
        return calendar.is_open(day)
    except calendar.UnknownDayError:
        return day.weekday() < 5  # next year's holidays are not announced yet


def _cash(listed: tuple[FeedInstrument, ...]) -> Iterator[_Row]:
    for row in listed:
        tick = f"{row.tick_size_paise / 100:g}"
        yield (row.token, row.exchange_token, row.tradingsymbol, row.name, "0.0", "", "0.0", tick,
               row.lot_size, "EQ", row.segment, "NSE")  # fmt: skip
    for number, (symbol, name) in enumerate(OTHER_SERIES, OTHER_SERIES_FROM):
        yield (number * 256 + NSE_CODE, number, symbol, name, "0.0", "", "0.0", "0.05", 1, "EQ", "NSE", "NSE")


def _futures(listed: tuple[FeedInstrument, ...], day: date) -> Iterator[_Row]:
    months = expiries(day)
    for row in listed:
        if not row.closing_auction:
            continue
        lot = max(1, CONTRACT_PAISE // (row.previous_close_paise * 25)) * 25
        for number, expiry in enumerate(months):
            token = FUTURES_FROM + row.exchange_token * len(months) + number
            symbol = f"{row.tradingsymbol}{expiry:%y%b}FUT".upper()
            tick = f"{row.tick_size_paise / 100:g}"
            yield (token * 256 + NFO_CODE, token, symbol, row.tradingsymbol, "0.0", expiry.isoformat(), "0.0",
                   tick, lot, "FUT", "NFO-FUT", "NFO")  # fmt: skip
