"""Random days of ours for the contract note's properties."""

from __future__ import annotations

from datetime import date, time

from hypothesis import strategies as st

from kitepilot.contract_note.note import Trade
from kitepilot.events import Side

DAY = date(2026, 11, 20)
SYMBOLS = ["INFY", "BAJAJ-AUTO", "M&M", "RELIANCE"]


@st.composite
def days(draw: st.DrawFn, least: int = 0) -> list[Trade]:
    """Trades of up to eight orders, up to three each; ids as Kite and NSE number them."""
    trades: list[Trade] = []
    for number in range(draw(st.integers(least, 8))):
        symbol, side = draw(st.sampled_from(SYMBOLS)), draw(st.sampled_from(Side))
        by_broker = draw(st.booleans()) and number % 5 == 0
        for _ in range(draw(st.integers(1, 3))):
            trades.append(
                Trade(
                    order_id=f"2611200000000{number:02d}",
                    trade_id=str(20_000_000 + len(trades)),
                    tradingsymbol=symbol,
                    side=side,
                    quantity=draw(st.integers(1, 5000)),
                    price_paise=draw(st.integers(100, 500_000)),
                    at=time(draw(st.integers(9, 14)), draw(st.integers(0, 59)), draw(st.integers(0, 58))),
                    by_broker=by_broker,
                )
            )
    return trades
