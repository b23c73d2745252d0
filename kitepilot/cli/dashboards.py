"""`kitepilot dashboards`: Superset over the book of analysis, on this machine alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from kitepilot.cli import after_close
from kitepilot.cli.options import ConfigOption, JsonOption, chosen_config, clear_errors
from kitepilot.config import Config, ConfigError
from kitepilot.run import Run, home

if TYPE_CHECKING:
    from infra.dashboards import Superset

EXIT_DIFFERS, EXIT_NOTHING_RUNS = 1, 3
UP_WITHIN_S = 900.0
DOWN_WITHIN_S = 60.0

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="""Dashboards over the book of analysis: Superset, started on this machine, seen by nobody else.

    [dim]kitepilot dashboards up                 until Ctrl-C
    kitepilot dashboards up --background    until `kitepilot dashboards down`
    kitepilot dashboards export             what was changed in the browser, into superset/assets[/dim]""",
)


@contextmanager
def told() -> Iterator[None]:
    """What can go wrong here is one line and exit code 2."""
    from infra.analytics.book import BookError
    from infra.clickhouse.client import ClickHouseUnreachableError
    from infra.clickhouse.migrate import MigrationError
    from infra.dashboards import DashboardError

    with clear_errors(BookError, ClickHouseUnreachableError, MigrationError, DashboardError):
        yield


@app.command()
def up(
    config: ConfigOption = None,
    port: Annotated[int, typer.Option(help="Where to listen, on 127.0.0.1.")] = 18288,
    background: Annotated[bool, typer.Option("--background", help="Return when it answers.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Serve the dashboards of this home, and say where and for whom.

    Starts the home's ClickHouse where none runs, builds the marts where there are none, brings Superset to
    what `superset/` says, then serves until Ctrl-C. The user's password is drawn once and kept in a file
    that only you can read. Exit codes: 0 stopped by you, 1 Superset ended by itself, 2 cannot start.

    [dim]kitepilot dashboards up --background --json[/dim]
    """
    with told():
        chosen = chosen_config(config)
        if background:
            _show(_in_background(config, port), as_json)
            return
        ended = _serve(chosen, port, as_json)
    raise typer.Exit(0 if ended else 1)


@app.command()
def down(as_json: JsonOption = False) -> None:
    """Stop the dashboards that run in the background, and the ClickHouse that was started for them.

    [dim]kitepilot dashboards down[/dim]
    """
    from infra.dashboards import DashboardError, running

    with told():
        found = running(home())
        if found and found["pid"]:
            os.kill(found["pid"], signal.SIGTERM)
            deadline = time.monotonic() + DOWN_WITHIN_S
            while running(home()):
                if time.monotonic() > deadline:
                    raise DashboardError(f"process {found['pid']} has not ended within {DOWN_WITHIN_S:.0f} s")
                time.sleep(0.1)
    print(
        json.dumps({"was_running": bool(found)}) if as_json else "stopped" if found else "nothing was running"
    )


@app.command()
def status(as_json: JsonOption = False) -> None:
    """Whether the dashboards are up, and where. Exit code 3 when they are not."""
    from infra.dashboards import running

    found = running(home())
    if found:
        _show(found, as_json)
        return
    print(json.dumps({"running": False}) if as_json else "nothing is running; `make dashboards` starts them")
    raise typer.Exit(EXIT_NOTHING_RUNS)


@app.command()
def export(
    config: ConfigOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; only say what would change.")
    ] = False,
    into: Annotated[Path | None, typer.Option("--into", help="Another folder than superset/assets.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write what was changed in the browser back into superset/assets, ready to be committed.

    Only what a person decided is in those files: no ids, no times, nothing that Superset assumes anyway.
    Exit codes: 0 done (with --check: nothing would change), 1 with --check something would, 2 cannot.

    [dim]kitepilot dashboards export && git diff superset/assets[/dim]
    """
    with told():
        files, changed = _superset(chosen_config(config), 0).export(check=check, into=into)
    names = [os.path.relpath(path) for path in files]
    if as_json:
        print(json.dumps({"changed": names}))
    else:
        print("\n".join(names) if names else "nothing was changed")
    raise typer.Exit(EXIT_DIFFERS if check and changed else 0)


def _superset(config: Config, port: int) -> Superset:
    from infra.dashboards import Superset

    return Superset(home(), config.storage.clickhouse_url, config.storage.clickhouse_database, port)


def _serve(config: Config, port: int, as_json: bool) -> bool:
    """Until somebody stops it (True) or Superset ends by itself (False)."""
    from infra.analytics.book import answering

    superset = _superset(config, port)
    stderr = Console(stderr=True)
    with ExitStack() as stack:
        stack.enter_context(superset.alone())
        stack.enter_context(_stopped_in_order())
        if after_close.under_way(home()) is not None:
            with stderr.status("the day's papers are being made with the same stores: waiting for them"):
                after_close.wait_for(home())
        _build_marts(config)
        stack.enter_context(answering(Run("dashboards", superset.folder / "clickhouse", config)))
        with stderr.status("bringing Superset to what superset/ says"):
            kept = superset.bootstrap()
        for folder in kept:
            stderr.print(
                f"changed in the browser, never exported, now written over: kept in {folder}",
                highlight=False,
                soft_wrap=True,
            )
        with stderr.status("starting Superset"):
            server = stack.enter_context(superset.serving())
        superset.announce()
        _show({"pid": os.getpid(), "url": superset.url, "owner_file": str(superset.owner_file)}, as_json)
        try:
            server.wait()
        except KeyboardInterrupt:
            return True
    return False


@contextmanager
def _stopped_in_order() -> Iterator[None]:
    """SIGTERM ends this process as Ctrl-C does: the servers it started end first."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _build_marts(config: Config) -> None:
    """The marts, where none were built yet.

    Raises:
        ConfigError: they cannot be built.
    """
    from infra.analytics.book import opened_book
    from infra.analytics.dbt import build
    from infra.clickhouse.client import connect
    from kitepilot.cli.analytics import steps

    with opened_book(config, home()) as run:
        with connect(run, "superset", database="system") as client:
            marts = f"{config.storage.clickhouse_database}_marts"
            found = client.query("SELECT count() FROM tables WHERE database = {d:String}", {"d": marts})
        if found.result_rows[0][0]:
            return
        with steps("building the marts:") as step:
            outcome = build(run, step=step)
        if broken := [made.name for made in outcome.made if made.failed]:
            raise ConfigError(f"marts were not built ({', '.join(broken)}): see `kitepilot analytics build`")


def _in_background(config: Path | None, port: int) -> dict[str, Any]:
    """The same command as a process of its own; returns when it answers."""
    from infra.dashboards import DashboardError, running

    if running(home()):
        raise DashboardError("the dashboards are up already: `kitepilot dashboards status` says where")
    folder = home() / "superset"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    command = [sys.executable, "-m", "kitepilot", "dashboards", "up", "--port", str(port)]
    with (folder / "dashboards.log").open("w+") as log:
        process = subprocess.Popen(
            [*command, *(["--config", str(config)] if config else [])],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        deadline = time.monotonic() + UP_WITHIN_S
        while not ((found := running(home())) and found["url"]):
            if process.poll() is not None:
                log.seek(0)
                lines = log.read().split("error: ")
                raise DashboardError(" ".join(lines[-1].split()) or f"it ended at once: see {log.name}")
            if time.monotonic() > deadline:
                process.terminate()
                raise DashboardError(f"it did not come up within {UP_WITHIN_S:.0f} s: see {log.name}")
            time.sleep(0.2)
    return found


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"running": True, **found}), flush=True)
        return
    if not found["url"]:
        print("the dashboards are coming up", flush=True)
        return
    user = json.loads(Path(found["owner_file"]).read_text())["user"]
    print(f"dashboards: {found['url']}/dashboard/list/", flush=True)
    print(f"user: {user}; the password is in {found['owner_file']}", flush=True)
