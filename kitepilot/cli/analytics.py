"""`kitepilot analytics`: build the book of analysis from the archive, test it, document it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from kitepilot.cli.options import ConfigOption, JsonOption, chosen_config, clear_errors
from kitepilot.config import Config, ConfigError
from kitepilot.run import Run, home

if TYPE_CHECKING:
    from infra.analytics.dbt import Step
    from infra.analytics.outcome import Outcome

EXIT_FAILED = 1

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="""The book of analysis: what the archive holds, made into trades, results, charges, orders, signals.

    [dim]kitepilot analytics build                       the days of which something new was archived
    kitepilot analytics build --date 2026-11-20     one day again
    kitepilot analytics docs                        what every column means, on one page[/dim]""",
)
SelectOption = Annotated[
    list[str] | None, typer.Option("--select", help="Only these models, in dbt's words; say it again.")
]


@contextmanager
def opened(config: Config) -> Iterator[Run]:
    """The book of this home; its troubles become one line and exit code 2."""
    from infra.analytics.book import BookError, opened_book
    from infra.clickhouse.client import ClickHouseUnreachableError
    from infra.clickhouse.migrate import MigrationError

    with (
        clear_errors(BookError, ClickHouseUnreachableError, MigrationError),
        opened_book(config, home()) as run,
    ):
        yield run


@app.command()
def build(
    config: ConfigOption = None,
    on: Annotated[str, typer.Option("--date", help="Redo this trading date.")] = "",
    since: Annotated[str, typer.Option("--since", help="Redo the trading dates from this one on.")] = "",
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Make every mart anew.")] = False,
    select: SelectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring the marts up to date and test them.

    Without a date: the days of which something was archived since the last build; where there is none, and
    KitePilot is the same, that build stands. A day is redone whole, so building twice changes nothing. Starts
    the embedded ClickHouse for as long as this takes if none runs.
    Exit codes: 0 built and every test held, 1 not, 2 cannot begin.

    [dim]kitepilot analytics build --since 2026-11-16[/dim]
    """
    from infra.analytics.dbt import Days
    from infra.analytics.dbt import build as run_build

    with clear_errors():
        chosen, first, only = chosen_config(config), _day("--since", since), _day("--date", on)
        if bool(on) + bool(since) + full_refresh > 1:
            raise ConfigError("--date, --since and --full-refresh exclude each other: choose one")
    with opened(chosen) as run, steps("building") as step:
        outcome = run_build(run, Days(only, first, full_refresh), tuple(select or ()), step)
        _finish(run, outcome, as_json)


@app.command()
def test(config: ConfigOption = None, select: SelectOption = None, as_json: JsonOption = False) -> None:
    """Hold the marts to their invariants, and say how fresh the archive is.

    Exit codes: 0 every test held, 1 not (what failed is named, and what it means), 2 cannot begin.

    [dim]kitepilot analytics test --select fct_fills[/dim]
    """
    from dataclasses import replace

    from infra.analytics.dbt import freshness
    from infra.analytics.dbt import test as run_test

    with clear_errors():
        chosen = chosen_config(config)
    with opened(chosen) as run, steps("testing") as step:
        outcome = run_test(run, tuple(select or ()), step)
        if not select:
            fresh = freshness(run)
            outcome = replace(outcome, tested=outcome.tested + fresh.tested)
        _finish(run, outcome, as_json)


@app.command()
def docs(
    config: ConfigOption = None,
    to: Annotated[Path | None, typer.Option("--to", help="Where to write it; else in the home.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write one page that describes every model and column, with what rests on what. Needs no network.

    [dim]kitepilot analytics docs --to book.html[/dim]
    """
    from infra.analytics.book import FOLDER
    from infra.analytics.dbt import document
    from infra.analytics.pages import self_contained

    with clear_errors():
        chosen = chosen_config(config)
    with opened(chosen) as run, steps("documenting") as step:
        page = self_contained(document(run, step).read_text())
    path = to or home() / FOLDER / "book.html"
    with clear_errors():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page)
    print(json.dumps({"page": str(path)}) if as_json else path)


def _day(option: str, text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as err:
        raise ConfigError(f"{option} {text!r} is not a date like 2026-11-20") from err


@contextmanager
def steps(doing: str) -> Iterator[Step]:
    """A bar on standard error while dbt works."""
    with Progress(
        TextColumn(f"{doing} {{task.description}}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        bar = progress.add_task("", total=None)

        def step(done: int, total: int, name: str) -> None:
            progress.update(bar, completed=done, total=total or None, description=name)

        yield step


def _finish(run: Run, outcome: Outcome, as_json: bool) -> None:
    from infra.analytics.sizes import rows_of

    rows = rows_of(run, outcome)
    if as_json:
        print(json.dumps(outcome.as_json() | {"rows": rows}))
    else:
        show(Console(), outcome, rows)
    raise typer.Exit(0 if outcome.ok else EXIT_FAILED)


def show(console: Console, outcome: Outcome, rows: dict[str, int]) -> None:
    """What was built, and what each failing test means."""
    if outcome.kept:
        words = f"nothing was archived since the last build: its {len(outcome.made)} models and "
        console.print(f"{words}{len(outcome.tested)} tests stand", highlight=False)
        return
    if marts := [made for made in outcome.made if made.kind != "view" or made.failed]:
        table = Table("layer", "model", "rows", "seconds", "")
        for made in sorted(marts, key=lambda each: (each.layer, each.name)):
            state = f"[red]{made.status}[/]" if made.failed else "[green]built[/]"
            count = f"{rows[made.relation]:,}" if made.relation in rows else ""
            table.add_row(made.layer, made.name, count, f"{made.seconds:.2f}", state)
        console.print(table)
    for made in outcome.made:
        if made.failed and made.message:
            console.print(f"{made.name}: {made.message}", style="red", highlight=False, markup=False)
    for failed in outcome.failures:
        text = f"{failed.name}: {failed.meaning}; {failed.rows:,} rows. {failed.message} {failed.sql}"
        console.print(text, style="red", highlight=False, markup=False, soft_wrap=True)
    views = sum(made.kind == "view" for made in outcome.made)
    console.print(
        f"{len(outcome.made)} models built ({views} views), {len(outcome.tested)} tests, "
        f"{len(outcome.failures)} failed, {outcome.seconds:.1f} s"
        + (", every day redone" if outcome.full_refresh and outcome.made else ""),
        highlight=False,
    )
