"""`kitepilot backtest --data`: months of bars through the live strategies and risk fold."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from kitepilot import config as configuration
from kitepilot.cli.own_strategies import with_sources
from kitepilot.config import Config, ConfigError

if TYPE_CHECKING:
    from research.bar_engine.plan import BarPlan
    from research.bars import BarSource
    from research.fills.model import FillModel
    from research.outcome import Outcome

MINUTE_S = 60
LINES_SHOWN = 8
FITTED = Path("slippage") / "current.json"


@dataclass(frozen=True)
class Asked:
    """The command's options, as they were given."""

    data: str
    strategies: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    first: str | None = None
    last: str | None = None
    symbols: str = ""
    fill: str = ""
    rates: str | None = None
    capital_rupees: int = 1_000_000
    special: bool = False
    jobs: int = 0
    compiled: bool = False


def run(config: Config, home: Path, asked: Asked, console: Console) -> Outcome:
    """Trade the dataset. `console` shows how far it is.

    Raises:
        ConfigError: an option that cannot be. PluginError, DatasetError, FillModelError, NothingToTradeError.
    """
    from research.bar_engine.backtest import backtest

    config = chosen(config, asked)
    source = opened(home, asked)
    plan = planned(config, home, asked)
    engine = compiled_engine(plan) if asked.compiled else {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    jobs = asked.jobs or min(os.cpu_count() or 1, len(source.sessions))
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task("trading", total=len(source.sessions))
        return backtest(
            plan,
            source,
            name="+".join(config.strategies.enabled),
            jobs=jobs,
            progress=lambda day: shown.update(task, advance=1, description=f"{day}"),
            **engine,
        )


def compiled_engine(plan: BarPlan) -> dict[str, Any]:
    """What makes `backtest` trade by the compiled desk. Raises `ConfigError` where that cannot be."""
    from research.sweep.compiled_session import ENGINE, trade_compiled, unsuited

    if why := unsuited(plan):
        raise ConfigError(f"--compiled: {why}; without it the exact engine trades it")
    return {"trade": trade_compiled, "engine": ENGINE}


def opened(home: Path, asked: Asked) -> BarSource:
    """The sessions and symbols that were asked for. Raises `DatasetError`, and `ConfigError` for a date."""
    from research.datasets.stored import open_bars

    symbols = [each.strip() for each in asked.symbols.split(",") if each.strip()] or None
    return open_bars(home, asked.data, symbols, _date("--from", asked.first), _date("--to", asked.last))


def chosen(config: Config, asked: Asked) -> Config:
    """The configuration with the strategies and parameters that were asked for.

    Raises:
        ConfigError: `--set` that is not STRATEGY.PARAMETER=NUMBER.
    """
    enabled = list(asked.strategies) or config.strategies.enabled
    given = {name: dict(config.strategies.parameters.get(name, {})) for name in enabled}
    for setting in asked.settings:
        where, _, value = setting.partition("=")
        name, _, parameter = where.partition(".")
        if name not in given or not parameter:
            raise ConfigError(
                f"--set {setting}: say STRATEGY.PARAMETER=NUMBER for one of {', '.join(enabled)}"
            )
        try:
            given[name][parameter] = float(value)
        except ValueError as err:
            raise ConfigError(f"--set {setting}: {value!r} is not a number") from err
    parameters = {name: values for name, values in given.items() if values}
    return configuration.override(
        config, **{"strategies.enabled": enabled, "strategies.parameters": parameters}
    )


def planned(config: Config, home: Path, asked: Asked) -> BarPlan:
    """What is traded, checked before the first session. Raises as `run`."""
    from kitepilot.strategies.plugins import make_strategies
    from research.bar_engine.features import bar_features
    from research.bar_engine.plan import BarPlan

    columns = bar_features()
    config = with_sources(config, home)
    enabled, parameters = config.strategies.enabled, config.strategies.parameters
    make = partial(make_strategies, enabled, parameters, columns.names, config.strategies.sources)
    for name, strategy in make().items():
        if strategy.interval_s != MINUTE_S:
            raise ConfigError(
                f"strategy {name!r} reads {strategy.interval_s} s bars, and a dataset has minutes: "
                "backtest it on recorded ticks (`kitepilot backtest DATE`)"
            )
    return BarPlan(
        make_strategies=make,
        profile=config.risk.profile(),
        fills=fill_model(home, asked.fill),
        broker=config.broker,
        features=columns,
        capital_paise=asked.capital_rupees * 100,
        parameters=parameters,
        config_hash=configuration.config_hash(config),
        special=asked.special,
        rates_of=_date("--rates", asked.rates),
    )


def fill_model(home: Path, asked: str) -> FillModel:
    """`""`: the fitted one of this home, else the defaults; `default`; a file; or changes of the defaults.

    Raises:
        FillModelError: none of these.
    """
    from research.fills.model import FillModel, load_model, parse_changes

    if not asked:
        fitted = home / FITTED
        return load_model(fitted) if fitted.exists() else FillModel()
    if asked == "default":
        return FillModel()
    return parse_changes(asked, FillModel()) if "=" in asked else load_model(Path(asked))


def show(console: Console, outcome: Outcome) -> None:
    """The result for a person."""
    from research.metrics import measure
    from research.report.caveats import caveats
    from research.report.page import headline

    metrics = measure(outcome)
    days = outcome.sessions
    title = f"{outcome.name} on {outcome.data}, {len(days)} sessions {days[0]} to {days[-1]}"
    console.print(title, highlight=False, soft_wrap=True)
    table = Table(box=SIMPLE_HEAD, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for what, figure, _ in headline(metrics):
        table.add_row(what, figure)
    console.print(table)
    denied = ", ".join(f"{code} {count:,}" for code, count in outcome.denials.items()) or "none"
    lines = [f"Signals    {outcome.signals:,}; denied: {denied}", f"Engine     {outcome.engine}"]
    for head, said in (("Mind", caveats(outcome, metrics)), ("Left out", outcome.left_out)):
        lines += [f"{head if not k else '':<10} {text}" for k, text in enumerate(_few(said))]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _few(said: Sequence[str]) -> list[str]:
    more = len(said) - LINES_SHOWN
    return [*said[:LINES_SHOWN], *([f"and {more} more; all of them with --json"] if more > 0 else [])]


def as_json(outcome: Outcome) -> str:
    """One object on one line: what the report's JSON says."""
    from research.report.page import report_json

    found: Mapping[str, object] = report_json(outcome)
    return json.dumps(found)


def _date(option: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as err:
        raise ConfigError(f"{option} {text!r} is not a date like 2026-11-20") from err
