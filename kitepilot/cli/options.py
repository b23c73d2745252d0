"""What the commands share: their options, the configuration they lead to, and errors told in one line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kitepilot import config as configuration
from kitepilot.config import Config, ConfigError
from kitepilot.run import home

EXIT_USER = 2

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="YAML file; defaults without one.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
SessionOption = Annotated[str | None, typer.Option("--session", help="Trading date, e.g. 2026-11-20.")]
FeedOption = Annotated[
    str | None, typer.Option("--feed", help="Recorded ticks (Parquet file or folder) in place of the seed.")
]
SpeedOption = Annotated[
    str | None, typer.Option("--speed", help='Session seconds per second, or "max". Live pace is 1.')
]
AmberOption = Annotated[
    bool, typer.Option("--accept-amber", help="Live: start though a check is amber. Red is never accepted.")
]
StrategyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy", help="Trade this strategy only; say it again for more. See `strategies list`."
    ),
]
LogOption = Annotated[str | None, typer.Option("--log", help="Event log: sqlite (embedded) or kafka.")]


@contextlib.contextmanager
def clear_errors(*also: type[Exception]) -> Iterator[None]:
    """User errors, and those the command names, become one line and exit code 2; others keep their trace."""
    from kitepilot.cli.supervise import SupervisionError
    from kitepilot.cli.watch import StalledError
    from kitepilot.market.calendar import CalendarError
    from kitepilot.models.port import ModelError
    from kitepilot.ports import LogError

    told: tuple[type[Exception], ...] = (
        *(ConfigError, SupervisionError, StalledError, LogError, CalendarError, ModelError),
        *also,
    )
    try:
        yield
    except told as err:
        fail(str(err))
    except OSError as err:
        if err.errno != 28:  # ENOSPC
            raise
        fail(f"the disk is full: {err.filename or home()}; free space or set $KITEPILOT_HOME elsewhere")


def fail(message: str) -> None:
    """One line on standard error, exit code 2."""
    Console(stderr=True).print(f"[red]error:[/red] {message}", highlight=False, soft_wrap=True)
    raise typer.Exit(EXIT_USER)


def chosen_config(path: Path | None, **changes: object) -> Config:
    """The configuration file with the command line's changes. Raises `ConfigError`."""
    speed = changes.get("session.speed")
    if isinstance(speed, str) and speed != "max":
        try:
            changes["session.speed"] = float(speed)
        except ValueError as err:
            raise ConfigError(f'--speed {speed!r} is neither a number nor "max"') from err
    return configuration.override(configuration.load(path), **changes)
