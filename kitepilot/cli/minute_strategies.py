"""Which strategies can trade bars of a minute, and what each may be given."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from infra.research.words import ParameterRow, StrategyRow
from kitepilot.cli.own_strategies import FOLDER, source_of, with_sources
from kitepilot.cli.strategies import known
from kitepilot.config import ConfigError
from kitepilot.kernels.shard import FEATURE_NAMES
from kitepilot.run import Run
from kitepilot.strategies.own import strategy_class
from kitepilot.strategies.parameters import Parameter
from kitepilot.strategies.plugins import STRATEGIES, PluginError, load, make_strategy

MINUTE_S = 60


def of_run(run: Run) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(those of the run that read minutes, in words why the others are left out).

    Raises:
        ConfigError, PluginError: one cannot be made, or none reads minutes.
    """
    config = with_sources(run.config, run.home).strategies
    intervals = {
        name: make_strategy(
            name, config.parameters.get(name, {}), FEATURE_NAMES, config.sources.get(name)
        ).interval_s
        for name in config.enabled
    }
    chosen = tuple(name for name, interval in intervals.items() if interval == MINUTE_S)
    if not chosen:
        raise ConfigError(f"no strategy of the run reads minutes: {', '.join(intervals) or 'it has none'}")
    left_out = (
        f"{name} reads {interval} s bars, and is not asked over minutes"
        for name, interval in intervals.items()
        if interval != MINUTE_S
    )
    return chosen, tuple(left_out)


def rows(home: Path, enabled: list[str]) -> list[StrategyRow]:
    """Every strategy that could trade, with the parameters it declares."""
    return [_row(home, each) for each in known(home, enabled)]


def _row(home: Path, told: dict[str, Any]) -> StrategyRow:
    name, trouble, interval = told["name"], told["trouble"], 0
    declared: list[ParameterRow] = []
    if not trouble:
        try:
            interval, declared = _looked_at(name, source_of(home, name))
        except (ConfigError, PluginError) as err:
            trouble = f"{err}"
    return StrategyRow(
        name=name,
        origin="own file" if told["from"].startswith(f"{FOLDER}/") else told["from"],
        says=told["says"],
        enabled=told["enabled"],
        trouble=trouble,
        interval_s=interval,
        parameters=declared,
    )


def _looked_at(name: str, source: str | None) -> tuple[int, list[ParameterRow]]:
    interval = make_strategy(name, {}, FEATURE_NAMES, source).interval_s
    build = load(STRATEGIES, name) if source is None else strategy_class(name, source)
    return interval, parameters_of(build)


def parameters_of(build: type[Any]) -> list[ParameterRow]:
    """What the strategy's module declares as PARAMETERS; empty where it declares nothing."""
    declared = getattr(inspect.getmodule(build), "PARAMETERS", None)
    if not isinstance(declared, dict):
        return []
    return [
        ParameterRow(key, one.default, one.low, one.high, one.meaning)
        for key, one in declared.items()
        if isinstance(one, Parameter)
    ]
