"""Finding plug-ins by entry point: strategies and models share this door with a user's own."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any, cast

from kitepilot.strategies.own import OwnStrategyError, strategy_class
from kitepilot.strategies.port import INTERVALS_S, Strategy

STRATEGIES = "kitepilot.strategies"


class PluginError(ValueError):
    """A plug-in is missing, broken or does not have the shape of its interface."""


def load(group: str, name: str) -> Any:
    """The object behind the entry point `name` of `group`.

    Raises:
        PluginError: no such entry point (with the nearest name), or it could not be imported.
    """
    known = {point.name: point for point in entry_points(group=group)}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"installed: {', '.join(sorted(known)) or 'none'}"
        raise PluginError(f"no plug-in {name!r} in the entry points {group}; {hint}")
    try:
        return known[name].load()
    except (ImportError, AttributeError) as err:
        raise PluginError(f"plug-in {name!r} ({known[name].value}) cannot be imported: {err}") from err


def installed(group: str) -> set[str]:
    """Names of the plug-ins of `group` that are installed."""
    return {point.name for point in entry_points(group=group)}


def make_strategies(
    enabled: Sequence[str],
    parameters: Mapping[str, Mapping[str, float]],
    features: Sequence[str],
    sources: Mapping[str, str] | None = None,
) -> dict[str, Strategy]:
    """Strategies by name, in the order of `enabled`, each made with its parameters.

    `sources` are the texts of the owner's own strategies by name; the others are installed plug-ins.

    Raises:
        PluginError: unknown name, a repeated name, parameters for a strategy that is not enabled, a
            parameter it refuses, a feature it needs that is not in `features`, or a wrong interval.
    """
    if len(set(enabled)) != len(enabled):
        raise PluginError(f"strategies.enabled names a strategy twice: {', '.join(enabled)}")
    for name in parameters:
        if name not in enabled:
            raise PluginError(f"strategies.parameters.{name}: {name!r} is not in strategies.enabled")
    own = sources or {}
    return {name: make_strategy(name, parameters.get(name, {}), features, own.get(name)) for name in enabled}


def make_strategy(
    name: str, parameters: Mapping[str, float], features: Sequence[str], source: str | None = None
) -> Strategy:
    """One strategy: an installed plug-in, or the owner's own whose text is `source`. Raises as above."""
    try:
        build: Any = load(STRATEGIES, name) if source is None else strategy_class(name, source)
    except OwnStrategyError as err:
        raise PluginError(str(err)) from err
    missing = [feature for feature in getattr(build, "requires", ()) if feature not in features]
    if missing:
        raise PluginError(f"strategy {name!r} needs features that do not exist: {', '.join(missing)}")
    try:
        strategy = cast(Strategy, build(parameters))
    except ValueError as err:
        raise PluginError(str(err)) from err
    if strategy.interval_s not in INTERVALS_S:
        raise PluginError(f"strategy {name!r} asks for {strategy.interval_s} s bars; there are {INTERVALS_S}")
    return strategy
