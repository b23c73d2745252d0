"""`kitepilot retrain`: a new candidate and a new slippage fit, by hand or after the close."""

from __future__ import annotations

import json
import time
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console

from kitepilot.cli.options import ConfigOption, JsonOption, SessionOption, chosen_config, clear_errors
from kitepilot.config import ConfigError
from kitepilot.run import home

if TYPE_CHECKING:
    from kitepilot.cli.retrained import Retraining, Step

EXIT_FAILED, EXIT_NOT_DUE = 1, 3


def retrain(
    now: Annotated[bool, typer.Option("--now", help="Do it, due or not.")] = False,
    if_due: Annotated[
        bool, typer.Option("--if-due", help="Do it if it is due, at the lowest priority (for cron).")
    ] = False,
    session: SessionOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train on the configured dataset, check for leaks, register a candidate, fit slippage to own fills.

    Without --now or --if-due it says whether it is due after the newest session that is over, and why. The
    section `retrain` of the configuration says what is trained and when; with `retrain.enabled` the end of a
    day starts it by itself. A step that fails is told, and those that do without it still run. Nothing is
    ever promoted by itself: `kitepilot models promote` is yours.

    Exit codes: 0 all went well (or: due), 1 a step failed, 2 cannot begin, 3 not due.

    [dim]kitepilot retrain -c kitepilot.yaml
    kitepilot retrain -c kitepilot.yaml --now --json[/dim]
    """
    from kitepilot.cli import retraining as way

    with clear_errors():
        chosen = chosen_config(config)
        day = _date(session) if session else way.closed_session(time.time_ns())
        told = way.due_after(home(), chosen, day)
        if not now and not (if_due and told.due):
            _say_due(day, told.due, told.why, as_json)
            raise typer.Exit(0 if told.due else EXIT_NOT_DUE)
        if if_due:
            way.step_aside()
        show = _show_step if not as_json else lambda _: None
        done = way.retrain(home(), chosen, day, quiet=as_json or if_due, tell=show)
    _show(done, as_json)
    raise typer.Exit(0 if done.went_well else EXIT_FAILED)


def _say_due(day: date, due: bool, why: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"session": day.isoformat(), "due": due, "why": why}))
    else:
        word = "due" if due else "not due"
        Console().print(f"after the close of {day}: {word}, {why}", highlight=False, soft_wrap=True)


def _show_step(step: Step) -> None:
    words = f"{step.name:<13} {step.state:<8} {step.detail}"
    Console().print(words, highlight=False, soft_wrap=True, markup=False)


def _show(done: Retraining, as_json: bool) -> None:
    from kitepilot.cli.retrained import line

    told: dict[str, Any] = msgspec.to_builtins(done)
    if as_json:
        print(json.dumps({**told, "went_well": done.went_well}))
        return
    console = Console()
    for gate in done.gates:
        mark = "pass" if gate["passed"] else "no"
        words = f"  gate {gate['gate']:<22} {mark:<5} {gate['observed']} ({gate['required']})"
        console.print(words, highlight=False, soft_wrap=True, markup=False)
    console.print(line(done, "done"), highlight=False, soft_wrap=True, markup=False)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as err:
        raise ConfigError(f"--session {text!r} is no date: write 2026-11-20") from err


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(retrain)
