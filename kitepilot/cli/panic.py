"""The commands that stop and start trading: flatten, halt, reduce, resume."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from kitepilot.cli.options import clear_errors
from kitepilot.cli.watch import speaker, stderr_console
from kitepilot.run import home

ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the record.")]


def flatten(
    now: Annotated[
        bool, typer.Option("--now", help="Through the watchdog at once, past the decisions and the log.")
    ] = False,
    reason: ReasonOption = "the owner's flatten",
) -> None:
    """Close every position now and open nothing more until `kitepilot resume`.

    Through the decisions; where they do not answer within ten seconds, or the log does not, through the
    watchdog, which then trades alone: nothing else is sent until `resume`.

    Exit codes: 0 flat, 2 not seen flat.

    [dim]kitepilot flatten
    kitepilot flatten --now      # decisions, log or database are dead[/dim]
    """
    from infra.eventlog import open_log
    from kitepilot.cli import owner

    with clear_errors():
        run = owner.running(home())
        by = owner.flatten(run, open_log, speaker(stderr_console()), now=now, reason=reason)
    Console().print(f"{run.run_id} is flat, by {by}", highlight=False)


def halt() -> None:
    """Open nothing more; exits go on. `kitepilot resume` ends it."""
    _say("halt")


def reduce() -> None:
    """Open nothing more and let positions leave by their own plans. `kitepilot resume` ends it."""
    _say("reduce")


def resume() -> None:
    """Trade again after a halt or a flatten. Lowers the watchdog's fence, if the broker says all is flat.

    Exit codes: 0 said, 2 not flat, or nobody could be asked.
    """
    from broker_adapter.kite.client import BrokerReadError, KiteBroker
    from infra.eventlog import open_log
    from kitepilot.cli import owner

    with clear_errors(BrokerReadError):
        run = owner.running(home())
        owner.resume(run, KiteBroker(run), open_log, speaker(stderr_console()))
    Console().print(
        f"{run.run_id}: resume was said; `kitepilot status` shows the trading state", highlight=False
    )


def _say(name: str) -> None:
    from infra.eventlog import open_log
    from kitepilot.cli import owner

    with clear_errors():
        run = owner.running(home())
        owner.command(run, name, open_log)
    Console().print(
        f"{run.run_id}: {name} was said; `kitepilot status` shows the trading state", highlight=False
    )


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (flatten, halt, reduce, resume):
        app.command()(command)
