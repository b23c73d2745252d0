"""`kitepilot slippage`: what own fills paid, fitted into the fill model that backtests use."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from kitepilot.cli.options import JsonOption, clear_errors
from kitepilot.run import home

if TYPE_CHECKING:
    from kitepilot.cli.days import KnownRun
    from kitepilot.events import AnyEvent
    from research.slippage.fitted import Fitted
    from research.slippage.observed import Observations

RUNS = 60  # the newest that are read
LEAST = 40
AIM = 0.2

app = typer.Typer(no_args_is_help=True, help="What own fills paid against the prices they were decided at.")


@app.callback()
def _group() -> None:
    """A group, though it has one command so far."""


@dataclass(frozen=True)
class Read:
    """Own orders of the runs that could be read; `unread` says why for the others."""

    found: Observations
    runs: tuple[str, ...]
    unread: tuple[str, ...]


@app.command()
def fit(
    last: Annotated[int, typer.Option("--last", help="How many of the newest runs are read.")] = RUNS,
    mode: Annotated[str, typer.Option("--mode", help="Only runs of that mode: live or paper.")] = "",
    least: Annotated[
        int, typer.Option("--least", min=4, help="How many orders it takes to fit anything.")
    ] = LEAST,
    dry: Annotated[bool, typer.Option("--dry-run", help="Show the fit and keep the present one.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Fit half spread and impact to own fills; `backtest --data` uses them from then on.

    Every order of the newest runs of this home counts: what it paid beyond its decision price, against its
    share of the minute's volume. The error is that of the oldest 70 % on the newest 30 %. Each fit is kept
    in `slippage/` by its date and hash, and as `current.json`, which backtests take, if it foretells unseen
    orders better than the assumed numbers. Exit codes: 0, 2 too few fills.

    [dim]kitepilot slippage fit
    kitepilot slippage fit --mode live --last 20 --json[/dim]
    """
    from kitepilot.cli.watch import speaker, stderr_console
    from research.slippage.fit import TooFewFillsError
    from research.slippage.fit import fit as fitted_to
    from research.slippage.fitted import keep

    with clear_errors(TooFewFillsError):
        read = own_orders(home(), last, mode, speaker(stderr_console()))
        fitted = fitted_to(read.found, least=least)
        path = None if dry else keep(fitted, home() / "slippage")
    if as_json:
        print(json.dumps(as_plain(fitted, read, path)))
    else:
        show(Console(), fitted, read, path)


def own_orders(house: Path, last: int, mode: str, say: Callable[[str], None]) -> Read:
    """Of the newest runs that are over. A run whose records are gone is passed over."""
    from kitepilot.cli import days
    from kitepilot.cli.supervise import Supervisor
    from kitepilot.ports import LogError
    from research.slippage.observed import observed, together

    supervisor = Supervisor(house)
    running = supervisor.run_folder() if supervisor.alive() else None
    parts, runs, unread = [], [], []
    wanted = [known for known in days.known_runs(house) if known.run_id.startswith(mode)]
    for known in wanted[-last:]:
        if running is not None and running.name == known.run_id:
            continue
        say(f"reading {known.run_id}")
        try:
            parts.append(observed(_events(known, house)))
            runs.append(known.run_id)
        except LogError as err:
            unread.append(f"{known.run_id}: {err}")
    return Read(together(parts), tuple(runs), tuple(unread))


def _events(known: KnownRun, house: Path) -> Iterator[AnyEvent]:
    """Intents, session and bars of a run, topic by topic."""
    from kitepilot.cli import replay
    from kitepilot.events import UndecodableError, decode
    from kitepilot.topics import BARS, INTENTS, SESSION

    topics = (INTENTS.name, SESSION.name, BARS.name)
    with replay.opened(known, house, topics, from_archive=False) as (_, run):
        for topic in topics:
            for record in run.records(topic):
                try:
                    yield decode(record.value)
                except UndecodableError:
                    continue  # a dead letter already


def as_plain(fitted: Fitted, read: Read, path: Path | None) -> dict[str, Any]:
    """For `--json`."""
    found: dict[str, Any] = msgspec.to_builtins(fitted)
    where = {"file": str(path) if path else None, "runs": list(read.runs), "unread": list(read.unread)}
    return {**found, "error_share": fitted.error_share, "aim": AIM, **where}


def show(console: Console, fitted: Fitted, read: Read, path: Path | None) -> None:
    """The fit for a person."""
    title = f"Slippage of {fitted.orders:,} own orders in {len(read.runs)} runs, {fitted.model.source[-24:]}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for head in ("unseen orders", "minute", "orders", "paid bps", "predicted bps", "error of one bps"):
        table.add_column(head, justify="left" if head in ("unseen orders", "minute") else "right")
    for each in fitted.buckets:
        figures = (each.realised_bps, each.predicted_bps, each.error_bps)
        table.add_row(each.side, each.liquidity, f"{each.orders:,}", *(f"{value:.2f}" for value in figures))
    console.print(table)
    spread, impact = fitted.half_spread, fitted.impact
    reached = "reached" if fitted.error_share < AIM else "not reached"
    for line in (
        f"Half spread  {spread.value:.2f} bps (90 %: {spread.low:.2f} to {spread.high:.2f})",
        f"Impact       {impact.value:.2f} bps x root of the share of the minute "
        f"(90 %: {impact.low:.2f} to {impact.high:.2f})",
        f"Unseen       {fitted.unseen_orders:,} newest orders: error of one {fitted.error_bps:.2f} bps, "
        f"{100 * fitted.error_share:.0f} % of its slippage (aim {100 * AIM:.0f} %: {reached}); all together "
        f"{100 * fitted.cost_error:.0f} % off",
        f"Passed over  {fitted.skipped:,} fills without their minute or order",
        *(f"Not read     {line}" for line in read.unread),
        f"Assumed      without a fit the error of one is {fitted.assumed_error_bps:.2f} bps: backtests "
        + ("use this fit from now on" if fitted.better and path else "do not use this fit"),
        f"Written      {path}" if path else "Written      nothing (--dry-run)",
    ):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
