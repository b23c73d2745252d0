"""The steps of a paper day one by one, where something else (compose) starts the processes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rich.console import Console

from kitepilot.cli import live, opening, outcome
from kitepilot.cli import processes as table
from kitepilot.cli.paper import ARCHIVE_WITHIN_S, Day, Interrupt
from kitepilot.cli.supervise import SupervisionError
from kitepilot.cli.venue import SandboxVenue
from kitepilot.cli.watch import stderr_console
from kitepilot.config import Config
from kitepilot.run import Run
from kitepilot.topics import TOPICS

READY_WITHIN_S = 180.0


def prepare(config: Config, home: Path, came_from: Path | None = None) -> Run:
    """Create the run and the schemas; `runs/current` links to it."""
    if config.mode == "live":
        config = live.dated(config, None, time.time_ns())
    run = opening.create_run(config, home, came_from)
    opening.prepare_stores(run).close()
    link = home / "runs" / "current"
    link.unlink(missing_ok=True)
    link.symlink_to(run.folder.name)
    return run


def open_session(run: Run, *, accept_amber: bool = False) -> None:
    """Log in, fetch instruments (live: check that a person did both), announce the run.

    Raises:
        ConfigError: live, and a check is not green.
    """
    from infra.eventlog import open_log

    if run.config.mode == "live":
        live.require_ready(run.config, run.home, accept_amber=accept_amber, run_id=run.run_id)
        auction = live.enter(run)
    else:
        exchange = opening.enter(run)
        auction = opening.auction_stocks(exchange)
        exchange.close()
    log = open_log(run)
    opening.announce(run, log, opening.plan(run, auction))
    log.close()


def conduct(run: Run, *, as_json: bool) -> dict[str, Any]:
    """Wait for all processes, open the market, follow it to the close, prove the day."""
    from infra.eventlog import open_log

    console = stderr_console()
    _await_processes(run)
    log = open_log(run)
    day = Day(run, console, Interrupt(console.print))
    exchange = opening.Exchange(run.config)
    interrupted, traded_s = day.follow(log, exchange)
    outcome.await_archive(run, {t.name: log.end_offset(t.name) for t in TOPICS}, ARCHIVE_WITHIN_S)
    result = outcome.conclude(run, log, SandboxVenue(exchange), interrupted=interrupted, traded_s=traded_s)
    if not as_json:
        outcome.show(Console(), result)
    exchange.close()
    log.close()
    return result


def _await_processes(run: Run) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    for process in table.TRADING:
        while not run.ready_file(process.name).exists():
            if time.monotonic() > deadline:
                raise SupervisionError(
                    f"{process.name} is not ready after {READY_WITHIN_S:.0f} s: see its container's log"
                )
            time.sleep(0.2)
