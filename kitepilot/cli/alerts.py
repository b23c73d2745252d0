"""`kitepilot alerts`: what people were told, a test of the ways to them, and the word that it was seen."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from kitepilot.cli.options import ConfigOption, JsonOption, chosen_config, clear_errors
from kitepilot.config import Config, ConfigError
from kitepilot.run import Run, home

if TYPE_CHECKING:
    from kitepilot.alerts.desk import Alert

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="""What a person must know: listed, tested, acknowledged.

    [dim]kitepilot alerts list                  those that want somebody first
    kitepilot alerts ack halted:alarm      seen: nobody else is called
    kitepilot alerts test                  one message to every target[/dim]""",
)


@app.command("list")
def show(
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over or seen.")] = False,
    as_json: JsonOption = False,
) -> None:
    """The alerts of the run that was started last, those that want somebody first."""
    with clear_errors():
        run, alerts = _alerts(home())
    shown = [alert for alert in alerts if everything or alert.open]
    if as_json:
        print(json.dumps({"run_id": run.run_id, "alerts": [described(alert) for alert in shown]}))
        return
    console = Console()
    if not shown:
        console.print(
            f"{run.run_id}: no alert wants anybody" + ("" if everything else " (--all shows others)")
        )
        return
    table = Table("key", "severity", "since, IST", "times", "what", "seen or over", box=SIMPLE_HEAD)
    for alert in shown:
        said = described(alert)
        table.add_row(
            alert.key, alert.severity, said["raised_ist"], str(alert.noticed), alert.detail, said["state"]
        )
    console.print(table)


@app.command()
def ack(
    key: Annotated[str, typer.Argument(help="As `kitepilot alerts list` shows it.")],
    as_json: JsonOption = False,
) -> None:
    """Say that an alert was seen: nobody else is called about it. Exit code 2 when there is no such alert."""
    with clear_errors():
        run, alerts = _alerts(home())
        if key not in {alert.key for alert in alerts if not alert.acknowledged_at}:
            open_ = ", ".join(alert.key for alert in alerts if alert.open) or "none"
            raise ConfigError(f"no alert {key!r} of {run.run_id} waits for anybody; open: {open_}")
        _say(run, key)
    print(json.dumps({"acknowledged": key}) if as_json else f"{key}: acknowledged")


@app.command()
def test(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Tell every target now, and whether it took it. Exit code 2 when one did not."""
    with clear_errors():
        outcomes = try_targets(chosen_config(config))
    if as_json:
        print(json.dumps(outcomes))
    else:
        for name, trouble in outcomes.items():
            print(f"{name}: {trouble or 'taken'}")
    if any(outcomes.values()):
        raise typer.Exit(2)


def try_targets(config: Config) -> dict[str, str]:
    """Target -> "" or why it did not take a test message. Raises ConfigError without targets."""
    from infra.alerts.targets import UndeliveredError, deliver
    from kitepilot.alerts.desk import RAISED, Message
    from kitepilot.alerts.kinds import BY_NAME

    if not config.alerts.targets:
        raise ConfigError("alerts.targets is empty: name somebody to tell (docs/how-to/alerts.md)")
    now, kind, outcomes = time.time_ns(), BY_NAME["test"], {}
    for target in config.alerts.targets:
        message = Message(
            target=target.name,
            number=0,
            key="test:targets",
            severity=kind.severity,
            word=RAISED,
            detail="a test",
            to_do=kind.to_do,
            raised_at=now,
            due_at=now,
        )
        try:
            deliver(target.url_at, message, "test")
        except UndeliveredError as err:
            outcomes[target.name] = str(err)
        else:
            outcomes[target.name] = ""
    return outcomes


def described(alert: Alert) -> dict[str, Any]:
    """An alert for people and programs: times in ns UTC and IST."""
    from kitepilot.market.calendar import to_ist

    return {
        "key": alert.key,
        "number": alert.number,
        "severity": alert.severity.value,
        "detail": alert.detail,
        "noticed": alert.noticed,
        "raised_at": alert.raised_at,
        "raised_ist": f"{to_ist(alert.raised_at):%H:%M:%S}",
        "over_at": alert.over_at,
        "acknowledged_at": alert.acknowledged_at,
        "acknowledged_by": alert.acknowledged_by,
        "state": f"seen by {alert.acknowledged_by}" if alert.state == "seen" else alert.state,
        "told": {name: told.times for name, told in alert.told.items()},
    }


def _alerts(place: Path) -> tuple[Run, list[Alert]]:
    from infra.alerts import state_file
    from kitepilot.alerts.desk import listed
    from kitepilot.cli.tail import newest_run

    run = newest_run(place)
    state = state_file.read(run.folder)
    if state is None:
        raise ConfigError(f"no alerts process ever ran in {run.run_id}")
    return run, list(listed(state.desk))


def _say(run: Run, key: str) -> None:
    from infra.eventlog import open_log
    from kitepilot.cli import watch

    log = open_log(run)
    try:
        now = time.time_ns()
        watch.command(log, now, now, "alert_ack", key)
    finally:
        log.close()
