"""`kitepilot backtest`: one day in one loop, from a run's own ticks or from a market."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from broker_adapter.sandbox.feed.port import MarketFeed
from kitepilot import config as configuration
from kitepilot.cli import model_choice, past_days
from kitepilot.cli.own_strategies import with_sources
from kitepilot.cli.report import ist_clock
from kitepilot.config import Config
from kitepilot.market import calendar
from kitepilot.market.pipeline import MarketPipeline
from kitepilot.money import rupees
from kitepilot.run import Run
from research.backtest import Day, announced, pipeline_market, trade
from research.desk import Result
from research.ticks import Beat, beats_of_feed
from research.venue import ModelledVenue, Pace, Terms

Say = Callable[[str], None]
TRIPS_SHOWN = 20
STATES_SHOWN = 8


def of_run(
    home: Path, day: str, run_id: str | None, feed: str | None, latency: str, say: Say
) -> dict[str, Any]:
    """The day of a run, with its owner's commands: its own ticks, or those of `feed_of`."""
    with past_days.opened(home, day, run_id) as past:
        pace = past_days.pace_of(latency, past.config)
        market = feed_of(past.config, feed)
        beats = past_days.beats_of(market)() if market else past.recorded.beats()
        result = _traded(past.day(), beats, past.pipeline(), pace, say)
    return _described(result, past.run.run_id, "its market" if market else past.where, latency)


def of_market(config: Config, home: Path, latency: str, say: Say) -> dict[str, Any]:
    """A day that nobody has traded: the market that the configuration names. Its folder keeps the result."""
    from flows.market import build_pipeline

    pace = past_days.pace_of(latency, config)
    run, day, feed = prepared(config, home)
    model_choice.choose(run, say)
    result = _traded(day, beats_of_feed(feed), build_pipeline(run), pace, say)
    found = _described(result, run.run_id, "its market", latency)
    (run.folder / "result.json").write_text(json.dumps(found, indent=1))
    return found


def _traded(day: Day, beats: Iterable[Beat], pipeline: MarketPipeline, pace: Pace, say: Say) -> Result:
    venue = ModelledVenue(day.terms, pace)
    return trade(day, past_days.shown(beats, say), pipeline_market(pipeline), venue)


def prepared(config: Config, home: Path) -> tuple[Run, Day, MarketFeed]:
    """A folder like a run's, with the instruments as the sandbox would list them."""
    from broker_adapter.sandbox.feed import open_feed
    from broker_adapter.sandbox.instruments_file import instruments_csv
    from kitepilot.cli.opening import decision_parameters

    config = with_sources(config, home)
    feed, on = open_feed(config), date.fromisoformat(config.session.date)
    name = f"backtest-{on:%Y%m%d}-{configuration.config_hash(config)}"
    run = Run(name, home / "backtests" / name, config)
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "config.yaml").write_text(configuration.dump(config))
    (run.folder / "instruments.csv").write_bytes(instruments_csv(feed.instruments, on, "NSE"))
    auction = frozenset(each.token for each in feed.instruments if each.closing_auction)
    parameters = decision_parameters(run, auction)
    (run.folder / "parameters.json").write_bytes(msgspec.json.encode(parameters))
    terms = Terms(
        run_id=name,
        session=calendar.session(on, allow_special=True),
        listed=feed.instruments,
        broker=config.broker,
        limits=config.risk.limits(),
        seed=config.market.seed,
    )
    return run, Day(announced(name, "paper", run.config_hash, parameters), terms), feed


def _described(result: Result, run_id: str, ticks: str, latency: str) -> dict[str, Any]:
    trips = [
        {
            "tradingsymbol": trip.tradingsymbol,
            "strategy": trip.strategy,
            "side": trip.side.value,
            "opened_at": trip.opened_at,
            "closed_at": trip.closed_at,
            "shares": trip.entry_paise[1],
            "gross_paise": trip.gross_paise,
        }
        for trip in result.trips
    ]
    return {"run_id": run_id, "ticks": ticks, "latency": latency, **result.as_json(), "trips": trips}


def show(console: Console, found: dict[str, Any]) -> None:
    """The day's account for a person."""
    title = f"Backtest of {found['run_id']} from {found['ticks']}, latency {found['latency']}"
    console.print(title, highlight=False, soft_wrap=True, markup=False, style="italic")
    table = Table(box=SIMPLE_HEAD)
    for head in ("opened", "closed", "symbol", "strategy", "side", "shares", "profit ₹"):
        table.add_column(head, justify="right" if head in ("shares", "profit ₹") else "left", no_wrap=True)
    trips = found["trips"]
    for trip in trips[-TRIPS_SHOWN:]:
        closed = ist_clock(trip["closed_at"]) if trip["closed_at"] else "open"
        cells = (trip["tradingsymbol"], trip["strategy"], trip["side"], f"{trip['shares']:,}")
        table.add_row(ist_clock(trip["opened_at"]), closed, *cells, rupees(trip["gross_paise"]))
    if trips:
        console.print(table)
    if len(trips) > TRIPS_SHOWN:
        console.print(f"the last {TRIPS_SHOWN} of {len(trips)} round trips; all of them with --json")
    denied = ", ".join(f"{code} {count}" for code, count in found["denials"].items()) or "none"
    for line in (
        f"P&L        ₹{rupees(found['gross_pnl_paise'])} before charges, ₹{rupees(found['charges_paise'])} "
        f"charges, [b]₹{rupees(found['net_pnl_paise'])} net[/b]",
        f"Trades     {found['intents']} orders, {found['fills']} fills, {found['round_trips']} round trips, "
        f"{found['open_positions']} open at the end",
        f"Signals    {found['signals']}; denied: {denied}",
        *(f"State      {reason}" for reason in found["states"][:STATES_SHOWN]),
        f"Hashes     session {found['session_hash'][:16]}, decisions {found['decisions_hash'][:16]}",
    ):
        console.print(line, highlight=False, soft_wrap=True)


def feed_of(run_config: Config, feed: str | None) -> Config | None:
    """`market`: the one the run was traded on; else a recording's path. None: the run's own ticks."""
    if feed is None:
        return None
    if feed == "market":
        return run_config
    return configuration.override(run_config, **{"market.feed": str(Path(feed).absolute())})
