"""Files and folders -> a dataset in the home, with what was understood shown and what is odd told."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from kitepilot.config import ConfigError

if TYPE_CHECKING:
    from research.datasets.actions import Actions
    from research.datasets.manifest import Manifest
    from research.datasets.reading import PlannedFile, Tell

COLOURS = {"refused": "red", "warning": "yellow", "note": "dim"}


@dataclass(frozen=True)
class Words:
    """The command's options, as they were given."""

    paths: tuple[Path, ...]
    name: str | None = None
    columns: str = ""
    zone: str | None = None
    label: str | None = None
    basis: str = "unknown"
    as_of: str | None = None
    same: tuple[str, ...] = ()
    official: Path | None = None
    rounding: bool = False
    replace: bool = False
    yes: bool = False


@contextlib.contextmanager
def progress(console: Console) -> Iterator[Tell]:
    """What is being done, and how far it is."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task("")
        yield lambda what, done, of: shown.update(task, description=what, completed=done, total=of)


def bring_in(home: Path, words: Words, console: Console) -> Manifest:
    """Look at the files, show how they are read, ask on a terminal, import.

    Raises:
        ConfigError: a word that is none, or the owner said no. DatasetError: as `import_bars`.
    """
    from research.datasets.columns import parsed
    from research.datasets.importing import Plan, import_bars
    from research.datasets.manifest import folder_of
    from research.datasets.official_days import OfficialDays
    from research.datasets.reading import Told, planned
    from research.datasets.sources import sources_in

    basis, as_of = basis_of(words.basis, words.as_of)
    sources, left_out = sources_in(words.paths)
    told = Told(
        parsed(words.columns), _one_of("--zone", words.zone, ZONES), _one_of("--labels", words.label, LABELS)
    )
    with progress(console) as tell:
        files = planned(sources, told, tell)
    show_plan(console, files, left_out)
    _confirm(files, words, console)
    plan = Plan(
        name=words.name or _named(words.paths[0]),
        files=files,
        basis=basis,
        basis_as_of=as_of,
        rounding=words.rounding,
        official=OfficialDays(words.official) if words.official else None,
        same=dict(_pair(text) for text in words.same),
    )
    with progress(console) as tell:
        return import_bars(plan, folder_of(home, plan.name), replace=words.replace, tell=tell)


ZONES = {"IST": "IST", "UTC": "UTC", "ist": "IST", "utc": "UTC"}
LABELS = {"start": "start", "end": "end"}


def basis_of(basis: str, as_of: str | None) -> tuple[Any, date | None]:
    """`--basis` and `--as-of`, checked. Raises `ConfigError`."""
    if basis not in ("unknown", "raw", "adjusted"):
        raise ConfigError(f"--basis {basis!r}: raw (as traded), adjusted (with --as-of DATE), or unknown")
    if (basis == "adjusted") != (as_of is not None):
        raise ConfigError("--as-of DATE goes with --basis adjusted: the day the prices were downloaded")
    return basis, day_of("--as-of", as_of)


def day_of(option: str, text: str | None) -> date | None:
    """Raises `ConfigError` for what is no date."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as err:
        raise ConfigError(f"{option} {text!r}: write a date like 2026-01-31") from err


def show_plan(console: Console, files: Sequence[PlannedFile], left_out: Sequence[Path]) -> None:
    """What each column is taken to be, once for all files that are read alike."""
    groups: dict[str, list[PlannedFile]] = {}
    for file in files:
        groups.setdefault(
            json.dumps([file.columns.words() if not file.ticks else "", file.words]), []
        ).append(file)
    for alike in groups.values():
        first = alike[0]
        more = f" and {len(alike) - 1} more" if len(alike) > 1 else ""
        table = Table("this", "is read from", title=f"{first.source.path.name}{more}", title_justify="left")
        if not first.ticks:
            for role, column in first.columns.words().items():
                table.add_row(role, column)
        table.add_row("times", first.words + (f" ({first.reading.why})" if first.reading.why else ""))
        console.print(table)
    if left_out:
        names = ", ".join(path.name for path in left_out[:5])
        console.print(
            f"left out, not Parquet, CSV or JSONL or hidden by `_`: {len(left_out)} files ({names})"
        )


def show_manifest(console: Console, manifest: Manifest, folder: Path) -> None:
    """One line of what there is, then what the checks found, the worst of each."""
    console.print(
        f"[b]{manifest.title}[/]: {manifest.rows:,} bars of {len(manifest.tokens)} symbols, "
        f"{len(manifest.sessions)} sessions from {manifest.first} to {manifest.last}; "
        f"{manifest.refused:,} rows refused",
        highlight=False,
        soft_wrap=True,
    )
    basis = f"{manifest.basis} as of {manifest.basis_as_of}" if manifest.basis_as_of else manifest.basis
    hint = "" if manifest.basis != "unknown" else "; say it with `kitepilot datasets adjust`"
    console.print(f"prices: {basis}{hint}", highlight=False, soft_wrap=True)
    for check in manifest.checks:
        places = f" in {check.places:,} places" if check.places > 1 else ""
        colour = COLOURS[check.severity]
        console.print(
            f"[{colour}]{check.severity}[/] {check.check}: {check.count:,}{places}",
            highlight=False,
            soft_wrap=True,
        )
        for line in check.lines:
            console.print(f"    {line}", highlight=False, soft_wrap=True, markup=False)
    if manifest.refused:
        console.print(f"refused rows with their reasons: {folder / 'refused.parquet'}", soft_wrap=True)
    console.print(
        f"all lines: {folder / 'findings.parquet'}; "
        f"a page with plots: `kitepilot datasets quality {manifest.name}`",
        highlight=False,
        soft_wrap=True,
    )


def _confirm(files: Sequence[PlannedFile], words: Words, console: Console) -> None:
    """On a terminal the owner says yes; off one, only what is unusual wants a word."""
    if words.yes:
        return
    if sys.stdin.isatty() and console.is_terminal:
        if console.input("Is this right? \\[Y/n] ").strip().lower() not in ("", "y", "yes"):
            raise ConfigError("nothing was imported; say it with --map open=COLUMN,..., --zone, --labels")
        return
    told = words.zone is not None and words.label is not None
    unusual = next((file for file in files if file.reading.unusual), None)
    if unusual is not None and not told:
        raise ConfigError(
            f"{unusual.source.path}: would be read as {unusual.words} ({unusual.reading.why}); "
            "confirm it with --yes, or say --zone and --labels"
        )


def _one_of(option: str, text: str | None, known: dict[str, str]) -> Any:
    if text is not None and text not in known:
        raise ConfigError(f"{option} {text!r}: one of {', '.join(dict.fromkeys(known.values()))}")
    return known.get(text or "")


def _pair(text: str) -> tuple[str, str]:
    old, sign, new = text.partition("=")
    if not (old and sign and new):
        raise ConfigError(f"--same {text!r}: write OLD=NEW, two symbols of one share")
    return old.strip(), new.strip()


def _named(path: Path) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", path.name.split(".")[0].lower()).strip("-._") or "data"


def as_json(manifest: Manifest, home: Path) -> dict[str, Any]:
    """The manifest without its long lists, and where it lies."""
    import msgspec

    from research.datasets.manifest import folder_of

    told: dict[str, Any] = msgspec.to_builtins(manifest)
    told["sessions"], told["symbols"] = len(manifest.sessions), len(manifest.tokens)
    told.pop("tokens")
    return told | {"folder": f"{folder_of(home, manifest.name)}"}


def take_actions(home: Path, path: Path | None) -> Actions:
    """The home's table, with the file's rows taken in. Raises `DatasetError`."""
    from research.datasets.actions import actions_of, read_actions, write_actions
    from research.datasets.manifest import FOLDER

    known = actions_of(home / FOLDER)
    if path is None:
        return known
    merged = known.merged(read_actions(path))
    write_actions(home / FOLDER, merged)
    return merged


def show_actions(console: Console, actions: Actions, taken: bool) -> None:
    """The table, or after taking rows in how many there are now and what was left out."""
    if taken:
        console.print(f"{len(actions.rows):,} splits and bonus issues are known now", highlight=False)
        for kind, count in actions.left_out.items():
            console.print(f"left out: {count} x {kind} (no split: nothing is adjusted)", highlight=False)
        if actions.known_by_ex_date:
            console.print(
                f"{actions.known_by_ex_date} rows say no known_since: they count as known "
                "from their ex-date on",
                highlight=False,
                soft_wrap=True,
            )
        return
    table = Table("symbol", "ex-date", "price factor", "volume factor", "known since", "kind")
    for row in actions.rows:
        table.add_row(*(f"{cell}" for cell in row))
    console.print(table if actions.rows else "no corporate actions yet: `kitepilot datasets actions --help`")
