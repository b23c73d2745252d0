"""`kitepilot sweep`: many parameter sets over a dataset, and what the best of them is worth."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from kitepilot import config as configuration
from kitepilot.cli.options import ConfigOption, JsonOption, chosen_config, clear_errors
from kitepilot.config import Config
from kitepilot.money import rupees
from kitepilot.run import home

if TYPE_CHECKING:
    from research.bar_engine.plan import BarPlan
    from research.bars import BarSource
    from research.sweep.grid import Axis, Parameters
    from research.sweep.search import Searched, Trial
    from research.sweep.verdict import Verdict

BEST_SHOWN = 10
COLUMNS_SHOWN = 12


@dataclass(frozen=True)
class Swept:
    """All that a sweep has to say. `exact`: the best set's (net paise, trades) in the exact engine."""

    strategy: str
    data: str
    grid: tuple[Axis, ...]
    searched: Searched
    verdict: Verdict
    exact: tuple[int, int] | None
    assumptions: tuple[str, ...]


def sweep(
    data: Annotated[str, typer.Option("--data", help="A dataset of 1 m bars, by its name.")],
    strategy: Annotated[str, typer.Option("--strategy", help="One that has a twin over whole sessions.")],
    grid: Annotated[
        list[str],
        typer.Option("--grid", help="NAME=LOW:HIGH:STEP or NAME=VALUE,VALUE,... for each parameter."),
    ],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter that stays, as STRATEGY.NAME=NUMBER.")
    ] = None,
    first: Annotated[str | None, typer.Option("--from", help="First session of the dataset.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last session of the dataset.")] = None,
    symbols: Annotated[str, typer.Option("--symbols", help="Only these, with commas between.")] = "",
    fill: Annotated[str, typer.Option("--fill", help="As of `kitepilot backtest`.")] = "",
    rates: Annotated[str | None, typer.Option("--rates", help="Charge as on that date.")] = None,
    capital: Annotated[int, typer.Option("--capital", help="Rupees on the account.")] = 1_000_000,
    trials: Annotated[
        int, typer.Option("--optuna", help="So many sets chosen by Optuna from the grid, in place of all.")
    ] = 0,
    seed: Annotated[int, typer.Option("--seed", help="Of Optuna.")] = 0,
    jobs: Annotated[int, typer.Option("--jobs", help="Processes; all cores without.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", help="An HTML page with heat maps.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try many parameter sets of a strategy on a dataset, and say what the best of them is worth.

    Sizing and limits are those of the configuration. Every set is traded by the compiled desk; the best once
    more by the exact engine, and the difference is printed. Beside it stand the deflated Sharpe ratio and the
    probability of backtest overfitting: the best of many is not a result. A set that fails is a line.

    Exit codes: 0, 2 not possible.

    [dim]kitepilot sweep --data nse-2016 --strategy ma_cross --grid fast=5:20:5 --grid slow=20:60:10
    kitepilot sweep --data nse-2016 --strategy ma_cross --grid fast=2:30:1 --grid slow=10:200:5 \\
      --optuna 200 --out ma.html[/dim]
    """
    from kitepilot.cli.bar_backtest import Asked
    from kitepilot.strategies.plugins import PluginError
    from research.bar_engine.backtest import NothingToTradeError
    from research.datasets.manifest import DatasetError
    from research.fills.model import FillModelError
    from research.sweep.compiled_desk import NotModelledError
    from research.sweep.grid import GridError

    told = (PluginError, DatasetError, FillModelError, NothingToTradeError, NotModelledError, GridError)
    with clear_errors(*told):
        asked = Asked(
            data=data,
            strategies=(strategy,),
            settings=tuple(settings or ()),
            first=first,
            last=last,
            symbols=symbols,
            fill=fill,
            rates=rates,
            capital_rupees=capital,
            jobs=jobs,
        )
        found = run(
            chosen_config(config), asked, tuple(grid), trials, seed, Console(stderr=True, quiet=as_json)
        )
        if out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(_page(found), encoding="utf-8")
    if as_json:
        print(json.dumps(described(found)))
    else:
        show(Console(), found)
        if out is not None:
            Console().print(f"Page       {out}", highlight=False)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(sweep)


def run(config: Config, asked: Any, grid: Sequence[str], trials: int, seed: int, console: Console) -> Swept:
    """Search, judge, and trade the best once more in the exact engine. `console` shows how far it is.

    Raises:
        ConfigError, PluginError, DatasetError, FillModelError: as `kitepilot backtest`.
        GridError, NotModelledError: what cannot be swept.
    """
    from kitepilot.cli.bar_backtest import chosen, opened, planned
    from research.bar_engine.plan import FeatureColumns
    from research.charge_rates import assumption
    from research.sweep.grid import axes, sets
    from research.sweep.optuna_search import optimise
    from research.sweep.verdict import judge

    name = asked.strategies[0]
    fixed = dict(chosen(config, asked).strategies.parameters.get(name, {}))
    along = axes(grid)
    source = opened(home(), asked)
    plan = planned(_alone(config, name), home(), asked)
    if not getattr(plan.make_strategies()[name], "requires", ()):
        plan = replace(plan, features=FeatureColumns())  # nothing reads them
    make = partial(made, name, fixed, plan.features.names)
    jobs = asked.jobs or min(os.cpu_count() or 1, len(source.sessions))
    tried = partial(_watched, plan, source, make, jobs, console)
    searched = optimise(along, trials, tried, seed) if trials else tried(sets(along))
    verdict = judge(searched)
    rates = assumption(searched.sessions, plan.rates_of)
    return Swept(
        strategy=name,
        data=source.name,
        grid=along,
        searched=searched,
        verdict=verdict,
        exact=_exactly(plan, source, partial(made, name), fixed, verdict, jobs) if verdict.best else None,
        assumptions=tuple(filter(None, (plan.fills.assumption, rates))),
    )


def _alone(config: Config, name: str) -> Config:
    """The strategy with its defaults: what a plan is made with before any set is tried."""
    return configuration.override(config, **{"strategies.enabled": [name], "strategies.parameters": {}})


def made(name: str, fixed: Mapping[str, float], features: Sequence[str], given: Mapping[str, float]) -> Any:
    """The strategy with these parameters. Raises `PluginError`, a `ValueError`."""
    from kitepilot.strategies.plugins import make_strategies

    return make_strategies([name], {name: {**fixed, **given}}, features)[name]


def _watched(
    plan: BarPlan,
    source: BarSource,
    make: Callable[[Mapping[str, float]], Any],
    jobs: int,
    console: Console,
    chosen: Sequence[Parameters],
) -> Searched:
    """The search with a progress bar."""
    from research.sweep.search import search

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task(f"{len(chosen)} sets", total=len(source.sessions))

        def progress(day: date) -> None:
            shown.update(task, advance=1, description=f"{len(chosen)} sets, {day}")

        return search(plan, source, make, chosen, jobs=jobs, progress=progress)


def _exactly(
    plan: BarPlan,
    source: BarSource,
    make: Callable[..., Any],
    fixed: Mapping[str, float],
    verdict: Verdict,
    jobs: int,
) -> tuple[int, int]:
    """The best set in the exact engine: net paise, trades."""
    from research.bar_engine.backtest import backtest

    assert verdict.best is not None
    one = partial(_only, make, fixed, plan.features.names, verdict.best.parameters)
    outcome = backtest(replace(plan, make_strategies=one), source, name="best", jobs=jobs)
    return outcome.net_paise, len(outcome.trades)


def _only(
    make: Callable[..., Any], fixed: Mapping[str, float], features: Sequence[str], given: Mapping[str, float]
) -> dict[str, Any]:
    return {"best": make(fixed, features, given)}


def notes(found: Swept) -> list[str]:
    """What belongs under the verdict: the exact engine's word, assumptions, sessions left out."""
    said = [difference(found)] if found.exact else []
    said += [*found.assumptions, *found.searched.left_out[:BEST_SHOWN]]
    return said


def difference(found: Swept) -> str:
    """The best set in both engines."""
    from research.sweep.search import NET, TRADES

    best, exact = found.verdict.best, found.exact
    if best is None or exact is None:
        return ""
    net, trades = best.total(NET), best.total(TRADES)
    parts = f"₹{rupees(exact[0])} net in {exact[1]:,} trades"
    if (net, trades) == exact:
        return f"Exact engine: {parts}; the compiled desk found the same."
    apart = f"₹{rupees(net)} in {trades:,}: ₹{rupees(net - exact[0])} apart"
    return f"Exact engine: {parts}; the compiled desk {apart}."


def _page(found: Swept) -> str:
    from research.sweep.page import sweep_html

    return sweep_html(_title(found), found.grid, found.searched, found.verdict, notes(found))


def _title(found: Swept) -> str:
    days = found.searched.sessions
    span = f", {len(days)} sessions {days[0]} to {days[-1]}" if days else ""
    return f"{found.strategy} on {found.data}{span}"


def show(console: Console, found: Swept) -> None:
    """The verdict, the heat map where it fits, the best sets, and the sets that failed."""
    from research.sweep.page import ranked

    if len(found.grid) == 2 and len(found.grid[1].values) <= COLUMNS_SHOWN:
        console.print(_heat(found))
    console.print(_title(found), highlight=False, soft_wrap=True, markup=False, style="italic")
    console.print(_best(found, ranked(found.searched)[:BEST_SHOWN]))
    failed = [trial for trial in found.searched.trials if trial.failed]
    lines = [*found.verdict.sentences, *notes(found)]
    lines += [f"failed: {_named(trial)}: {trial.failed}" for trial in failed[:BEST_SHOWN]]
    if len(failed) > BEST_SHOWN:
        lines.append(f"{len(failed) - BEST_SHOWN} more sets failed; all of them with --json")
    for text in lines:
        console.print(text, highlight=False, soft_wrap=True, markup=False)


def _heat(found: Swept) -> Table:
    from research.sweep.page import heat

    rows, columns = found.grid
    cells = heat(found.searched.trials, rows, columns)
    most = max((abs(cell) for cell in cells.ravel().tolist() if math.isfinite(cell)), default=1.0) or 1.0
    table = Table(title="Sharpe ratio a year, net", title_justify="left", box=SIMPLE_HEAD)
    table.add_column(f"{rows.name} \\ {columns.name}", justify="right")
    for value in columns.values:
        table.add_column(f"{value:g}", justify="right")
    for value, cell in zip(rows.values, cells.tolist(), strict=True):
        table.add_row(f"{value:g}", *(_coloured(each, most) for each in cell))
    return table


def _coloured(value: float, most: float) -> str:
    if not math.isfinite(value):
        return "-"
    depth = 60 + round(140 * abs(value) / most)
    red, green = (0, depth) if value >= 0 else (depth, 0)
    return f"[white on rgb({red},{green},0)]{value:.1f}[/]"


def _best(found: Swept, trials: Sequence[Trial]) -> Table:
    from research.sweep.deflation import SESSIONS_A_YEAR
    from research.sweep.search import CHARGES, GROSS, NET, TRADES

    table = Table(box=SIMPLE_HEAD)
    heads = [axis.name for axis in found.grid]
    for head in (*heads, "Sharpe", "gross ₹", "charges ₹", "net ₹", "trades"):
        table.add_column(head, justify="right", no_wrap=True)
    for trial in trials:
        table.add_row(
            *(f"{trial.parameters[head]:g}" for head in heads),
            f"{trial.sharpe * math.sqrt(SESSIONS_A_YEAR):.2f}",
            *(rupees(trial.total(figure), 0) for figure in (GROSS, CHARGES, NET)),
            f"{trial.total(TRADES):,}",
        )
    return table


def _named(trial: Trial) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in trial.parameters.items())


def described(found: Swept) -> dict[str, Any]:
    """Plain data for `--json`. Amounts in paise, Sharpe ratios per session."""
    from research.sweep.search import FIGURES

    best, one, all_of = found.verdict.best, found.verdict.deflated, found.verdict.overfit
    return {
        "strategy": found.strategy,
        "data": found.data,
        "sessions": [day.isoformat() for day in found.searched.sessions],
        "trials": [
            {
                "parameters": trial.parameters,
                "failed": trial.failed,
                "sharpe": trial.sharpe,
                **{name: trial.total(place) for place, name in enumerate(FIGURES)},
            }
            for trial in found.searched.trials
        ],
        "best": best.parameters if best else None,
        "deflated_sharpe": _number(one.probability) if one else None,
        "expected_best_sharpe": one.expected_best if one else None,
        "overfitting": _number(all_of.probability) if all_of else None,
        "exact": {"net_paise": found.exact[0], "trades": found.exact[1]} if found.exact else None,
        "sentences": list(found.verdict.sentences),
        "notes": notes(found),
        "left_out": found.searched.left_out,
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
