"""Outcomes made of stated round trips, for tests of what reads them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time

import numpy as np

from kitepilot.market.calendar import IST
from research.outcome import Curve, Outcome, Trade

MINUTE = 60_000_000_000


def opening(day: date) -> int:
    return int(datetime.combine(day, time(9, 15), IST).timestamp()) * 1_000_000_000


def round_trip(
    day: date, gross_paise: int, minute: int = 10, symbol: str = "ALPHA", reason: str = "signal"
) -> Trade:
    """100 shares bought at 1,000 rupees, held for five minutes; charges of 100 paise."""
    at = opening(day) + minute * MINUTE
    return Trade(
        session=day,
        tradingsymbol=symbol,
        strategy="test",
        long=True,
        quantity=100,
        opened_at=at,
        closed_at=at + 5 * MINUTE,
        entry_paise=10_000_000,
        exit_paise=10_000_000 + gross_paise,
        gross_paise=gross_paise,
        charges_paise=100,
        slippage_paise=40,
        exit_reason=reason,
    )


def curve_of(net_paise: Sequence[int], first: int = 0) -> Curve:
    net = np.array(net_paise, dtype=np.int64)
    at = first + MINUTE * np.arange(1, len(net) + 1, dtype=np.int64)
    held = np.ones(len(net), dtype=np.int64)
    return Curve(at=at, gross_paise=net, net_paise=net, exposure_paise=held * 10_000_000, positions=held)


def outcome_of(days: Sequence[date], trades: Sequence[Trade], **changes: object) -> Outcome:
    """The curve has a point at each trade's end."""
    ordered = sorted(trades, key=lambda trade: trade.closed_at)
    net = np.cumsum([trade.net_paise for trade in ordered], dtype=np.int64)
    gross = np.cumsum([trade.gross_paise for trade in ordered], dtype=np.int64)
    flat = np.zeros(len(ordered), dtype=np.int64)
    at = np.array([trade.closed_at for trade in ordered], dtype=np.int64)
    said: dict[str, object] = {
        "name": "test",
        "parameters": {"test": {"fast": 10.0}},
        "data": "made up",
        "sessions": tuple(days),
        "engine": "none",
        "capital_paise": 10_00_000_00,
        "trades": tuple(ordered),
        "curve": Curve(at=at, gross_paise=gross, net_paise=net, exposure_paise=flat, positions=flat),
        "charges": {"brokerage": 100 * len(ordered)},
        "denials": {},
        "signals": len(ordered),
    }
    return Outcome(**{**said, **changes})  # type: ignore[arg-type]
