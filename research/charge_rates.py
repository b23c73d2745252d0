"""Which charge rates a backtest of an old session uses.

The rates in force on the day, where they are known; else those of today, which answer the question a trader
has: would it have survived what trading costs now? It is said in the result, never done silently.
"""

from __future__ import annotations

from datetime import date

from kitepilot.orders.charges import RATES, Rates, rates_on

EARLIEST = RATES[0].since


def charged_as_on(session: date, as_of: date | None = None) -> date:
    """The date whose rates charge `session`: `as_of` if given, the day itself if its rates are known, else
    the newest in the table.

    >>> charged_as_on(date(2026, 4, 1)), charged_as_on(date(2016, 8, 1)) == RATES[-1].since
    (datetime.date(2026, 4, 1), True)
    """
    if as_of is not None:
        return as_of
    return session if session >= EARLIEST else RATES[-1].since


def rates_for(session: date, as_of: date | None = None) -> Rates:
    """Raises `ChargesError` when `as_of` is before the first known rates."""
    return rates_on(charged_as_on(session, as_of))


def assumption(sessions: list[date], as_of: date | None = None) -> str:
    """The sentence for the result; empty when every session is charged at its own day's rates."""
    other = [day for day in sessions if charged_as_on(day, as_of) != day]
    if not other:
        return ""
    used = sorted({charged_as_on(day, as_of) for day in other})
    return (
        f"{len(other)} of {len(sessions)} sessions are charged at the rates of "
        f"{', '.join(map(str, used))}, not of their own day"
    )
