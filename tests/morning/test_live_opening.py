"""A live day opens with a person's login and today's instruments, after every check; never otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from morning_desk import DAY, MORNING
from test_listings import Row, future, listed

from kitepilot import config as configuration
from kitepilot.cli import containers, live, opening, readiness
from kitepilot.cli.supervise import Supervisor
from kitepilot.config import Config, ConfigError
from kitepilot.market import calendar
from kitepilot.market.instruments import parse_instruments


def test_live_trades_today_and_nothing_else() -> None:
    config = configuration.override(Config(), **{"mode": "live", "session.date": "2026-01-01"})
    chosen = live.dated(config, None, MORNING)
    assert (chosen.session.date, chosen.session.speed) == ("2026-11-20", 1.0)
    assert live.dated(config, "2026-11-20", MORNING) == chosen
    with pytest.raises(ConfigError, match="live trades today"):
        live.dated(config, "2026-11-19", MORNING)
    late = calendar.ist_ns(DAY, "05:00") - 6 * 3600 * 10**9  # 23:00 IST the day before, still the 19th here
    assert live.dated(config, None, late).session.date == "2026-11-19"


def test_without_symbols_the_stocks_with_futures_are_watched_and_the_index() -> None:
    table = listed(
        Row(257, "ALPHA"),
        Row(513, "BETA"),
        Row(769, "ALPHA-BE"),
        Row(265, "NIFTY 50", tick="0.0", lot=0, segment="INDICES"),
        Row(521, "NIFTY BANK", tick="0.0", lot=0, segment="INDICES"),
        Row(260, "ALPHA", exchange="BSE", segment="BSE"),
        future(770, "ALPHA"),
    )
    symbols = lambda chosen: chosen["tradingsymbol"].to_pylist()  # noqa: E731
    assert symbols(live.choose(table, [])) == ["ALPHA", "NIFTY 50"]
    assert symbols(live.choose(table, ["BETA"])) == ["BETA", "NIFTY 50"]
    for unknown in (["GAMMA"], ["ALPHA", "ALPHA-BE"], ["NIFTY 50"]):
        with pytest.raises(ConfigError, match=r"market.symbols: not tradable on NSE today"):
            live.choose(table, unknown)
    with pytest.raises(ConfigError, match="0 instruments to watch"):
        live.choose(listed(Row(513, "BETA")), [])


def test_more_than_one_ticker_connection_takes_is_refused() -> None:
    at_limit = [Row(256 * n + 1, f"S{n}") for n in range(1, live.MAX_TOKENS + 2)]
    names = [row.symbol for row in at_limit]
    table = listed(*at_limit)
    assert len(live.choose(table, names[: live.MAX_TOKENS])) == live.MAX_TOKENS
    with pytest.raises(ConfigError, match="3,001 instruments"):
        live.choose(table, names)


def test_the_live_run_gets_the_days_instruments_and_their_closing_auctions(
    prepared: Config, own_home: Path
) -> None:
    run = opening.create_run(prepared, own_home)
    auction = live.enter(run)
    kept = parse_instruments((run.folder / "instruments.csv").read_bytes())
    assert auction == {i.token for i in kept}
    assert auction
    terms = opening.decision_parameters(run, auction).instruments
    ends = {calendar.to_ist(one.continuous_close_at).strftime("%H:%M") for one in terms}
    assert ends == {"15:15"}


def test_a_live_day_does_not_open_without_a_login_or_instruments(
    live_config: Config, own_home: Path, prepared: Config
) -> None:
    elsewhere = own_home.parent / "empty"
    run = opening.create_run(prepared, elsewhere)
    with pytest.raises(ConfigError, match="a login is needed"):
        live.enter(run)
    tomorrow = configuration.override(prepared, **{"session.date": "2026-11-23"})
    with pytest.raises(ConfigError, match="no instruments of 2026-11-23"):
        live.enter(opening.create_run(tomorrow, own_home))


def test_red_stops_a_live_start_before_anything_runs(
    live_config: Config, own_home: Path, command: Callable[..., Any]
) -> None:
    refused = command(live_config, "up", "--accept-amber")
    assert refused.exit_code == 2, refused.output
    assert "no trading: login is red" in refused.output
    assert not (own_home / "runs").exists()
    assert not Supervisor(own_home).alive()
    asked = command(live_config, "up", "--session", "2026-01-05")
    assert (asked.exit_code, "live trades today" in asked.output) == (2, True)
    paper = command(live_config, "paper")
    assert (paper.exit_code, "never does" in paper.output) == (2, True)


def test_red_stops_a_live_start_in_containers_too(live_config: Config, own_home: Path) -> None:
    run = opening.create_run(live.dated(live_config, None, time.time_ns()), own_home)
    with pytest.raises(ConfigError, match="no trading"):
        containers.open_session(run, accept_amber=True)


def test_the_run_about_to_start_is_not_the_last_one(prepared: Config, own_home: Path) -> None:
    run = opening.create_run(prepared, own_home)

    def last(**besides: str) -> str:
        found = {check.name: check for check in readiness.checks(prepared, own_home, **besides)}
        return found["last run"].found

    assert run.run_id in last()
    assert last(besides=run.run_id) == "no earlier live run here"
