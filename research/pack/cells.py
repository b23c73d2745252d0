"""Values of the marts -> cells as they are read: rupees in lakh and crore, IST, bps, a dash for nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from kitepilot.market.calendar import IST
from kitepilot.money import rupees
from research.pack.book import Row
from research.pack.document import Cell, Table, Tone

DASH = "–"
WHOLE_FROM_MS = 100
Read = Callable[[Any], Cell]
#: head, column of the mart, how its value is read
Column = tuple[str, str, Read]
Columns = tuple[Column, ...]


def money(paise: Any) -> Cell:
    """Paise as rupees, without a tone: charges, turnover."""
    return Cell(DASH if paise is None else rupees(paise))


def result(paise: Any) -> Cell:
    """Paise as rupees, green above nothing and red below."""
    if paise is None:
        return Cell(DASH)
    return Cell(rupees(paise), "good" if paise > 0 else "bad" if paise < 0 else "")


def bps(value: Any) -> Cell:
    return number(value, 1)


def share(value: Any) -> Cell:
    """0.25 -> 25 %."""
    return Cell(DASH if not _there(value) else f"{100 * value:.0f} %")


def ratio(value: Any) -> Cell:
    return number(value, 2)


def correlation(value: Any) -> Cell:
    return number(value, 3)


def milliseconds(value: Any) -> Cell:
    return number(value, 1 if _there(value) and abs(value) < WHOLE_FROM_MS else 0)


def number(value: Any, decimals: int) -> Cell:
    if not _there(value):
        return Cell(DASH)
    text = f"{value:,.{decimals}f}"
    return Cell(text.removeprefix("-") if float(text.replace(",", "")) == 0 else text)


def plain(value: Any) -> Cell:
    """A number of any size, without a unit."""
    return number(value, 0 if value is not None and float(value).is_integer() else 2)


def count(value: Any) -> Cell:
    return Cell(DASH if value is None else f"{value:,}")


def text(value: Any) -> Cell:
    """Words; names of codes lose their underscores."""
    return Cell(str(value).replace("_", " ") if value not in (None, "") else DASH)


def name(value: Any) -> Cell:
    """A name as it is: symbols, strategies, ids."""
    return Cell(str(value) if value not in (None, "") else DASH)


def yes(value: Any) -> Cell:
    return Cell("yes" if value else "no")


def clock(at: Any) -> Cell:
    """`15:04:05` IST of a mart's time, whatever zone it carries; one without a zone is UTC."""
    return Cell(DASH if at is None else f"{in_ist(at):%H:%M:%S}")


def status(value: Any) -> Cell:
    """What a rule or a comparison came to."""
    tones: dict[str, Tone] = {"held": "good", "broken": "bad"}
    return Cell(str(value).replace("_", " "), tones.get(str(value), "soft"))


def in_ist(at: datetime) -> datetime:
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(IST)


def table(
    rows: Sequence[Row],
    columns: Columns,
    *,
    title: str = "",
    most: int = 0,
    rest: str = "",
) -> Table:
    """Rows by these columns; at most `most` of them (0: all), the rest is in the file `rest`.

    Raises:
        KeyError: a row has no such column.
    """
    shown = rows[:most] if most else rows
    words = frozenset(head for head, _, read in columns if read in (text, name, clock, status, yes))
    return Table(
        tuple(head for head, _, _ in columns),
        tuple(tuple(read(row[column]) for _, column, read in columns) for row in shown),
        text=words,
        title=title,
        left_out=len(rows) - len(shown),
        rest=rest,
    )


def _there(value: Any) -> bool:
    return value is not None and math.isfinite(value)
