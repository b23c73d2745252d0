"""Cells of a broker's CSV -> values: rupees with brackets and commas, dates, times, symbols, headings."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation

from kitepilot.events import Side

_DATES = ("%Y-%m-%d", "%d-%m-%Y", "%d/%m/%Y")
_UNIT = re.compile(r"\(\s*(rs\.?|₹)\s*\)")
_SERIES = re.compile(r"\s*-\s*(EQ|BE)$")
_SIDES = {"buy": Side.BUY, "b": Side.BUY, "sell": Side.SELL, "s": Side.SELL}


def heading(text: str) -> str:
    """A column's or line's name without case, spaces, units and footnotes: `Order No.` is `orderno`."""
    return re.sub(r"[^a-z]", "", _UNIT.sub("", text.lower()))


def paise(text: str) -> Decimal:
    """`(29,458.26)`, `29,458.26 DR`, `₹1.5000`, blank: paise, negative in brackets or with DR.

    Raises:
        ValueError: not an amount.
    """
    plain = text.strip().replace(",", "").replace("₹", "").strip()
    if plain in ("", "-"):
        return Decimal(0)
    upper = plain.upper()
    negative = (plain.startswith("(") and plain.endswith(")")) or upper.endswith("DR")
    plain = upper.removesuffix("DR").removesuffix("CR").strip().strip("()")
    try:
        amount = Decimal(plain) * 100
    except InvalidOperation as err:
        raise ValueError(f"{text!r} is not an amount in rupees") from err
    if not amount.is_finite():
        raise ValueError(f"{text!r} is not an amount in rupees")
    return -amount if negative else amount


def price_paise(text: str) -> int:
    """Raises `ValueError` for what is no price of a single trade."""
    amount = abs(paise(text))
    if amount != int(amount):
        raise ValueError(
            f"price {text!r} is finer than a paisa, so it is an average: export single trades (the trade "
            "annexure, or the tradebook)"
        )
    if not amount:
        raise ValueError(f"price {text!r} is zero")
    return int(amount)


def quantity(text: str) -> int:
    """`4`, `4.000000`, `1,000`. Raises `ValueError` for anything but a whole positive number of shares."""
    try:
        shares = Decimal(text.replace(",", "").strip())
    except InvalidOperation as err:
        raise ValueError(f"quantity {text!r} is not a number") from err
    if not shares.is_finite() or shares != int(shares) or shares <= 0:
        raise ValueError(f"quantity {text!r} is not a whole positive number of shares")
    return int(shares)


def side(text: str) -> Side:
    """`buy`, `B`, `SELL`, `s`. Raises `ValueError`."""
    try:
        return _SIDES[text.strip().lower()]
    except KeyError as err:
        raise ValueError(f"{text!r} is neither buy nor sell") from err


def day(text: str) -> date:
    """`2026-11-20`, `20-11-2026`, `20/11/2026`. Raises `ValueError`."""
    for form in _DATES:
        try:
            return datetime.strptime(text.strip(), form).replace(tzinfo=UTC).date()
        except ValueError:
            continue
    raise ValueError(f"{text!r} is not a date like 2026-11-20 or 20-11-2026")


def clock(text: str) -> time:
    """`09:56:04`, `2026-11-20T09:56:04`: IST to the second. Raises `ValueError`."""
    try:
        return time.fromisoformat(re.split(r"[T ]", text.strip())[-1]).replace(microsecond=0, tzinfo=None)
    except ValueError as err:
        raise ValueError(f"{text!r} is not a time like 09:56:04") from err


def symbol(text: str) -> str:
    """`INFY`, `INFY-EQ/INE009A01021`, `BAJAJ-AUTO - EQ`: the trading symbol. Raises `ValueError`."""
    name = _SERIES.sub("", text.partition("/")[0].strip().upper())
    if not name:
        raise ValueError("the symbol is missing")
    return name
