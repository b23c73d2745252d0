"""The commands of a trading morning: log in, and what has to stand before the market opens."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from kitepilot.cli.options import ConfigOption, JsonOption, chosen_config, clear_errors
from kitepilot.run import home

if TYPE_CHECKING:
    from kitepilot.cli.login import Held
    from kitepilot.config import Config

EXIT_RED = 3


def login(
    config: ConfigOption = None,
    status: Annotated[bool, typer.Option("--status", help="Only say whether a login holds.")] = False,
    paste: Annotated[
        bool, typer.Option("--paste", help="The browser is elsewhere: paste the address it was sent to.")
    ] = False,
    request_token: Annotated[
        str | None, typer.Option(help="The request token or redirect address, if you have it already.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser here.")] = True,
    remember: Annotated[bool, typer.Option("--remember", help="Keep the API secret in the keyring.")] = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the browser to come back.")] = 300.0,
    as_json: JsonOption = False,
) -> None:
    """Log in to Kite: once a day, by a person, on Kite's own page. Only the session is kept, sealed.

    Password and second factor are typed into Kite's page and never seen here. The login ends at 06:00 IST.
    Exit codes: 0 logged in, 2 not possible, 3 (with --status) no login holds.

    [dim]kitepilot login -c live.yaml
    kitepilot login -c live.yaml --paste      # over ssh[/dim]
    """
    from broker_adapter.kite.session import SessionError
    from infra.key_urls import SecretError
    from kitepilot.cli import login as way

    console = Console(stderr=True)
    with clear_errors(SessionError, SecretError):
        chosen = chosen_config(config)
        if status:
            held = _held_or_exit(chosen, as_json)
        else:
            if way.too_early(time.time_ns()):
                console.print(f"[yellow]before {way.EARLY_IST} IST the broker may still end new logins[/]")
            route = way.Way(request_token, paste, browser, wait, remember)
            held = way.log_in(chosen, home(), route, lambda text: console.print(text, soft_wrap=True))
    if as_json:
        print(json.dumps({"logged_in": True, **asdict(held)}))
    else:
        Console().print(
            f"{held.user_id} {held.user_name} is logged in to {held.broker} until {held.ends_at}",
            highlight=False,
            soft_wrap=True,
        )


def _held_or_exit(chosen: Config, as_json: bool) -> Held:
    from broker_adapter.kite.session import SessionError
    from kitepilot.cli import login as way

    try:
        return way.status(chosen, home())
    except SessionError as err:
        if as_json:
            print(json.dumps({"logged_in": False, "why": str(err)}))
        else:
            Console().print(str(err), highlight=False, soft_wrap=True)
        raise typer.Exit(EXIT_RED) from err


def logout(config: ConfigOption = None) -> None:
    """End the session at the broker and forget it here. Processes that still run lose their access."""
    from broker_adapter.kite.session import SessionError
    from infra.key_urls import SecretError
    from kitepilot.cli import login as way

    with clear_errors(SessionError, SecretError):
        told = way.log_out(chosen_config(config), home())
    Console().print(told, highlight=False, soft_wrap=True)


def readiness(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check everything that has to stand before the market opens (08:45 is a good time). Red: no trading.

    Login, egress address, clock, instruments, session, margin, feed, disk, the last run, the stores.
    Exit codes: 0 green or amber, 2 cannot check, 3 red. A live `up` makes the same checks.
    """
    from kitepilot.cli.readiness import checks, show, worst

    with clear_errors():
        found = checks(chosen_config(config), home())
    if as_json:
        print(json.dumps({"ready": worst(found), "checks": [asdict(check) for check in found]}))
    else:
        show(Console(), found)
    raise typer.Exit(EXIT_RED if worst(found) == "red" else 0)


def instruments(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Fetch the day's instruments file, keep it, and say what changed since the last one.

    Wants a login. Best after 08:30 IST, when the broker has made the day's file. A damaged or incomplete
    answer is refused and the last good file stays. Exit codes: 0, 2 no usable file.
    """
    from broker_adapter.kite.session import SessionError
    from kitepilot.cli import instruments as day
    from kitepilot.market.instruments import InstrumentsError

    with clear_errors(SessionError, InstrumentsError):
        found = day.fetch(chosen_config(config), home())
    if as_json:
        print(json.dumps(found.as_json()))
    else:
        day.show(Console(), found)


def candles(
    symbols: Annotated[list[str], typer.Argument(help="NSE symbols, stocks or indices.")],
    config: ConfigOption = None,
    interval: Annotated[str, typer.Option(help="minute, 3minute, ... 60minute, day.")] = "minute",
    first: Annotated[str, typer.Option("--from", help="First day, e.g. 2026-01-01.")] = "2026-01-01",
    last: Annotated[str | None, typer.Option("--to", help="Last day; today without it.")] = None,
    clickhouse: Annotated[bool, typer.Option(help="Load into ClickHouse too, where it runs.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Download historical candles to Parquet (candles/ in the home) and into ClickHouse.

    Only what no file has yet is asked for, three requests a second at most; stopped at any point, the same
    command goes on there. Wants a login and `kitepilot instruments`. Exit codes: 0, 2 not possible.

    [dim]kitepilot candles INFY SBIN --interval minute --from 2026-01-01 --to 2026-06-30[/dim]
    """
    from broker_adapter.kite.candle_download import DownloadError
    from broker_adapter.kite.candle_files import CandleFileError
    from broker_adapter.kite.session import SessionError
    from kitepilot.cli import candles as way
    from kitepilot.market.instruments import InstrumentsError

    with clear_errors(SessionError, DownloadError, CandleFileError, InstrumentsError):
        chosen = chosen_config(config)
        what = way.wish(chosen, symbols, interval, first, last)
        result = way.fetch(chosen, home(), what, Console(stderr=True))
        if clickhouse:
            way.load(chosen, home(), what, result)
    if as_json:
        print(json.dumps(result.as_json()))
    else:
        way.show(Console(), result)


def add_to(app: typer.Typer) -> None:
    """Register the morning's commands."""
    for command in (login, readiness, instruments, candles, logout):
        app.command()(command)
