"""What `kitepilot train` was told -> bars, labels, folds -> a run, shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from kitepilot import __version__
from kitepilot.cli.watch import stderr_console
from kitepilot.config import ConfigError

if TYPE_CHECKING:
    from research.bars import BarSource
    from research.labels import FixedHorizon, TripleBarrier
    from research.trainers.port import Trainer
    from research.walkforward.run import Run
    from research.walkforward.settings import Settings

FOLDER = "training"
SHOWN = 8  # features of the importance table
_SPAN = re.compile(r"(\d+)([mhd])")
_MINUTES = {"m": 1, "h": 60, "d": 1_440}
_GENERATED = re.compile(r"generated:(\d+)x(\d+)")
GENERATED_FROM = date(2024, 1, 1)


@dataclass(frozen=True)
class Words:
    """The command's options, as they were given."""

    data: str
    model: str
    label: str
    cost: float | None
    slippage: float
    folds: str
    embargo: str
    trials: int
    seed: int
    jobs: int
    calibration: str
    features: str
    fixed: tuple[str, ...]
    artifact: Path | None
    first: str | None
    last: str | None


def train(home: Path, words: Words, *, quiet: bool) -> Run:
    """Everything that is missing of the run is made, with a bar for the sessions and one for the folds.

    Raises:
        ConfigError: a word that is none. And as `open_bars`, `label_of`, `walk_forward`.
    """
    from research.data_hash import data_hash
    from research.feature_rows import FEATURE_NAMES, features_of
    from research.features_hash import features_hash
    from research.trainers.port import trainer
    from research.walkforward.bar_rows import rows_of
    from research.walkforward.folds import folds_of, scheme_of
    from research.walkforward.rows import RowStore
    from research.walkforward.run import planned, walk_forward
    from research.walkforward.settings import Origin

    asked = named_features(words.features, FEATURE_NAMES)
    settings = settings_of(words, asked)
    source, label = source_of(home, words), label_from(words)
    folds_of(source.sessions, scheme_of(words.folds))
    require_parameters(settings, trainer(settings.kind, settings.artifact))
    console = Console(quiet=True) if quiet else stderr_console()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task("features and labels", total=len(source.sessions))
        rows = rows_of(
            *(home / FOLDER, source, label, asked or FEATURE_NAMES, FEATURE_NAMES, features_of),
            lambda done, of: shown.update(task, completed=done, total=of),
        )
        store = cast(RowStore, RowStore.at(rows))
        settings = msgspec.structs.replace(settings, features=asked or store.manifest.known)
        shown.update(task, visible=False)
        steps = len(planned(store, settings)) * (settings.trials + 1)
        folding = shown.add_task("folds x trials", total=steps)
        origin = Origin(
            data=source.name,
            data_hash=data_hash(source),
            features_hash=features_hash(FEATURE_NAMES),
            horizon_s=label.minutes * 60,
            cost_bps=round(label.cost.bps_on(source.sessions[-1]), 4),
            code_version=__version__,
        )
        return walk_forward(
            home / FOLDER, rows, settings, origin, words.jobs, lambda _: shown.advance(folding)
        )


def settings_of(words: Words, features: tuple[str, ...]) -> Settings:
    """Raises `ConfigError` for a calibration, an embargo or a parameter that is none."""
    from research.walkforward.decision import METHODS
    from research.walkforward.settings import Settings

    if words.calibration not in METHODS:
        raise ConfigError(f"--calibration {words.calibration!r} is none of {', '.join(METHODS)}")
    return Settings(
        kind=words.model,
        features=features,
        scheme=words.folds,
        embargo_ns=span_ns(words.embargo),
        trials=words.trials,
        seed=words.seed,
        calibration=words.calibration,
        parameters=dict(_parameter(each) for each in words.fixed),
        artifact=str(words.artifact.absolute()) if words.artifact else "",
    )


def require_parameters(settings: Settings, learner: Trainer) -> None:
    """Raises `ConfigError` where a number is wanted and something else was given."""
    for name, value in settings.parameters.items():
        default = learner.defaults.get(name)
        whole = isinstance(default, int) and not isinstance(value, int)
        if default is not None and (isinstance(value, str) or whole):
            raise ConfigError(f"--set {name}={value}: {learner.kind} wants a number like {default} there")


def span_ns(text: str) -> int:
    """`30m`, `2h`, `1d` or 0 -> ns. Raises `ConfigError`."""
    found = _SPAN.fullmatch(text)
    if text == "0":
        return 0
    if not found:
        raise ConfigError(f"--embargo {text!r} is no span of time: write 30m, 2h, 1d or 0")
    return int(found[1]) * _MINUTES[found[2]] * 60_000_000_000


def named_features(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Comma-separated names in their order; nothing given: (). Raises `ConfigError` for one there is not."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in known:
            raise ConfigError(f"--features: there is no feature {name!r}; see `kitepilot features list`")
    return names


def source_of(home: Path, words: Words) -> BarSource:
    return source_named(home, words.data, words.seed, _day(words.first), _day(words.last))


def source_named(
    home: Path, data: str, seed: int, first: date | None = None, last: date | None = None
) -> BarSource:
    """The dataset of that name, or generated bars: instruments x sessions. Raises as `open_bars`."""
    from research.datasets.stored import open_bars
    from research.generated_bars import GeneratedBars, weekdays

    made = _GENERATED.fullmatch(data)
    if made:
        return GeneratedBars(int(made[1]), weekdays(GENERATED_FROM, int(made[2])), seed)
    return open_bars(home, data, first=first, last=last)


def label_from(words: Words) -> FixedHorizon | TripleBarrier:
    from research.labels.cost import ChargedCost, FlatCost
    from research.labels.words import label_of

    charged = ChargedCost(slippage_bps=words.slippage)
    return label_of(words.label, charged if words.cost is None else FlatCost(words.cost))


def show(run: Run) -> None:
    """The folds, the whole, and what must be known before it is believed."""
    result, console = run.result, Console()
    table = Table("fold", box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("tested on", no_wrap=True)
    for head in ("rows", "auc", "skill", "ece", "trades", "net bps", "late"):
        table.add_column(head, justify="right", no_wrap=True)
    for one in result.folds:
        table.add_row(f"{one.number}", _dates(one.test_dates), f"{one.rows_test:,}", *_figures(one.metrics))
    whole = result.out_of_sample
    table.add_row("all", "", f"{whole.get('rows', 0):,.0f}", *_figures(whole))
    console.print(table)
    console.print("skill: Brier score against that of always saying the base rate;")
    console.print("net bps: of one trade; late: of the same trades decided a minute later")
    low, high = whole.get("net_bps_low"), whole.get("net_bps_high")
    if low is not None and high is not None:
        console.print(f"net bps of a trade: {low:+.1f} to {high:+.1f} (95 %, whole sessions drawn again)")
    best = ", ".join(f"{name} {told['permutation']:+.4f}" for name, told in _most(result.importance))
    console.print(f"importance (rise of the log loss when shuffled): {best}", highlight=False, soft_wrap=True)
    for warning in result.warnings:
        console.print(f"[yellow]![/] {warning}", highlight=False, soft_wrap=True)
    console.print(
        f"model {result.model or 'none'}; everything is in {run.folder}", highlight=False, soft_wrap=True
    )
    if result.model:
        console.print(f"next: kitepilot models import {run.folder}", highlight=False, soft_wrap=True)


def as_json(run: Run) -> dict[str, Any]:
    """The result without the folds' trials, and where things are."""
    told = cast(dict[str, Any], msgspec.to_builtins(run.result))
    for one in (*told["folds"], told["final"]):
        del one["tried"]
    made = bool(run.result.model)
    return {
        **told,
        "folder": str(run.folder),
        "artifact": str(run.artifact) if made else "",
        "card": str(run.card) if made else "",
    }


def _figures(found: dict[str, float]) -> list[str]:
    def word(name: str, form: str) -> str:
        return format(found[name], form) if name in found else "-"

    skill = "-"
    if found.get("brier_base"):
        skill = f"{1.0 - found['brier'] / found['brier_base']:+.1%}"
    shares = [word("auc", ".3f"), skill, word("ece", ".4f")]
    return [*shares, word("trades", ",.0f"), word("net_bps", "+.1f"), word("net_bps_late", "+.1f")]


def _dates(days: tuple[str, ...]) -> str:
    """2016-08-30..09-01"""
    first, last = days[0], days[-1]
    return first if first == last else f"{first}..{last[5:] if first[:4] == last[:4] else last}"


def _most(importance: dict[str, dict[str, float]]) -> list[tuple[str, dict[str, float]]]:
    return [(name, told) for name, told in importance.items() if "permutation" in told][:SHOWN]


def _parameter(text: str) -> tuple[str, float | int | str | bool]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise ConfigError(f"--set {text!r}: write NAME=VALUE, for example trees=200")
    kinds: tuple[Callable[[str], float | int], ...] = (int, float)
    for kind in kinds:
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, {"true": True, "false": False}.get(value, value)


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as err:
        raise ConfigError(f"{text!r} is no date: write 2024-01-31") from err
