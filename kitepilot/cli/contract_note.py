"""`kitepilot contract-note`: the broker's note against our books of the day, trade by trade, line by line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from kitepilot.cli.options import JsonOption, clear_errors
from kitepilot.config import ConfigError
from kitepilot.run import Run, home

if TYPE_CHECKING:
    from kitepilot.contract_note.compare import Comparison
    from kitepilot.contract_note.note import Note, Trade

EXIT_DIFFERS = 1
COLOURS = {"rounding": "dim", "differs": "red", "not on the note": "red", "not in our books": "red"}

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="""The broker's contract note against our books.

    [dim]kitepilot contract-note import tradebook.csv charges.csv    every difference, named
    kitepilot contract-note expected 2026-11-20 > note.csv      the note our books lead us to expect[/dim]""",
)
RunOption = Annotated[str | None, typer.Option("--run", help="One run of that day; the newest without it.")]


@app.command("import")
def import_note(
    files: Annotated[list[Path], typer.Argument(help="CSV: trades, charges, or both in one.", exists=False)],
    on: Annotated[str, typer.Option("--date", help="The trading date, where the file does not say it.")] = "",
    run_id: RunOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the broker's note with our books, and keep what was found in ClickHouse.

    Trades are matched by order and trade number (quantity, price, side, time), charges line by line. A known
    rounding is explained and is no difference. Exit codes: 0 nothing but roundings, 1 differences, 2 the file
    cannot be read.

    [dim]kitepilot contract-note import 2026-11-20.csv --json[/dim]
    """
    from kitepilot.contract_note.compare import compare
    from kitepilot.orders.charges import ChargesError

    with clear_errors(ChargesError):
        wanted = _date(on) if on else None
        note = read_note(files, wanted)
    with day_of(note.day, run_id) as run, clear_errors(ChargesError):
        from infra.clickhouse.contract_notes import keep_note

        found = compare(note, our_trades(run))
        keep_note(run, found)
    if as_json:
        print(json.dumps(told(found, run.run_id)))
    else:
        show(found, run.run_id, Console())
    raise typer.Exit(0 if found.reconciled else EXIT_DIFFERS)


@app.command()
def expected(
    on: Annotated[str, typer.Argument(metavar="DATE", help="The trading date, e.g. 2026-11-20.")],
    run_id: RunOption = None,
    split_gst: Annotated[bool, typer.Option("--split-gst", help="CGST and SGST instead of IGST.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the note our books lead us to expect: CSV, in the broker's columns.

    [dim]kitepilot contract-note expected 2026-11-20 > expected.csv[/dim]
    """
    from kitepilot.contract_note.note_to_csv import csv_of, expected_note
    from kitepilot.orders.charges import ChargesError

    with clear_errors(ChargesError):
        day = _date(on)
    with day_of(day, run_id) as run, clear_errors(ChargesError):
        note = expected_note(day, our_trades(run), split_gst=split_gst)
    if as_json:
        charges = {charge.value: int(paise) for charge, paise in note.charges.items()}
        print(
            json.dumps({"run": run.run_id, "date": on, "trades": len(note.trades), "charges_paise": charges})
        )
        return
    print(csv_of(note), end="")


def read_note(files: list[Path], day: date | None) -> Note:
    """The files together. Raises `ConfigError`, naming file and line."""
    from kitepilot.contract_note.csv_to_note import note_of
    from kitepilot.contract_note.note import NoteError

    texts = []
    for path in files:
        try:
            texts.append(path.read_text(encoding="utf-8-sig").splitlines(keepends=True))
        except (OSError, UnicodeDecodeError) as err:
            why = getattr(err, "strerror", None) or "not UTF-8 text: export it as CSV, not as XLSX or PDF"
            raise ConfigError(f"{path}: {why}") from err
    try:
        return note_of(texts, day)
    except NoteError as err:
        raise ConfigError(f"{', '.join(map(str, files))}: {err}") from err


@contextmanager
def day_of(day: date, run_id: str | None) -> Iterator[Run]:
    """The run of that day with its ClickHouse open."""
    from infra.analytics.book import BookError, opened_book
    from infra.clickhouse.client import ClickHouseUnreachableError
    from infra.clickhouse.migrate import MigrationError
    from kitepilot.cli.days import find_run

    with clear_errors(BookError, ClickHouseUnreachableError, MigrationError):
        known = find_run(home(), day.isoformat(), run_id)
        run = known.run(home())
        with opened_book(run.config, home()):
            yield run


def our_trades(run: Run) -> list[Trade]:
    """All intraday trades of the account that the archive has of the run, ours and others'."""
    from infra.clickhouse import book
    from kitepilot.contract_note.note import Trade
    from kitepilot.market.calendar import to_ist

    by_broker, symbols = book.orders_by_broker(run), book.symbols(run)
    return [
        Trade(
            order_id=fill["order_id"],
            trade_id=fill["trade_id"],
            tradingsymbol=symbols.get(fill["token"], str(fill["token"])),
            side=fill["side"],
            quantity=fill["quantity"],
            price_paise=fill["price_paise"],
            at=to_ist(fill["at"]).time().replace(microsecond=0),
            by_broker=fill["order_id"] in by_broker,
        )
        for fill in book.fills(run)
    ]


def told(found: Comparison, run_id: str) -> dict[str, Any]:
    """The comparison as one JSON object; amounts in paise, to the hundredth."""
    return {
        "run": run_id,
        "date": found.note.day.isoformat(),
        "reconciled": found.reconciled,
        "trades_in_our_books": found.trades,
        "trades_on_the_note": len(found.note.trades) if found.note.lists_trades else None,
        "trades_agreed": found.agreed,
        "charges_on_the_note": len(found.note.charges) if found.note.lists_charges else None,
        "exchange_order_numbers": found.exchange_numbers,
        "findings": [
            {
                "kind": each.kind.value,
                "line": each.line or None,
                "what": each.what,
                "note": each.note,
                "ours": each.ours,
                "difference_paise": float(each.paise),
                "why": each.why,
            }
            for each in found.findings
        ],
    }


def show(found: Comparison, run_id: str, console: Console) -> None:
    """A table of what is not the same, and one sentence."""
    if found.findings:
        table = Table("line", "what", "note", "ours", "difference ₹", "why")
        for each in found.findings:
            cells = (
                str(each.line or ""),
                each.what,
                each.note,
                each.ours,
                f"{each.paise / 100:+,.2f}",
                each.why,
            )
            table.add_row(*cells, style=COLOURS[each.kind.value])
        console.print(table)
    note, parts = found.note, []
    if note.lists_trades:
        parts.append(f"{found.agreed} of {found.trades} trades agree")
    if note.lists_charges:
        parts.append(f"{len(note.charges)} lines of charges compared")
    absent = [
        what for what, there in (("trades", note.lists_trades), ("charges", note.lists_charges)) if not there
    ]
    parts += [f"the file lists no {what}" for what in absent]
    verdict = "[green]reconciled[/green]" if found.reconciled else "[red]differs[/red]"
    console.print(f"{note.day} {run_id}: {verdict}; {'; '.join(parts)}", highlight=False, soft_wrap=True)
    if found.exchange_numbers:
        console.print(
            "The order numbers are the exchange's; orders were told apart by their trades.", style="dim"
        )


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as err:
        raise ConfigError(f"{text!r} is not a date like 2026-11-20") from err
