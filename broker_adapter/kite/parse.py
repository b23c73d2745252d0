"""Kite's JSON rows -> our words. Pure; every oddity of a row is an error that names field and value.

Prices arrive as JSON numbers in rupees; they become integer paise through their shortest decimal form, which
is exact for prices. Times are IST strings without an offset. Status words go through the one table in
`kitepilot.orders.order_machine`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any

from kitepilot.events import OrderStatus, Side
from kitepilot.orders.intents import is_ours
from kitepilot.orders.order_machine import TRANSITIONS, hear
from kitepilot.ports import BandReport, FundsReport, OrderReport, PositionReport, TradeReport

Row = Mapping[str, Any]
IST = timedelta(hours=5, minutes=30)
INTRADAY = "MIS"
EXCHANGE = "NSE"
TIME_CHARACTERS = 19
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RowError(ValueError):
    """A row of the broker lacks or garbles a field; names row kind, field and value."""


def ours_to_see(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows of the NSE cash market. What the owner trades elsewhere has other price units, and its own
    positions: it can neither meet ours nor stop us from reading them."""
    return (row for row in rows if row.get("exchange", EXCHANGE) == EXCHANGE)


def order_report(row: Row) -> OrderReport:
    """A row of `/orders` or the payload of an order frame.

    Raises:
        RowError: a field we rely on is missing or of the wrong kind.
    """
    word = _text(row, "status")
    return OrderReport(
        order_id=_text(row, "order_id"),
        tag=_tag(row),
        tradingsymbol=_text(row, "tradingsymbol"),
        token=_whole(row, "instrument_token"),
        side=_side(row),
        quantity=_whole(row, "quantity"),
        filled_quantity=_whole(row, "filled_quantity"),
        average_price_paise=_paise(row, "average_price", exact=False),
        status=TRANSITIONS[OrderStatus.SUBMITTING, hear(word)],
        venue_status=word,
        message=str(row.get("status_message") or row.get("status_message_raw") or ""),
        updated_at=_time(row, "exchange_update_timestamp") or _time(row, "order_timestamp"),
        product=str(row.get("product") or INTRADAY),
        placed_by=str(row.get("placed_by") or ""),
        by_broker=_by_broker(row),
    )


def trade_report(row: Row) -> TradeReport:
    """A row of `/trades` or `/orders/{id}/trades`.

    Raises:
        RowError: as `order_report`; also a price that is not a whole number of paise.
    """
    return TradeReport(
        order_id=_text(row, "order_id"),
        trade_id=_text(row, "trade_id"),
        tradingsymbol=_text(row, "tradingsymbol"),
        token=_whole(row, "instrument_token"),
        side=_side(row),
        quantity=_whole(row, "quantity"),
        price_paise=_paise(row, "average_price", exact=True),
        traded_at=_time(row, "exchange_timestamp") or _time(row, "fill_timestamp"),
        product=str(row.get("product") or INTRADAY),
    )


def positions(data: Row) -> list[PositionReport]:
    """`/portfolio/positions` -> the net MIS positions, flat ones included.

    Raises:
        RowError: no `net` list, or a row without the fields we need.
    """
    net = data.get("net")
    if not isinstance(net, list):
        raise RowError(f"positions carry no `net` list but {type(net).__name__}")
    return [
        PositionReport(_text(row, "tradingsymbol"), _whole(row, "instrument_token"), _whole(row, "quantity"))
        for row in ours_to_see(net)
        if row.get("product") == INTRADAY
    ]


def funds(data: Row) -> FundsReport:
    """`/user/margins/equity` -> what may be spent and what is used.

    `net` and `utilised.debits`: the samples' sum formulas do not hold, so nothing is computed from the rest.

    Raises:
        RowError: either figure is missing or not a number.
    """
    utilised = data.get("utilised")
    if not isinstance(utilised, Mapping):
        raise RowError(f"funds carry no `utilised` but {type(utilised).__name__}")
    return FundsReport(
        available_paise=paise(data.get("net"), exact=False),
        used_paise=paise(utilised.get("debits"), exact=False),
    )


def bands(data: Mapping[str, Row]) -> list[BandReport]:
    """`/quote` -> circuit limits. Kite is silent about symbols it does not know, and so are we.

    Raises:
        RowError: a quote without its circuit limits.
    """
    return [
        BandReport(
            token=_whole(row, "instrument_token"),
            lower_paise=paise(row.get("lower_circuit_limit"), exact=False),
            upper_paise=paise(row.get("upper_circuit_limit"), exact=False),
        )
        for row in data.values()
    ]


def intraday_margins(rows: Iterable[Row], value_paise: int) -> dict[str, int]:
    """`/margins/orders` of orders worth `value_paise` each -> margin in bps by symbol, rounded up.

    0 where the broker blocks nothing: it takes no intraday order.

    Raises:
        RowError: a row without its symbol or total.
    """
    return {
        _text(row, "tradingsymbol"): -(-paise(row.get("total"), exact=False) * 10_000 // value_paise)
        for row in rows
    }


def clock_skew_ms(date_header: str, sent_s: float, heard_s: float) -> int:
    """Our clock less the broker's, when its reply carries this HTTP date; true to half a second.

    `sent_s` and `heard_s`: our clock in seconds. The reply is taken to be written half way between.

    Raises:
        RowError: no date.
    """
    try:
        theirs = parsedate_to_datetime(date_header).timestamp() + 0.5  # the header is cut to a second
    except ValueError as err:
        raise RowError(f"the broker's reply carries the date {date_header!r}") from err
    return round(((sent_s + heard_s) / 2 - theirs) * 1_000)


def ist_ns(text: str) -> int:
    """`2026-11-20 09:15:00` (IST) -> ns UTC.

    Raises:
        RowError: not of that form.
    """
    try:
        if len(text) != TIME_CHARACTERS:
            raise ValueError(text)
        local = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as err:
        raise RowError(f"time {text!r} is not like 2026-11-20 09:15:00") from err
    return (local - IST - _EPOCH) // timedelta(microseconds=1) * 1_000


def paise(value: object, *, exact: bool) -> int:
    """Rupees as a JSON number or text -> integer paise; inexact figures (averages) round half to even.

    Raises:
        RowError: not a number, not finite, or finer than a paisa where `exact`.
    """
    try:
        amount = Decimal(str(value)) * 100
        whole = amount.to_integral_value(ROUND_HALF_EVEN)
    except InvalidOperation as err:
        raise RowError(f"price {value!r} is not a number") from err
    if not amount.is_finite() or (exact and whole != amount):
        raise RowError(f"price {value!r} is not a whole number of paise")
    return int(whole)


def _text(row: Row, field: str) -> str:
    value = row.get(field)
    if value is None or value == "":
        raise RowError(f"row without {field}: {_shown(row)}")
    return str(value)


def _whole(row: Row, field: str) -> int:
    value = row.get(field)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise RowError(f"{field} {value!r} is not a whole number: {_shown(row)}")
    return int(value)


def _side(row: Row) -> Side:
    try:
        return Side(_text(row, "transaction_type"))
    except ValueError as err:
        raise RowError(f"transaction_type {row.get('transaction_type')!r} is neither BUY nor SELL") from err


def _paise(row: Row, field: str, *, exact: bool) -> int:
    value = row.get(field)
    if value is None and not exact:
        return 0
    try:
        return paise(value, exact=exact)
    except RowError as err:
        raise RowError(f"{field}: {err}: {_shown(row)}") from err


def _time(row: Row, field: str) -> int:
    """ns UTC, or 0 where the broker has none yet (an order that never reached the exchange)."""
    value = row.get(field)
    return ist_ns(str(value)) if value else 0


def _tag(row: Row) -> str:
    """Ours wherever it stands: Kite adds tags of its own, and which of them is `tag` is not promised."""
    first = str(row.get("tag") or "")
    tags = row.get("tags")
    listed = [first, *(str(each) for each in tags)] if isinstance(tags, list) else [first]
    return next((each for each in listed if is_ours(each)), first)


def _by_broker(row: Row) -> bool:
    """Orders the account's own user placed carry his id twice; the broker's desk signs with its own."""
    placed_by, account = row.get("placed_by"), row.get("account_id")
    return bool(placed_by and account and placed_by != account)


def _shown(row: Row) -> str:
    return f"order {row.get('order_id')!r}, {row.get('tradingsymbol')!r}"
