"""`kitepilot sandbox`: the exchange on its own, for any Kite client, and its faults."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from kitepilot.cli.options import chosen_config, clear_errors
from kitepilot.config import Config, ConfigError

DEFAULT_PORT = 18210
API_SECRET = "sandbox"  # noqa: S105 of the sandbox's only account, known to everybody

#: Stands in broker_adapter/sandbox/README.md too; a test runs it from there.
SCRIPT = """\
import httpx
from kiteconnect import KiteConnect

kite = KiteConnect("kitepilot_paper", root="http://127.0.0.1:18210")
login = httpx.get(kite.root + "/connect/login", params={"v": 3, "api_key": kite.api_key}).next_request
kite.generate_session(login.url.params["request_token"], "sandbox")

kite.place_order("regular", "NSE", "KPALPHA", "BUY", 1, "MIS", "MARKET", market_protection=2)
print([(order["tradingsymbol"], order["quantity"], order["status"]) for order in kite.orders()])
"""

app = typer.Typer(
    rich_markup_mode="rich",
    help="""Run the sandbox exchange alone: a market day that speaks Kite Connect's REST and ticker.

    Any Kite client works with it: give it the printed address as `root`, the key [b]kitepilot_paper[/b] and
    the secret [b]sandbox[/b] (or $KITEPILOT_API_SECRET). Ctrl-C stops it.

    [dim]kitepilot sandbox --start --from 09:16 --speed 1      trading at once, at live pace
    kitepilot sandbox faults                               what can go wrong
    kitepilot sandbox fault timeout_after_accept           make it go wrong, once
    kitepilot sandbox fault stuck_order -p stuck_s=30 --symbol KPALPHA --count 3
    kitepilot sandbox fault --clear                        back to a good day[/dim]""",
)
PortOption = Annotated[int, typer.Option(help="REST port; ticker and admin take the two after it.")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="YAML file; defaults without one.")
    ] = None,
    session: Annotated[
        str | None, typer.Option("--session", "--date", help="Session to play, e.g. 2026-11-20.")
    ] = None,
    speed: Annotated[
        str | None, typer.Option("--speed", help='Session seconds per second, or "max" (needs acks).')
    ] = None,
    feed: Annotated[
        Path | None, typer.Option(help="Parquet file or folder of recorded ticks; else synthetic.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the market, latencies, ids and faults.")] = None,
    instruments: Annotated[int | None, typer.Option(help="Size of the synthetic market.")] = None,
    latency_ms: Annotated[float, typer.Option(help="Mean time of an order to the exchange.")] = 30.0,
    latency_shares: Annotated[
        tuple[float, float, float],
        typer.Option(help="How that time is shared between received, validation pending, open pending."),
    ] = (0.2, 0.2, 0.6),
    stale_after_s: Annotated[int, typer.Option(help="Without a packet for so long nothing trades.")] = 60,
    cash_rupees: Annotated[int, typer.Option(help="Opening cash of the account.")] = 1_000_000,
    redirect_url: Annotated[
        str, typer.Option(help="Where a login sends the browser.")
    ] = "http://127.0.0.1:18209/kitepilot",
    no_mis_percent: Annotated[
        int, typer.Option(help="Of a hundred stocks without derivatives, so many have no intraday trading.")
    ] = 2,
    square_off: Annotated[
        bool, typer.Option(help="The broker closes open positions itself at its cutoff.")
    ] = True,
    state: Annotated[
        Path | None, typer.Option(help="Folder in which the book survives a restart; else memory only.")
    ] = None,
    fsync: Annotated[
        bool, typer.Option(help="With --state: on the disk before an order is answered.")
    ] = True,
    single_session: Annotated[
        bool, typer.Option("--single-session", help="A second login ends the first.")
    ] = False,
    sessions_back: Annotated[int, typer.Option(help="Earlier sessions that the candles reach back.")] = 5,
    postback_url: Annotated[
        str, typer.Option(help="Where order updates are posted; nowhere without it.")
    ] = "",
    hard_sockets: Annotated[
        int, typer.Option(help="Refuse ticker connections above so many; 0 only flags them above 3.")
    ] = 0,
    port: Annotated[
        int | None, typer.Option(help="REST port; ticker and admin take the two after it.")
    ] = None,
    start: Annotated[bool, typer.Option("--start", help="Start the session at once.")] = False,
    start_from: Annotated[
        str, typer.Option("--from", help="With --start: rush to this time (HH:MM, IST) first.")
    ] = "",
    script: Annotated[
        Path | None, typer.Option(help="JSON file with a seeded script of faults to follow.")
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Run the printed script once the market is open.")
    ] = False,
) -> None:
    """(The text of the group stands above.)"""
    if context.invoked_subcommand is not None:
        return
    exchange = importlib.import_module("broker_adapter.sandbox.main")  # loaded only when it is wanted
    with clear_errors():
        chosen = _chosen(
            config, port,
            **{
                "session.date": session, "session.speed": speed, "market.feed": feed and str(feed.absolute()),
                "market.seed": seed, "market.instruments": instruments,
            },
        )  # fmt: skip
        venue = exchange.Venue(
            api_secret=os.environ.get(exchange.API_SECRET_VARIABLE, API_SECRET),
            redirect_url=redirect_url,
            latency_mean_ms=latency_ms,
            latency_shares=latency_shares,
            stale_after_s=stale_after_s,
            cash_rupees=cash_rupees,
            no_mis_percent=no_mis_percent,
            square_off=square_off,
            state=state,
            fsync=fsync,
            start_at_once=start or bool(start_from),
            start_from=start_from,
            single_session=single_session,
            sessions_back=sessions_back,
            postback_url=postback_url,
            hard_sockets=hard_sockets,
        )
        raise typer.Exit(_serve(chosen, lambda ready: exchange.serve(chosen, venue, ready), script, demo))


@app.command("faults")
def list_faults(
    port: PortOption = DEFAULT_PORT,
    as_json: JsonOption = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The table of docs/reference/faults.md.")
    ] = False,
) -> None:
    """List every fault, and what is armed on the sandbox that runs at --port, if one does."""
    from broker_adapter.sandbox import faults

    if markdown:
        print(faults.markdown(), end="")
        return
    armed = _armed(port)
    if as_json:
        names = {
            f.name: {"does": f.does, "report": f.report, "parameters": [*f.knobs]} for f in faults.FAULTS
        }
        print(json.dumps({"faults": names, "armed": armed}))
        return
    table = Table("fault", "what it does", "parameters", show_lines=True)
    for fault in faults.FAULTS:
        table.add_row(fault.name, fault.does, faults.describe_knobs(fault).replace("`", ""))
    Console().print(table)
    if armed:
        struck = Table("no.", "armed", "struck", "of", "left", "parameters", title=f"at port {port}")
        for row in armed:
            left = "no end" if row["left"] is None else f"{row['left']}"
            told = ", ".join(f"{k}={v}" for k, v in row["parameters"].items())
            struck.add_row(f"{row['number']}", row["fault"], f"{row['hits']}", f"{row['seen']}", left, told)
        Console().print(struck)


@app.command("fault")
def arm_fault(
    name: Annotated[str, typer.Argument(help="A name from `kitepilot sandbox faults`.")] = "",
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="Such as stuck_s=30; may be repeated.")
    ] = None,
    count: Annotated[int | None, typer.Option(help="How many times; 0 means without end.")] = None,
    probability: Annotated[float, typer.Option(help="Of each event that could be struck.")] = 1.0,
    until: Annotated[str, typer.Option(help="Session time at which it ends (HH:MM:SS, IST).")] = "",
    symbol: Annotated[str, typer.Option(help="Only orders in this instrument.")] = "",
    tag: Annotated[str, typer.Option(help="Only orders whose tag begins so.")] = "",
    route: Annotated[str, typer.Option(help='Only these requests, such as "GET /orders".')] = "",
    clear: Annotated[bool, typer.Option("--clear", help="Disarm everything instead.")] = False,
    port: PortOption = DEFAULT_PORT,
) -> None:
    """Arm one fault on a running sandbox: the next event it fits is struck.

    [dim]kitepilot sandbox fault silent_socket
    kitepilot sandbox fault html_error --count 0 --probability 0.05 --until 10:30[/dim]
    """
    with clear_errors():
        if clear:
            print(f"disarmed: {_admin(port, 'DELETE', '/admin/faults', None)['cleared']}")
            return
        if not name:
            raise ConfigError("which fault? `kitepilot sandbox faults` lists them; --clear disarms all")
        body: dict[str, Any] = {
            "fault": name, "probability": probability, "until": until,
            "parameters": dict(_parameter(text) for text in parameter or []),
            "match": {"symbol": symbol, "tag": tag, "route": route},
        }  # fmt: skip
        if count is not None:
            body["count"] = count or None
        armed = _admin(port, "POST", "/admin/faults", body)
        left = "until cleared" if armed["left"] is None else f"{armed['left']} time(s)"
        print(f"armed {armed['fault']} (no. {armed['number']}), {left}")


def script_for(config: Config) -> str:
    """The script with the address it has to use."""
    return SCRIPT.replace("http://127.0.0.1:18210", config.broker.rest_url)


def _chosen(path: Path | None, port: int | None, **changes: object) -> Config:
    if port is not None:
        changes |= {
            "broker.rest_url": f"http://127.0.0.1:{port}",
            "broker.ticker_url": f"ws://127.0.0.1:{port + 1}",
            "broker.admin_url": f"http://127.0.0.1:{port + 2}",
        }
    return chosen_config(path, **changes)


def _serve(
    config: Config, serve: Callable[[Callable[[], None]], int], script: Path | None, demo: bool
) -> int:
    from broker_adapter.sandbox.feed import FeedError

    broker = config.broker
    steps = None if script is None else _script(script)
    print(f"REST {broker.rest_url}  ticker {broker.ticker_url}  admin {broker.admin_url}", flush=True)
    over = threading.Event()

    def ready() -> None:
        print("ready", flush=True)
        if sys.stdout.isatty():
            print(f"\n{script_for(config)}", flush=True)
        watching = threading.Thread(target=lambda: _accompany(config, steps, demo, over), daemon=True)
        watching.start()

    try:
        return serve(ready)
    except FeedError as err:
        raise ConfigError(str(err)) from err
    finally:
        over.set()


def _accompany(config: Config, script: object, demo: bool, over: threading.Event) -> None:
    """Beside the running sandbox: send the faults' script, run the demo, keep one line of status."""
    port = int(config.broker.rest_url.rpartition(":")[2])
    if script is not None:
        told = _admin(port, "PUT", "/admin/faults/script", script)
        print(f"faults: {told['waiting']} step(s)", flush=True)
    if demo:
        done = subprocess.run(
            [sys.executable, "-c", script_for(config)], capture_output=True, text=True, check=False
        )
        print((done.stdout or done.stderr).strip(), flush=True)
    if sys.stdout.isatty():
        _show(lambda: _admin(port, "GET", "/admin/state", None), over)


def _show(state: Callable[[], dict[str, Any]], over: threading.Event) -> None:
    from kitepilot.market.calendar import to_ist

    with Console().status("") as line:
        while not over.wait(1.0):
            now = state()
            at = to_ist(now["session_time_ns"]).strftime("%H:%M:%S")
            line.update(
                f"{at} {now['state']}, x{now['speed']}: {now['orders']} orders, {now['trades']} trades, "
                f"{now['sockets']} sockets, {now['ticks_sent']:,} ticks sent, {now['faults']} faults armed"
            )


def _script(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as err:
        raise ConfigError(f"--script {path}: {err}") from err


def _parameter(text: str) -> tuple[str, float | str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"-p {text!r}: expected name=value")
    try:
        return name, float(value)
    except ValueError:
        return name, value


def _armed(port: int) -> list[dict[str, Any]]:
    """What is armed; nothing when no sandbox answers there."""
    try:
        return list(_admin(port, "GET", "/admin/faults", None)["armed"])
    except ConfigError:
        return []


def _admin(port: int, method: str, path: str, body: object) -> Any:
    """One call of the admin address. Raises ConfigError when nobody answers or it is refused."""
    import httpx

    url = f"http://127.0.0.1:{port + 2}{path}"
    try:
        reply = httpx.request(method, url, json=body, timeout=10, trust_env=False)
    except httpx.HTTPError as err:
        raise ConfigError(f"no sandbox answers at port {port}: start one with `kitepilot sandbox`") from err
    if reply.is_error:
        raise ConfigError(reply.json().get("error", reply.text))
    return reply.json()
