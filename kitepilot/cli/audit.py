"""`kitepilot verify-audit` and `kitepilot audit`: prove, seal, show and export what was said and done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from kitepilot.cli.options import ConfigOption, JsonOption, chosen_config, clear_errors
from kitepilot.config import Config, ConfigError
from kitepilot.run import home

if TYPE_CHECKING:
    from infra.audit.reading import AuditBook
    from infra.audit.verification import Verdict
    from kitepilot.audit.records import Record

EXIT_FLAWED = 1

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="""What was said and done, as a chain of records that cannot be changed without being noticed.

    [dim]kitepilot verify-audit                              is it as it was written?
    kitepilot audit show --order 261120000000012        an order's whole way
    kitepilot audit export --from 2026-04-01 --to 2027-03-31 audit-2026.jsonl
    kitepilot audit seal                                seal what has no seal yet[/dim]""",
)


@contextmanager
def _errors() -> Iterator[None]:
    from infra.audit.verification import ScopeError
    from kitepilot.cli.sealing import TROUBLES

    with clear_errors(ScopeError, *(kind for kind in TROUBLES if kind is not OSError)):
        yield


@contextmanager
def database(config: Config, place: Path) -> Iterator[str]:
    """URL of the book of record; an embedded one that does not run is started for as long as this takes.

    Raises:
        PostgresError: there is none yet. TrailError: a configured one does not answer.
    """
    from infra.audit.trail import TrailError, connect
    from infra.postgres.embedded import Server, database_url
    from kitepilot.run import Run

    url = database_url(Run("audit", place / "runs" / "audit", config))
    if config.storage.database_url:
        yield url
        return
    try:
        connect(url, within_s=0).close()
    except TrailError:
        with Server(place) as server:
            yield server.url
    else:
        yield url


@contextmanager
def _book(config: Config) -> Iterator[AuditBook]:
    from infra.audit.reading import open_book

    with database(config, home()) as url, open_book(url) as book:
        yield book


def verify_audit(
    config: ConfigOption = None,
    run: Annotated[str, typer.Option("--run", help="Only what concerns this run.")] = "",
    on: Annotated[str, typer.Option("--date", help="Only the seals of this trading date.")] = "",
    file: Annotated[Path | None, typer.Option("--file", help="An exported file, not the database.")] = None,
    public_key: Annotated[
        Path | None, typer.Option("--public-key", help="PEM file; without it the home's own.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read the audit from its beginning and name the first record that is not as it was written.

    Checks every hash and link, the signature of every seal, the seal files in the home against the database,
    and that nothing a seal covers is gone. Works while KitePilot runs and while it does not.
    Exit codes: 0 as it was written, 1 not (the first flaw is named), 2 cannot be checked.

    [dim]kitepilot verify-audit --run paper-20261120-0001
    kitepilot verify-audit --file audit-2026.jsonl --public-key public-key.pem[/dim]
    """
    from infra.audit.verification import verify_book, verify_file

    with _errors(), _steps("records read") as step:
        if file is not None:
            if run or on:
                raise ConfigError("--file verifies all of a file: leave out --run and --date")
            if not file.exists():
                raise ConfigError(f"there is no file {file}")
            verdict = verify_file(file, home(), public_key, step)
        else:
            with _book(chosen_config(config)) as book:
                verdict = verify_book(
                    book, home(), run_id=run, session_date=on, public_key=public_key, step=step
                )
    if as_json:
        shown = msgspec.to_builtins(verdict) | {"intact": verdict.flaw is None, "unsealed": verdict.unsealed}
        print(json.dumps(shown))
    else:
        _show_verdict(Console(soft_wrap=True, highlight=False), verdict)
    raise typer.Exit(0 if verdict.flaw is None else EXIT_FLAWED)


def _show_verdict(console: Console, verdict: Verdict) -> None:
    if verdict.flaw is not None:
        console.print(f"[red]NOT as it was written:[/red] {verdict.flaw}", markup=True)
        console.print(f"{verdict.records:,} records before it are whole")
    elif not verdict.records:
        console.print("nothing is recorded yet")
    else:
        days = (
            f"{len(verdict.days)} days, {verdict.days[0]} to {verdict.days[-1]}" if verdict.days else "no day"
        )
        console.print(
            f"[green]as it was written:[/green] {verdict.records:,} records ({verdict.first_seq:,} to "
            f"{verdict.last_seq:,}), {verdict.seals} seals, {days}\nroot {verdict.root}"
        )
        if verdict.unsealed:
            console.print(f"[yellow]{verdict.unsealed:,} records after the last seal have none yet[/yellow]")
    for note in verdict.notes:
        console.print(f"[yellow]note:[/yellow] {note}")


@app.command()
def seal(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Seal what has no seal yet: logins, a day that ended in a crash. Days that end in order seal themselves.

    What the processes left on the log is taken up first. Where nothing is new, nothing is sealed; seal files
    that are missing in the home are written again. Exit codes: 0, 2 not possible.
    """
    with _errors():
        number = _seal(chosen_config(config), home())
    if as_json:
        print(json.dumps({"seal": number}))
    else:
        Console().print(f"seal {number} is made" if number else "nothing to seal: all records have one")


def _seal(config: Config, place: Path) -> int:
    from flows.audit import Follower, acts_of, drain, topics_of
    from infra.audit.reading import open_book
    from infra.audit.trail import Trail
    from infra.eventlog import open_log
    from kitepilot import config as configuration
    from kitepilot.cli.sealing import await_taken, ends, newest_run, seal_here
    from kitepilot.cli.supervise import Supervisor
    from kitepilot.run import Run

    folder = newest_run(place)
    run = Run(folder.name, folder, configuration.load(folder / "config.yaml")) if folder else None
    with database(config, place) as url:
        if run is not None and Supervisor(place).alive():
            log = open_log(run)
            with open_book(url) as book:
                await_taken(book, ends(run, log))
            log.close()
        else:
            reachable = run is not None and run.config.log.kind == "sqlite"
            logs = (topics_of(run), acts_of(place)) if run and reachable else (acts_of(place),)
            trail = Trail(url)
            follower = Follower(trail, logs)
            drain(follower)
            follower.close()
            trail.close()
        return seal_here(url, run or Run("", place / "runs" / "none", config))


@app.command()
def show(
    config: ConfigOption = None,
    order: Annotated[str, typer.Option("--order", help="Everything about an order id or intent id.")] = "",
    run: Annotated[str, typer.Option("--run", help="Only this run.")] = "",
    kind: Annotated[str, typer.Option("--kind", help="Only this kind, e.g. commanded, logged_in.")] = "",
    lines: Annotated[int, typer.Option("-n", min=1, max=10_000, help="How many of the newest.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Show the newest records, or an order's whole way: signal, verdict, intent, requests, replies, fills.

    With --json each record is one line with its whole body. Exit codes: 0, 2 no such kind or order.
    """
    with _errors(), _book(chosen_config(config)) as book:
        if kind and kind not in (kinds := book.kinds()):
            raise ConfigError(f"no record of kind {kind!r}; there are: {', '.join(kinds) or 'none yet'}")
        found = book.order_story(order, 10_000) if order else book.newest(run, kind, lines)
        if order and not found:
            raise ConfigError(f"the audit has no order or intent {order!r}")
    if as_json:
        for record in found:
            print(json.dumps(_plain(record)))
        return
    console = Console(soft_wrap=True, highlight=False)
    for record in found:
        about = record.order_id or record.intent_id or record.subject
        said = f"{record.seq:>8} {_ist(record.event_at)} {record.kind:<16} {about:<20} {_gist(record)}"
        console.print(said, markup=False)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="Written whole or not at all.")],
    config: ConfigOption = None,
    first: Annotated[str, typer.Option("--from", help="First date of recording (IST).")] = "",
    last: Annotated[str, typer.Option("--to", help="Last date of recording (IST).")] = "",
) -> None:
    """Write records and seals to a file, one JSON object a line, that `verify-audit --file` checks offline.

    Without dates all of it. Keep the file, and `seals/public-key.pem`, on another machine: records of
    orders are to be kept five years. Exit codes: 0, 2 nothing in that time, or not possible.
    """
    from infra.audit import export_file
    from kitepilot.market.calendar import ist_ns

    with _errors(), _book(chosen_config(config)) as book, _steps("records written") as step:
        try:
            begin = ist_ns(date.fromisoformat(first), "00:00") if first else 0
            end = ist_ns(date.fromisoformat(last) + timedelta(days=1), "00:00") if last else 1 << 62
        except ValueError as err:
            raise ConfigError(f"{err}; dates are written like 2026-11-20") from err
        extent = book.extent_between(begin, end)
        if not extent.rows:
            raise ConfigError(f"nothing was recorded from {first or 'the beginning'} to {last or 'now'}")
        head = book.head_before(extent.first_seq)
        seals = book.seals()
        rows = _told(book.records(extent.first_seq, extent.last_seq), step)
        count = export_file.write(file, head, rows, seals)
    Console().print(f"{count:,} records in {file}", highlight=False)


@app.command()
def key(
    config: ConfigOption = None,
    make: Annotated[bool, typer.Option("--make", help="Make one where there is none.")] = False,
) -> None:
    """Show the public key that this home's seals are signed with, and where the private one lies.

    Live wants a key before the first day: `--make` puts a new one into the keyring, or where
    audit.key_url says. Exit codes: 0, 2 there is none.
    """
    from infra.audit.seal_key import key_url, note_public_key, open_key, pem

    with _errors():
        chosen = chosen_config(config)
        found = open_key(chosen, home(), make=make)
        path = note_public_key(home(), found.public)
    Console(stderr=True, soft_wrap=True).print(
        f"private key: {key_url(chosen, home())}; public keys: {path}", highlight=False
    )
    print(pem(found.public).decode(), end="")


def add_to(root: typer.Typer) -> None:
    """Register the audit's commands."""
    root.command("verify-audit")(verify_audit)
    root.add_typer(app, name="audit")


@contextmanager
def _steps(what: str) -> Iterator[Any]:
    """A counter on standard error that moves while records go by."""
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} " + what), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda count: progress.advance(task, count)


def _told(records: Iterator[Record], step: Any) -> Iterator[Record]:
    for record in records:
        yield record
        step(1)


def _plain(record: Record) -> dict[str, Any]:
    shown = msgspec.to_builtins(record) | {"prev_hash": record.prev_hash.hex(), "hash": record.hash.hex()}
    return {**shown, "body": json.loads(record.body)}


def _ist(at: int) -> str:
    from kitepilot.market.calendar import to_ist

    return f"{to_ist(at):%Y-%m-%d %H:%M:%S}" if at else "-"


#: What of a body a person looks for first.
_GIST = (
    *("command", "act", "by", "state", "tradingsymbol", "side", "quantity", "filled_quantity"),
    *("limit_price_paise", "price_paise", "status", "denial", "verdict", "reason", "detail", "why"),
)


def _gist(record: Record) -> str:
    body = json.loads(record.body)
    parts = [f"{body[name]}" for name in _GIST if body.get(name) not in (None, "", 0)]
    journaled = body["kind"] if record.kind == "order_journaled" else ""
    return " ".join([journaled, *parts]).strip()[:160]
