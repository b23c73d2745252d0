"""Tick sizes and circuit limits of NSE cash shares as functions of price and date, in paise.

Source: the facts sheet's section 7.3 (NSE circulars: 0.01 below 250 rupees since 2024-06-10, the whole table
since 2025-04-15) and 7.4, read 2026-11-21. For a live account the daily instruments file is the authority.
"""

from __future__ import annotations

from datetime import date

_FINE_SINCE = date(2024, 6, 10)
_TABLE_SINCE = date(2025, 4, 15)
#: (previous close below or at this many paise, tick in paise)
_TABLE = ((24_999, 1), (100_000, 5), (500_000, 10), (1_000_000, 50), (2_000_000, 100))
_TOP_TICK = 500
CIRCUIT_BPS = 1_000


def tick_size_paise(previous_close_paise: int, on: date) -> int:
    """The tick of a share that closed at `previous_close_paise`, on a session date."""
    if on < _FINE_SINCE:
        return 5
    if on < _TABLE_SINCE:
        return 1 if previous_close_paise < 25_000 else 5
    return next((tick for limit, tick in _TABLE if previous_close_paise <= limit), _TOP_TICK)


def circuit_limits(previous_close_paise: int, tick_paise: int) -> tuple[int, int]:
    """(lower, upper): 10 % either side of the close, rounded inward to the tick, at least one tick."""
    width = previous_close_paise * CIRCUIT_BPS // 10_000
    lower = -(-(previous_close_paise - width) // tick_paise) * tick_paise
    upper = (previous_close_paise + width) // tick_paise * tick_paise
    return max(lower, tick_paise), max(upper, lower + tick_paise)
