"""`kitepilot daily-pack`: a day's papers as one ZIP, by hand or after the close."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from kitepilot.cli.options import JsonOption, clear_errors
from kitepilot.run import home

if TYPE_CHECKING:
    from kitepilot.cli.pack.making import Made

EXIT_FAILED = 1


def daily_pack(
    day: Annotated[
        str | None,
        typer.Argument(metavar="[DATE]", help="Session date; without one the newest recorded day."),
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", help="Which run of that date; the newest without.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for it; `packs` of the home without.")
    ] = None,
    replay: Annotated[
        bool, typer.Option("--replay/--no-replay", help="Compute the day again and compare (as configured).")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Make a day's pack: report (HTML and PDF), orders, fills, signals, verdicts, the audit, all checked.

    Builds and tests the book of analysis, computes the day again, and zips everything with a manifest that
    has the SHA-256 of each file and the audit's root. The same day gives the same bytes. What fails is told
    on the first page, and the pack is marked FAILED. Where an earlier pack says something else, a further
    version is made with a list of changes; where it says the same, it stands.

    Exit codes: 0 complete, 1 FAILED (the pack says why), 2 no such day.

    [dim]kitepilot daily-pack 2026-11-20
    kitepilot daily-pack 2026-11-20 --out /media/usb --json | jq .why[/dim]
    """
    from infra.daily_packs import PackError
    from kitepilot.cli.after_close import alone
    from kitepilot.cli.pack.making import make
    from kitepilot.cli.watch import stderr_console

    with clear_errors(PackError):
        chosen = day or _newest()
        console = stderr_console()
        with alone(home()), console.status("") as shown:
            made = make(home(), chosen, run, out, None if replay else "none", shown.update)
    if as_json:
        print(json.dumps(made.as_json()))
    else:
        _show(made)
    raise typer.Exit(EXIT_FAILED if made.manifest.why else 0)


def _newest() -> str:
    from kitepilot.cli import days
    from kitepilot.config import ConfigError

    runs = days.known_runs(home())
    if not runs:
        raise ConfigError(f"no day is recorded in {home()}: `kitepilot paper` makes one")
    return runs[-1].session_date


def _show(made: Made) -> None:
    console = Console(soft_wrap=True, highlight=False)
    manifest = made.manifest
    colour = "red" if manifest.why else "green"
    new = "" if made.fresh else " (made before; nothing is new)"
    console.print(
        f"[{colour}]{manifest.status}[/]: pack of {manifest.session_date}, version {manifest.version}{new}"
    )
    for why in manifest.why:
        console.print(f"  {why}", markup=False)
    if made.changes is not None:
        rows = sum(file.changed for file in made.changes.files)
        console.print(
            f"  since version {made.changes.since}: "
            f"{len(made.changes.figures)} figures and {rows} rows changed"
        )
    console.print(f"{made.path}", markup=False)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("daily-pack")(daily_pack)
