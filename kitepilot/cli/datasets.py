"""The commands about bars of the past: `import`, `export` and `datasets`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from kitepilot.cli.options import ConfigOption, JsonOption, chosen_config, clear_errors
from kitepilot.run import home

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A dataset of this home.")]
BasisOption = Annotated[
    str, typer.Option("--basis", help="Prices as traded (raw), or back-adjusted (adjusted, with --as-of).")
]
AsOfOption = Annotated[
    str | None, typer.Option("--as-of", help="The day back-adjusted prices were downloaded, e.g. 2026-01-31.")
]

datasets = typer.Typer(no_args_is_help=True, help="What was imported: list, show, quality, adjust, remove.")


def import_(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders of CSV or Parquet.")],
    name: Annotated[
        str | None, typer.Option("--name", help="What to call it; the file's name without.")
    ] = None,
    columns: Annotated[
        str, typer.Option("--map", help="Which column is what: open=O,high=H,time=Stamp,...")
    ] = "",
    zone: Annotated[str | None, typer.Option(help="Zone of times that do not tell it: IST or UTC.")] = None,
    label: Annotated[
        str | None, typer.Option("--labels", help="Bars are labelled by start or end of the minute.")
    ] = None,
    basis: BasisOption = "unknown",
    as_of: AsOfOption = None,
    same: Annotated[
        list[str] | None, typer.Option("--same", help="OLD=NEW: two names of one share (may be repeated).")
    ] = None,
    official: Annotated[
        Path | None,
        typer.Option("--official", help="The exchange's daily rows, to compare with (not imported)."),
    ] = None,
    rounding: Annotated[
        bool, typer.Option("--round", help="Take prices finer than a paisa, rounded; else they are refused.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="In place of a dataset of that name.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask: what was guessed is right.")] = False,
    clickhouse: Annotated[bool, typer.Option(help="Load into ClickHouse too, where it runs.")] = True,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a dataset of 1 m bars from files or folders: checked, by session, with a manifest and a hash.

    CSV or Parquet of any shape (columns are guessed and shown), candles that `kitepilot candles` wrote, and
    recorded ticks. Rows that cannot be right are kept apart with their reasons, the others go on; what looks
    odd is told with place and count, and nothing is repaired. The same rows give the same hash.
    Exit codes: 0 (look at the warnings), 2 nothing usable.

    [dim]kitepilot import bars/2016-08.parquet bars/2016-09.parquet --name nse-2016
    kitepilot import INFY.csv --map time=Stamp,open=O,high=H,low=L,close=C --basis raw --yes
    kitepilot import var/candles --name kite --basis adjusted --as-of 2026-06-30[/dim]
    """
    from kitepilot.cli import importing as way
    from kitepilot.cli.dataset_loading import load
    from research.datasets.manifest import DatasetError, folder_of

    console = Console(stderr=True)
    with clear_errors(DatasetError):
        words = way.Words(
            paths=tuple(paths),
            name=name,
            columns=columns,
            zone=zone,
            label=label,
            basis=basis,
            as_of=as_of,
            same=tuple(same or ()),
            official=official,
            rounding=rounding,
            replace=replace,
            yes=yes,
        )
        manifest = way.bring_in(home(), words, Console(quiet=True) if as_json else console)
        loaded = load(chosen_config(config), home(), manifest, console) if clickhouse else "not asked for"
    if as_json:
        print(json.dumps(way.as_json(manifest, home()) | {"clickhouse": loaded}))
    else:
        way.show_manifest(Console(), manifest, folder_of(home(), manifest.name))
        Console().print(f"ClickHouse: {loaded}", highlight=False, soft_wrap=True)


def export(
    name: NameArgument,
    out: Annotated[Path, typer.Option("--out", help="The file to write; it is replaced.")],
    form: Annotated[
        str | None, typer.Option("--format", help="csv, parquet or jsonl; by the file's ending without.")
    ] = None,
    symbols: Annotated[list[str] | None, typer.Option("--symbol", help="Only this one (repeat).")] = None,
    first: Annotated[str | None, typer.Option("--from", help="First session, e.g. 2016-08-16.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last session.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a dataset to one file of CSV, Parquet or JSON lines, as it is stored; `import` reads it back.

    Times are IST with their offset and label the start of the minute; prices are rupees (Parquet: paise).
    Exit codes: 0, 2 no such dataset, symbol or session.

    [dim]kitepilot export nse-2016 --out nse-2016.csv
    kitepilot export nse-2016 --symbol INFY --from 2016-09-01 --out infy.jsonl[/dim]
    """
    from kitepilot.cli import importing as way
    from research.datasets.exporting import export as write
    from research.datasets.manifest import DatasetError, folder_of

    with clear_errors(DatasetError), way.progress(Console(stderr=True, quiet=as_json)) as tell:
        chosen = form or out.suffix.removeprefix(".")
        days = way.day_of("--from", first), way.day_of("--to", last)
        rows = write(folder_of(home(), name), out, chosen, symbols or None, *days, tell)
    if as_json:
        print(json.dumps({"rows": rows, "format": chosen, "out": f"{out}"}))
    else:
        Console().print(f"{rows:,} bars written to {out}", highlight=False, soft_wrap=True)


@datasets.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List the datasets of this home.

    [dim]kitepilot datasets list --json | jq -r '.[].name'[/dim]
    """
    from research.datasets.manifest import DatasetError, folder_of, names_in, read_manifest

    with clear_errors(DatasetError):
        found = [read_manifest(folder_of(home(), name)) for name in names_in(home())]
    if as_json:
        keys = ("name", "sha256", "rows", "refused", "first", "last", "basis")
        print(json.dumps([{key: getattr(one, key) for key in keys} for one in found], default=str))
        return
    if not found:
        Console().print("no datasets yet: `kitepilot import --help`")
        return
    table = Table("bars", "symbols", "sessions", "from", "to", "prices", "name", box=None)
    for one in found:
        counts = (f"{one.rows:,}", f"{len(one.tokens)}", f"{len(one.sessions)}")
        table.add_row(*counts, f"{one.first}", f"{one.last}", one.basis, one.name)
    Console().print(table)


@datasets.command()
def show(name: NameArgument, as_json: JsonOption = False) -> None:
    """Show what a dataset holds, where it came from and what the checks found.

    [dim]kitepilot datasets show nse-2016[/dim]
    """
    from kitepilot.cli import importing as way
    from research.datasets.manifest import DatasetError, folder_of, read_manifest

    with clear_errors(DatasetError):
        folder = folder_of(home(), name)
        manifest = read_manifest(folder)
    if as_json:
        print(json.dumps(way.as_json(manifest, home())))
        return
    way.show_manifest(Console(), manifest, folder)
    for source in manifest.sources:
        Console().print(
            f"from {source.path}: {source.rows:,} rows, {source.read_as}, sha256 {source.sha256[:12]}",
            highlight=False,
            soft_wrap=True,
        )


@datasets.command()
def quality(
    name: NameArgument,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to write it; quality.html in the dataset without.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a dataset's quality page: bars, gaps, outliers and jumps drawn, and what the data cannot say.

    One HTML file that loads nothing from anywhere.

    [dim]kitepilot datasets quality nse-2016 --out nse-2016.html[/dim]
    """
    from kitepilot.cli import importing as way
    from research.datasets.manifest import DatasetError, folder_of
    from research.datasets.quality_page import write_quality_page

    with clear_errors(DatasetError), way.progress(Console(stderr=True, quiet=as_json)) as tell:
        folder = folder_of(home(), name)
        page = write_quality_page(folder, out or folder / "quality.html", tell)
    print(json.dumps({"page": f"{page}"}) if as_json else f"{page}")


@datasets.command()
def adjust(
    name: NameArgument,
    basis: Annotated[str, typer.Option("--basis", help="raw, or adjusted (with --as-of).")],
    as_of: AsOfOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether a dataset's prices are raw or back-adjusted; no row changes, reading adjusts from there.

    [dim]kitepilot datasets adjust nse-2021 --basis raw[/dim]
    """
    from kitepilot.cli import importing as way
    from research.datasets.manifest import DatasetError, folder_of, restated

    with clear_errors(DatasetError):
        stated = way.basis_of(basis, as_of)
        manifest = restated(folder_of(home(), name), *stated)
    if as_json:
        print(json.dumps(way.as_json(manifest, home())))
    else:
        day = f" as of {manifest.basis_as_of}" if manifest.basis_as_of else ""
        Console().print(f"{manifest.title}: prices are {manifest.basis}{day}", highlight=False)


@datasets.command()
def actions(
    path: Annotated[Path | None, typer.Argument(help="CSV to take in; without one, show the table.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Take in splits and bonus issues from a CSV, or show those that are known.

    Columns: symbol, ex_date, price_factor (2 for a 2:1 split), and if they are there volume_factor,
    known_since and kind. All datasets of the home share the table; it is used when bars are read.

    [dim]kitepilot datasets actions splits.csv[/dim]
    """
    from kitepilot.cli import importing as way
    from research.datasets.manifest import DatasetError

    with clear_errors(DatasetError):
        found = way.take_actions(home(), path)
    if as_json:
        print(json.dumps([row._asdict() for row in found.rows], default=str))
    else:
        way.show_actions(Console(), found, taken=path is not None)


@datasets.command()
def remove(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove a dataset from this home; its source files stay, and so do its rows in ClickHouse.

    [dim]kitepilot datasets remove nse-2016[/dim]
    """
    from research.datasets.manifest import DatasetError, folder_of, read_manifest, remove_dataset

    with clear_errors(DatasetError):
        folder = folder_of(home(), name)
        manifest = read_manifest(folder)
        if not yes:
            typer.confirm(f"Remove {manifest.title}, {manifest.rows:,} bars?", abort=True, err=True)
        remove_dataset(folder)
    print(json.dumps({"removed": manifest.title}) if as_json else f"removed {manifest.title}")


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("import")(import_)
    app.command()(export)
    app.add_typer(datasets, name="datasets")
