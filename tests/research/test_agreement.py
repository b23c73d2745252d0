"""A paper day and the backtest of its ticks differ by nothing unexplained; nor do ticks and their bars."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import small_day
from bar_days import WIDE
from recorded_window import QUICK, Window
from small_day import Kept

from broker_adapter.sandbox.feed.port import MarketFeed
from broker_adapter.sandbox.feed.recorded import open_recording
from kitepilot.events import BarsClosed, SignalRaised, decode
from kitepilot.market import calendar
from kitepilot.strategies.ma_cross import MaCross
from kitepilot.strategies.port import Strategy
from kitepilot.topics import BARS, SESSION
from research.attribution import CHARGES, PARTS, TIMING
from research.bar_engine.plan import BarPlan
from research.bar_engine.session import trade_session
from research.bars import SessionBars
from research.fills.model import FillModel
from research.outcome import Trade
from research.venue import Pace

SHARED = Path(os.environ.get("KITEPILOT_SHARED", Path(__file__).resolve().parents[3] / "shared"))
LTP = SHARED / "data/ticks/ltp_2021/2021-05-18.parquet"
FULL = SHARED / "data/ticks/kite_full_2025/kite_full.parquet"
recorded = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not (LTP.exists() and FULL.exists()), reason=f"recorded ticks are not in {SHARED}"),
]
AT_ONCE = Pace(exchange_ms=0)


def last_prices(folder: Path) -> Window:
    """Three stocks of a session of last prices; the book around them is modelled."""
    rows = pq.read_table(LTP)
    until = pa.scalar(datetime(2021, 5, 18, 9, 40), type=rows["ts_ist"].type)
    wanted = pc.is_in(rows["symbol"], pc.unique(rows["symbol"])[:8])
    rows = rows.filter(pc.and_(wanted, pc.less(rows["ts_ist"], until)))
    pq.write_table(rows, folder / "2021-05-18.parquet")
    feed = open_recording(folder / "2021-05-18.parquet", date(2021, 5, 18))
    return Window(feed, date(2021, 5, 18), "09:38")


def full_packets(folder: Path) -> Window:
    """Packets with five levels of depth, as Kite sent them."""
    rows = pq.read_table(FULL)
    days = pc.strftime(rows["exchange_timestamp"], format="%Y-%m-%d")
    best = Counter(day for day in days.to_pylist() if day).most_common(1)[0][0]
    rows = rows.filter(pc.fill_null(pc.equal(days, best), False))
    pq.write_table(rows, folder / f"{best}.parquet")
    day = date.fromisoformat(best)
    return Window(open_recording(folder / f"{best}.parquet", day), day, "09:33")


@pytest.mark.parametrize("window", [last_prices, full_packets])
@pytest.mark.parametrize("pace", [AT_ONCE, Pace(exchange_ms=30.0, seed=3)])
@pytest.mark.shared_data
@recorded[1]
def test_a_recorded_session_and_its_backtest_differ_by_nothing(
    window: type, pace: Pace, tmp_path: Path
) -> None:
    past: Window = window(tmp_path)
    kept, result = past.traded(pace)
    assert result.fills, "a day without a trade proves nothing"
    found = past.compared(kept, pace)
    assert found.attribution.parts() == dict.fromkeys(PARTS, 0)
    assert found.replayed_equal
    assert found.ticks.differences == ()
    slower = past.compared(kept, Pace(fixed_ms=900, exchange_ms=0))
    assert sum(slower.attribution.parts().values()) == slower.attribution.total_paise
    assert {part for part, paise in slower.attribution.parts().items() if paise} <= {TIMING, CHARGES}


def minute_bars(kept: Kept, window: Window) -> SessionBars:
    """The 1 m bars that the market flow made of the ticks, as a dataset would have them."""
    closed = [decode(raw) for raw in kept.topics[BARS.name]]
    minutes = [each for each in closed if isinstance(each, BarsClosed) and each.interval_s == 60]
    terms = window.parameters.instruments
    tokens = [one.token for one in terms]
    table = np.zeros((5, len(minutes), len(tokens)), dtype=np.int64)
    present = np.zeros(table.shape[1:], dtype=np.bool_)
    for row, each in enumerate(minutes):
        columns = [tokens.index(token) for token in each.tokens]
        prices = (each.open_paise, each.high_paise, each.low_paise, each.close_paise, each.volume)
        for k, values in enumerate(prices):
            table[k, row, columns] = values
        present[row, columns] = True
    return SessionBars(
        session=window.session,
        symbols=tuple(one.tradingsymbol for one in terms),
        tokens=np.array(tokens, dtype=np.int64),
        close_at=np.array([each.close_at for each in minutes], dtype=np.int64),
        open=table[0],
        high=table[1],
        low=table[2],
        close=table[3],
        volume=table[4],
        present=present,
        tick_size_paise=np.array([one.tick_size_paise for one in terms], dtype=np.int64),
        previous_close_paise=np.zeros(len(tokens), dtype=np.int64),
    )


def quick() -> dict[str, Strategy]:
    return {"ma_cross": MaCross(QUICK)}


def explained(window: Window) -> tuple[list[Trade], int]:
    """Trades of both tellings of a window, and by how much their profit differs, to the paisa.

    Live decides a grace after the close and sees the last price of then; bars end at the close. So no grace.
    """
    window = replace(window, eager=False, profile=WIDE.profile(), grace_ns=0)
    kept, ticks = window.traded(AT_ONCE)
    bars = minute_bars(kept, window)
    fills = FillModel(half_spread_bps=1.0, impact_bps=0.0, participation_bps=10_000)
    plan = BarPlan(make_strategies=quick, profile=window.profile, fills=fills, capital_paise=10**13)
    told = trade_session(plan, bars)
    signals = [decode(raw) for raw in kept.topics[SESSION.name]]
    assert told.signals == sum(isinstance(each, SignalRaised) for each in signals), "the same wishes"
    minute, leaving_at = 60_000_000_000, window.at(5)  # the window is left early, the session later
    mine = {(t.tradingsymbol, t.opened_at // minute): t for t in told.trades if t.closed_at < leaving_at}
    theirs = [trip for trip in ticks.trips if trip.closed_at and trip.closed_at < leaving_at]
    both, apart = [], 0
    for trip in theirs:
        trade = mine.get((trip.tradingsymbol, trip.opened_at // minute))
        if trade is None or trade.closed_at // minute != trip.closed_at // minute:
            continue
        assert trade.long == (trip.side.sign > 0)
        assert trade.quantity == trip.entry_paise[1]
        entry, out = trade.entry_paise - trip.entry_paise[0], trade.exit_paise - trip.exit_paise[0]
        assert trade.gross_paise - trip.gross_paise == trip.side.sign * (out - entry), "prices alone"
        both.append(trade)
        apart += trade.gross_paise - trip.gross_paise
    alone = len(theirs) + len(mine) - 2 * len(both)
    assert alone * 10 <= len(both), f"{len(both)} trips in both tellings, {alone} in one"
    return both, apart


def test_bars_of_a_days_ticks_make_the_same_trades_at_prices_of_the_fill_model() -> None:
    feed = cast(MarketFeed, small_day.FEED)
    both, apart = explained(Window(feed, small_day.DAY, "10:15"))
    turnover = sum(trade.entry_paise + trade.exit_paise for trade in both)
    assert both
    assert abs(apart) < turnover // 500, "a fill model a fifth of a per cent off would not be one"


@pytest.mark.shared_data
@recorded[1]
def test_bars_of_recorded_ticks_make_the_same_trades_at_prices_of_the_fill_model(tmp_path: Path) -> None:
    both, apart = explained(last_prices(tmp_path))
    turnover = sum(trade.entry_paise + trade.exit_paise for trade in both)
    assert both
    assert abs(apart) < turnover // 500
    assert calendar.session(date(2021, 5, 18)).open_at < both[0].opened_at
