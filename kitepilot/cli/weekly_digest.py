"""`kitepilot weekly-digest`: one page over a week's days."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from kitepilot.cli.options import ConfigOption, JsonOption, chosen_config, clear_errors
from kitepilot.config import Config, ConfigError
from kitepilot.run import Run, home

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from research.pack.week import WeekBook

DAYS: Final = 7
LOSS_LIMIT: Final = "daily_loss"


def weekly_digest(
    week: Annotated[
        str | None, typer.Argument(metavar="[WEEK]", help="ISO week; without one that of the newest day.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="File; packs/weeks/WEEK.html without.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make one page over a week: results by day, strategy, instrument and hour, and how each day's pack is.

    Read from the book of analysis as the days' packs (or `kitepilot analytics build`) left it. The same week
    gives the same bytes. Exit codes: 0, 2 no such week, or the book cannot be read.

    [dim]kitepilot weekly-digest 2026-W47
    kitepilot weekly-digest --json | jq .net_pnl_paise[/dim]
    """
    from infra.analytics.book import BookError, opened_book
    from infra.clickhouse.client import ClickHouseUnreachableError, connect
    from infra.clickhouse.migrate import MigrationError
    from kitepilot.cli import days
    from research.pack import page
    from research.pack import week as pages

    with clear_errors(BookError, ClickHouseUnreachableError, MigrationError):
        runs = days.known_runs(home())
        chosen = chosen_config(config) if config or not runs else runs[-1].config()
        monday = _monday(week, runs[-1].session_date if runs else None)
        with opened_book(chosen, home()) as run, connect(run, "dbt") as client:
            book = _book(client, run, chosen, monday)
        path = out or home() / "packs" / "weeks" / f"{book.week}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page.html(pages.document(book)), encoding="utf-8")
    whole = book.whole()
    told = {"week": book.week, "page": str(path), "net_pnl_paise": whole["net_pnl_paise"] if whole else 0}
    print(json.dumps(told) if as_json else path)


def _monday(week: str | None, newest: str | None) -> date:
    """Raises `ConfigError`: not a week, or no day is recorded."""
    if week is None:
        if newest is None:
            raise ConfigError(f"no day is recorded in {home()}: `kitepilot paper` makes one")
        day = date.fromisoformat(newest)
        return day - timedelta(days=day.weekday())
    try:
        year, number = week.upper().split("-W")
        return date.fromisocalendar(int(year), int(number), 1)
    except ValueError as err:
        raise ConfigError(f"{week!r} is not a week like 2026-W47") from err


def _book(client: Client, run: Run, config: Config, monday: date) -> WeekBook:
    from research.pack.week import WeekBook

    year, number, _ = monday.isocalendar()
    sessions = _rows(client, run, "dim_sessions", "mode = {mode:String}", config, monday)
    counted = {row["session_date"]: row["run_id"] for row in sessions if row["counts_in_performance"]}
    nearest = _rows(client, run, "fct_limit_use", f"limit_code = '{LOSS_LIMIT}'", config, monday)
    signals = _rows(client, run, "fct_signal_quality", "true", config, monday)
    return WeekBook(
        week=f"{year}-W{number:02d}",
        first=monday,
        mode=config.mode,
        sessions=sessions,
        performance=_rows(client, run, "fct_performance", "mode = {mode:String}", config, monday),
        caps={
            row["session_date"]: row["use_share"]
            for row in nearest
            if row["run_id"] in counted.values() and row["use_share"] is not None
        },
        signals=[row for row in signals if row["run_id"] in counted.values()],
        packs=_packs(counted),
    )


def _packs(counted: Mapping[date, str]) -> dict[date, str]:
    from infra.daily_packs import packs_of

    found = {}
    for day, run_id in counted.items():
        if packs := packs_of(home() / "packs", day.isoformat(), run_id):
            failed = "FAILED, " if packs[-1].failed else ""
            found[day] = f"{failed}version {packs[-1].version}"
    return found


def _rows(
    client: Client, run: Run, mart: str, condition: str, config: Config, monday: date
) -> list[dict[str, Any]]:
    """Rows of the week's days. Raises `ConfigError` where the mart was never built."""
    from clickhouse_connect.driver.exceptions import DatabaseError

    place = f"{run.config.storage.clickhouse_database}_marts.{mart}"
    column = "period_start" if mart == "fct_performance" else "session_date"
    within = f"{column} >= {{first:Date}} AND {column} < {{end:Date}} AND {condition}"
    query = f"SELECT * FROM {place} WHERE {within} ORDER BY ALL"  # noqa: S608 names and conditions of our own
    values = {"first": monday, "end": monday + timedelta(days=DAYS), "mode": config.mode}
    try:
        found = client.query(query, parameters=values)
    except DatabaseError as err:
        raise ConfigError(f"{mart} cannot be read: run `kitepilot analytics build` first") from err
    return [dict(zip(found.column_names, row, strict=True)) for row in found.result_rows]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("weekly-digest")(weekly_digest)
