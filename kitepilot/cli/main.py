"""`kitepilot`: the command line."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from kitepilot import __version__
from kitepilot import config as configuration
from kitepilot.cli import (
    afterwards,
    alerts,
    analytics,
    audit,
    contract_note,
    daily_pack,
    dashboards,
    datasets,
    features,
    leaks,
    models,
    morning,
    panic,
    replay,
    retrain,
    risk,
    sandbox,
    secret_keys,
    slippage,
    strategies,
    sweep,
    train,
    users,
    weekly_digest,
)
from kitepilot.cli.options import (
    AmberOption,
    ConfigOption,
    FeedOption,
    JsonOption,
    LogOption,
    SessionOption,
    SpeedOption,
    StrategyOption,
    chosen_config,
    clear_errors,
)
from kitepilot.run import current, home

EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="kitepilot",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Intraday trading on the NSE cash market: paper first, then live.

    [b]A first day:[/b]  kitepilot doctor  ->  kitepilot seed  ->  kitepilot paper
    [b]A live morning:[/b]  kitepilot login  (once a day, by a person)

    Everything it writes is under ./var (or $KITEPILOT_HOME).""",
)


@app.command()
def paper(
    config: ConfigOption = None,
    session: SessionOption = None,
    feed: FeedOption = None,
    speed: SpeedOption = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of the synthetic market.")] = None,
    instruments: Annotated[int | None, typer.Option(help="How many synthetic instruments.")] = None,
    strategy: StrategyOption = None,
    log: LogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Trade one whole session on paper, prove that all books agree, stop everything.

    Exit codes: 0 reconciled, 1 not reconciled, 2 cannot start, 130 interrupted (flattened first).

    [dim]kitepilot paper --speed max
    kitepilot paper --feed ticks/2021-05-18.parquet --session 2021-05-18[/dim]
    """
    from kitepilot.cli.paper import trade

    with clear_errors():
        chosen = chosen_config(
            config,
            **{
                "session.date": session,
                "session.speed": speed,
                "market.feed": feed and str(Path(feed).absolute()),
                "market.seed": seed,
                "market.instruments": instruments,
                "strategies.enabled": strategy,
                "log.kind": log,
            },
        )
        result = trade(chosen, home(), as_json=as_json, came_from=config)
    if as_json:
        print(json.dumps(result))
    if result["interrupted"]:
        raise typer.Exit(EXIT_INTERRUPTED)
    raise typer.Exit(0 if result["reconciled"] else 1)


@app.command()
def seed(
    config: ConfigOption = None,
    days: Annotated[int, typer.Option(help="Earlier synthetic sessions to train on.")] = 3,
    as_json: JsonOption = False,
) -> None:
    """Train the first model on earlier days of the synthetic market. Same seed, same model."""
    from kitepilot.cli.seeding import train

    with clear_errors():
        card = train(chosen_config(config), home(), days)
    if as_json:
        print(json.dumps(card))


@app.command()
def doctor(config: ConfigOption = None, log: LogOption = None, as_json: JsonOption = False) -> None:
    """Check that this machine can run KitePilot, and say what to do where it cannot."""
    from kitepilot.cli.preflight import analysis, findings

    with clear_errors():
        found = [*findings(chosen_config(config, **{"log.kind": log}), home()), analysis()]
    ok = all(f.ok for f in found)
    if as_json:
        print(json.dumps({"ok": ok, "findings": [vars(f) for f in found]}))
    else:
        table = Table("check", "", "what was found", "what to do")
        for f in found:
            table.add_row(f.check, "[green]ok[/]" if f.ok else "[red]no[/]", f.detail, f.remedy)
        Console().print(table)
    raise typer.Exit(0 if ok else 1)


@app.command()
def up(
    config: ConfigOption = None,
    session: SessionOption = None,
    feed: FeedOption = None,
    speed: SpeedOption = None,
    log: LogOption = None,
    accept_amber: AmberOption = False,
) -> None:
    """Start the whole system in the background, and leave it running: on paper, or live.

    Live (`mode: live`) trades today with the login and the instruments of the day, after the checks of
    `kitepilot readiness`: red means no trading.
    """
    from kitepilot.cli import live
    from kitepilot.cli.background import bring_up

    with clear_errors():
        changes = {"session.date": session, "session.speed": speed, "market.feed": feed, "log.kind": log}
        chosen = chosen_config(config, **changes)
        if chosen.mode == "live":
            chosen = live.dated(chosen, session, time.time_ns())
            live.require_ready(chosen, home(), accept_amber=accept_amber)
        run = bring_up(chosen, home(), config)
    Console().print(f"{run.run_id} is up; `kitepilot status`, `kitepilot logs`, `kitepilot down`")


@app.command()
def down(
    leave_positions: Annotated[
        bool, typer.Option("--leave-positions", help="Live: stop though positions may be open.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Stop everything in order: producers first, then consumers, then the stores.

    A live run is flattened first, and runs on (halted) where it is not seen flat within a minute. Once it is
    flat its day is concluded as on paper: all books against the broker's, the report, the run's result.

    Exit codes: 0 stopped (live: and reconciled), 1 live and not reconciled, 2 not stopped or not concluded.
    """
    from kitepilot.cli import outcome
    from kitepilot.cli.background import take_down

    with clear_errors():
        ended = take_down(home(), leave_positions=leave_positions)
    if as_json:
        print(json.dumps(ended.result or {"was_running": ended.was_running}))
    elif ended.result:
        outcome.show(Console(), ended.result)
    else:
        Console().print("stopped" if ended.was_running else "nothing was running")
    raise typer.Exit(0 if ended.result is None or ended.result["reconciled"] else 1)


@app.command()
def status(as_json: JsonOption = False) -> None:
    """Processes, the feed and the account, as they are now. Exit code 3 when nothing runs."""
    from kitepilot.cli.background import describe

    with clear_errors():
        found = describe(home())
    if as_json:
        print(json.dumps(found))
    else:
        _print_status(found)
    raise typer.Exit(0 if found["running"] else 3)


def _print_status(found: dict[str, Any]) -> None:
    from kitepilot.cli.background import LINE_KEYS, broker_lines, model_lines, state_lines
    from kitepilot.cli.feed import feed_line
    from kitepilot.cli.sealing import audit_line

    console = Console()
    if found["retraining"]:
        console.print(found["retraining"]["line"], highlight=False, markup=False, soft_wrap=True)
    if found["daily_pack"]:
        console.print(found["daily_pack"], highlight=False, markup=False, soft_wrap=True)
    if not found["running"]:
        console.print("nothing is running; `kitepilot paper` trades a day, `kitepilot up` stays up")
        return
    table = Table("process", "state", "pid", "up", "what it does")
    for p in found["processes"]:
        colour = "green" if p["state"] == "RUNNING" else "yellow" if p["state"] == "STOPPED" else "red"
        table.add_row(
            p["name"], f"[{colour}]{p['state'].lower()}[/]", str(p["pid"]), f"{p['uptime_s']} s", p["does"]
        )
    console.print(table)
    if found["fence"]:
        console.print(f"fence: {found['fence']}", highlight=False, style="red")
    console.print(f"feed: {feed_line(found['feed'])}", highlight=False)
    for line in state_lines(found["account"]):
        console.print(line, highlight=False, markup=False)
    console.print(f"audit: {audit_line(found['audit'])}", highlight=False)
    for key, value in found["account"].items():
        if key not in LINE_KEYS:
            console.print(f"{key}: {value}", highlight=False)
    for line in (*model_lines(found["account"]), *broker_lines(found["account"])):
        console.print(line, highlight=False, markup=False)


@app.command()
def acknowledge() -> None:
    """Live, once a session: you have looked at limits, funds and positions, and orders may go out.

    Before it every entry is refused with `owner_acknowledgement`; exits never wait for it. Paper needs none.
    """
    from kitepilot.cli.acknowledge import acknowledge as say

    with clear_errors():
        Console().print(say(home()), highlight=False)


@app.command()
def logs(
    process: Annotated[str, typer.Argument(help="Which process; all of them without one.")] = "",
    lines: Annotated[int, typer.Option("-n", help="How many last lines of each.")] = 20,
) -> None:
    """Show the last lines that the processes of the newest run wrote."""
    from kitepilot.cli.background import last_lines

    with clear_errors():
        for name, text in last_lines(home(), process, lines):
            Console().rule(name, align="left")
            print(text)


@app.command()
def ticks(
    symbol: Annotated[str, typer.Argument(help="One instrument; all of them without one.")] = "",
    lines: Annotated[int, typer.Option("-n", help="How many of the newest ticks.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Show the newest ticks in the log, and the feed going up and down between them, readable."""
    from kitepilot.cli.tail import last_ticks, newest_run

    with clear_errors():
        rows = last_ticks(newest_run(home()), symbol, lines)
    if as_json:
        print(json.dumps(rows))
        return
    table = Table("time", "symbol", "last", "bid", "ask", "volume")
    for row in rows:
        if "feed" in row:
            table.add_row(row["time"], f"feed {row['feed']}")
            continue
        table.add_row(*(f"{v:,.2f}" if isinstance(v, float) else f"{v}" for v in row.values()))
    Console().print(table)


market = typer.Typer(no_args_is_help=True, help="The synthetic market and its likeness to recorded ones.")
app.add_typer(market, name="market")
app.add_typer(sandbox.app, name="sandbox")
app.add_typer(risk.app, name="risk")
app.add_typer(alerts.app, name="alerts")
app.add_typer(slippage.app, name="slippage")
app.add_typer(users.app, name="users")
app.add_typer(secret_keys.app, name="secrets")
app.add_typer(strategies.app, name="strategies")
app.add_typer(strategies.new, name="new")
app.add_typer(models.app, name="models")
app.add_typer(analytics.app, name="analytics")
app.add_typer(dashboards.app, name="dashboards")
app.add_typer(contract_note.app, name="contract-note")


@market.command()
def compare(
    shared: Annotated[
        Path | None, typer.Option(help="Folder of recordings; $KITEPILOT_SHARED without.")
    ] = None,
    session: SessionOption = None,
) -> None:
    """Print statistics of the synthetic market beside those of recorded sessions (minutes of work)."""
    from broker_adapter.sandbox.feed import calibration

    arguments = [*(["--shared", str(shared)] if shared else []), *(["--date", session] if session else [])]
    raise typer.Exit(calibration.main(arguments))


morning.add_to(app)
panic.add_to(app)
replay.add_to(app)
afterwards.add_to(app)
audit.add_to(app)
daily_pack.add_to(app)
weekly_digest.add_to(app)
datasets.add_to(app)
features.add_to(app)
train.add_to(app)
retrain.add_to(app)
leaks.add_to(app)
sweep.add_to(app)


@app.command("config")
def showchosen_config(config: ConfigOption = None) -> None:
    """Print the whole configuration with every default filled in, and its hash; passwords as `***`."""
    with clear_errors():
        chosen = chosen_config(config)
    print(configuration.shown(chosen), end="")
    print(f"# hash: {configuration.config_hash(chosen)}")


@app.command()
def prepare(config: ConfigOption = None) -> None:
    """For containers, step 1: create the run, its schemas and topics; `runs/current` points to it."""
    from kitepilot.cli.containers import prepare as step

    with clear_errors():
        run = step(chosen_config(config), home(), config)
    print(run.run_id)


@app.command("open")
def open_session(accept_amber: AmberOption = False) -> None:
    """For containers, step 2: log in, fetch the instruments, announce the run to the decision flow."""
    from kitepilot.cli.containers import open_session as step

    with clear_errors():
        step(current(), accept_amber=accept_amber)


@app.command()
def conduct(as_json: JsonOption = False) -> None:
    """For containers, step 3: open the market, follow the day, reconcile. Exit codes as `paper`."""
    from kitepilot.cli.containers import conduct as step

    with clear_errors():
        result = step(current(), as_json=as_json)
    if as_json:
        print(json.dumps(result))
    raise typer.Exit(0 if result["reconciled"] else 1)


@app.command("warm", hidden=True)
def warm() -> None:
    """Compile the kernels once, so that no run pays for it."""
    from kitepilot.kernels.compile import compile_all

    print(f"kernels compiled in {compile_all():.1f} s")


@app.command("after-close", hidden=True)
def after_close(lock: Annotated[int, typer.Option("--lock")]) -> None:
    """Body of the process that a day's end starts: the daily pack, then the retraining, at low priority."""
    from functools import partial

    from kitepilot.cli.after_close import carry_out

    with clear_errors():
        carry_out(current(), lock, partial(print, flush=True))


@app.command("run", hidden=True)
def run_process(name: str) -> None:
    """Body of one supervised process (started by the supervisor, not by hand)."""
    from kitepilot.cli import processes

    with clear_errors():
        code = processes.run_process(name, current())
    raise typer.Exit(code)


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point of the `kitepilot` command."""
    try:
        app()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
