"""A live day's opening: what paper gets from its sandbox comes from a person's login and the day's files."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from broker_adapter.kite import session as sessions
from broker_adapter.kite.instruments_file import Snapshots
from broker_adapter.kite.session import SessionError
from kitepilot import config as configuration
from kitepilot.cli import readiness
from kitepilot.config import Config, ConfigError
from kitepilot.market import calendar, listings
from kitepilot.market.instruments import InstrumentsError, parse_instruments
from kitepilot.run import Run

INDEX = "NIFTY 50"  # watched where the file has it, never traded
MAX_TOKENS = 3_000  # of one ticker connection (Kite Connect v3 documentation, read 2026-07-14)


def dated(config: Config, asked: str | None, now: int) -> Config:
    """Live trades today: the date is the calendar's at `now` (ns UTC), time runs at its own pace.

    Raises:
        ConfigError: another date was asked for.
    """
    day = f"{calendar.ist_date(now)}"
    if asked not in (None, day):
        raise ConfigError(f"live trades today, {day}: --session {asked} is for paper")
    return configuration.override(config, **{"session.date": day, "session.speed": 1.0})


def require_ready(config: Config, home: Path, *, accept_amber: bool, run_id: str = "") -> None:
    """Red means no trading, amber needs a person's word. `run_id`: the run to start, if it exists already.

    Raises:
        ConfigError: names the first check that is in the way.
    """
    readiness.require(config, home, accept_amber=accept_amber, besides=run_id)


def enter(run: Run) -> frozenset[int]:
    """Check the login, write the run's instruments; returns the tokens with a closing auction.

    Raises:
        ConfigError: no login, no instruments of the day, or a symbol to trade that is not among them.
    """
    try:
        sessions.held(run.home, run.config, time.time_ns())
        day = date.fromisoformat(run.config.session.date)
        listed = Snapshots.of(run.home, run.config.broker).read(day)
    except (SessionError, InstrumentsError) as err:
        raise ConfigError(str(err)) from err
    chosen = choose(listed, run.config.market.symbols)
    (run.folder / "instruments.csv").write_bytes(listings.rows_csv(chosen))
    return listings.closing_auction_tokens(chosen)


def choose(listed: pa.Table, symbols: list[str]) -> pa.Table:
    """The rows to watch: the `symbols` of NSE, without any all stocks that have futures; and the index.

    Raises:
        ConfigError: a symbol that cannot be traded today, nothing left to trade, or more than a ticker takes.
    """
    cash = pc.field("exchange") == listings.CASH
    if symbols:
        wanted = cash & (pc.field("segment") == listings.CASH) & pc.field("tradingsymbol").isin(symbols)
    else:
        wanted = pc.field("closing_auction")
    index = cash & (pc.field("segment") == "INDICES") & (pc.field("tradingsymbol") == INDEX)
    chosen = listed.filter(wanted | index)
    tradable = {i.tradingsymbol for i in parse_instruments(listings.rows_csv(chosen)) if i.tradable}
    missing = sorted(set(symbols) - tradable)
    if missing:
        raise ConfigError(f"market.symbols: not tradable on NSE today: {', '.join(missing[:10])}")
    if not tradable or len(chosen) > MAX_TOKENS:
        raise ConfigError(
            f"{len(chosen):,} instruments to watch; wanted are 1 to {MAX_TOKENS:,}: set market.symbols"
        )
    return chosen
