"""What `kitepilot leak-check` was told -> bars, features, label, folds -> the gate's report."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from kitepilot import __version__
from kitepilot.cli.code import code_hash
from kitepilot.cli.watch import stderr_console
from kitepilot.config import ConfigError

if TYPE_CHECKING:
    from research.bars import BarSource, SessionBars
    from research.examples import Examples
    from research.labels.port import Label
    from research.leaks.catalogue.known import Verdict
    from research.leaks.data_checks import Action
    from research.leaks.gate import Trial
    from research.leaks.report import LeakReport
    from research.leaks.row_checks import Split
    from research.leaks.subjects import Features

RERUN_SESSIONS = 3  # features are run again and again on the last of these
RERUN_INSTRUMENTS = 12


@dataclass(frozen=True)
class Words:
    """The command's options, as they were given."""

    data: str
    features: str
    mine: tuple[str, ...]
    label: str
    folds: str
    embargo: str
    pipeline: str
    sessions: int
    seed: int


def check(home: Path, words: Words, *, quiet: bool) -> LeakReport:
    """Read what is needed, put it on trial.

    Raises:
        ConfigError: a word that is none. And as `open_bars`, `label_of`, `splits_of`, `load`.
    """
    from research.data_hash import data_hash
    from research.leaks.gate import About, judge, runs_expected

    source = _source(home, words)
    with _progress(quiet) as told:
        trial, hashed = _trial(home, words, source)
        told.total(runs_expected(trial))
        about = About(
            data=source.name,
            data_hash=data_hash(source),
            folds=f"{words.folds}, embargo {words.embargo}",
            model=words.pipeline,
            code_version=f"{__version__}-{code_hash()}",
            features_hash=hashed,
        )
        return judge(trial, words.seed, about, told.advance)


def catalogue(seed: int, *, quiet: bool) -> list[Verdict]:
    """Every known leak and every honest thing, judged."""
    from research.leaks.catalogue.known import FAIR, LEAKS, verdicts

    with _progress(quiet) as told:
        told.total(len(LEAKS) + len(FAIR))
        found = []
        for verdict in verdicts((*LEAKS, *FAIR), seed):
            found.append(verdict)
            told.advance(1)
        return found


def _trial(home: Path, words: Words, source: BarSource) -> tuple[Trial, str]:
    """What is on trial, and the hash of the features if they are built in."""
    from research.leaks.altered import instruments
    from research.leaks.gate import Trial, rows_of

    days = source.sessions[-words.sessions :]
    read = tuple(source.read(day) for day in days)
    again = read[-RERUN_SESSIONS:]
    kept = _symbols_to_rerun(again[-1])
    narrowed = (
        instruments(bars, [j for j, symbol in enumerate(bars.symbols) if symbol in kept]) for bars in again
    )
    features, hashed = _features(words)
    label = _label(words)
    rows, past = rows_of(features, label, read) if features else (None, None)
    return (
        Trial(
            sessions=tuple(narrowed),
            features=features,
            label=label,
            examples=rows,
            past=past,
            folds=_folds(words, rows, days) if rows is not None else (),
            embargo_ns=_embargo_ns(words.embargo),
            run=_loaded(words.pipeline) if words.pipeline else None,
            actions=_actions(home),
            ticks=None if words.mine else _ticks(words),
        ),
        hashed,
    )


def _symbols_to_rerun(bars: SessionBars) -> set[str]:
    """Those with the most gaps, as gaps are where features go wrong, and the busiest."""
    import numpy as np

    order = np.argsort(bars.present.sum(axis=0), kind="stable").tolist()
    half = RERUN_INSTRUMENTS // 2
    return {bars.symbols[j] for j in (*order[:half], *order[-half:])}


@dataclass
class _Told:
    """A progress bar that learns its length on the way."""

    shown: Progress
    task: Any

    def total(self, runs: int) -> None:
        self.shown.update(self.task, total=runs)

    def advance(self, runs: int) -> None:
        self.shown.advance(self.task, runs)


@contextlib.contextmanager
def _progress(quiet: bool) -> Iterator[_Told]:
    console = Console(quiet=True) if quiet else stderr_console()
    columns = (TextColumn("{task.description}"), BarColumn(30), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as shown:
        yield _Told(shown, shown.add_task("looking for the future", total=None))


def _source(home: Path, words: Words) -> BarSource:
    from kitepilot.cli.training import source_named

    return source_named(home, words.data, words.seed)


def _features(words: Words) -> tuple[Features | None, str]:
    from research.leaks.built_in import bar_features
    from research.leaks.subjects import joined, of_function

    if words.mine:
        return joined([of_function(_loaded(each)) for each in words.mine]), ""
    from kitepilot.kernels.features import FEATURE_NAMES
    from research.features_hash import features_hash

    names = tuple(each.strip() for each in words.features.split(",") if each.strip()) or FEATURE_NAMES
    for name in names:
        if name not in FEATURE_NAMES:
            raise ConfigError(f"--features: there is no feature {name!r}; see `kitepilot features list`")
    return bar_features(names), features_hash(names)


def _ticks(words: Words) -> Any:
    """The features of ticks are tried on the synthetic market, whatever the bars are."""
    from broker_adapter.sandbox.feed.synthetic import SyntheticMarket
    from kitepilot.config import Config
    from research.leaks.built_in import tick_features

    day = date.fromisoformat(Config().session.date)
    return tick_features(SyntheticMarket(day, words.seed, 4, 2.0), day)


def _label(words: Words) -> Label:
    from research.labels.cost import ChargedCost
    from research.labels.words import label_of

    if ".py:" in words.label:
        found: Label = _loaded(words.label)
        return found
    return label_of(words.label, ChargedCost())


def _folds(words: Words, rows: Examples, days: Sequence[Any]) -> tuple[Split, ...]:
    from research.leaks.row_checks import Split
    from research.leaks.walk_forward import splits_of

    if ".py:" in words.folds:
        return tuple(Split(train, test) for train, test in _loaded(words.folds)(rows))
    return splits_of(rows, days, words.folds, _embargo_ns(words.embargo))


def _embargo_ns(text: str) -> int:
    from kitepilot.cli.training import span_ns

    return span_ns(text)


def _loaded(reference: str) -> Any:
    from research.leaks.subjects import load

    return load(reference)


def _actions(home: Path) -> list[Action] | None:
    """The home's table of splits and bonuses; None where there is none."""
    from research.datasets.actions import actions_of
    from research.datasets.manifest import FOLDER
    from research.leaks.data_checks import Action

    rows = actions_of(home / FOLDER).rows
    return [Action(row.symbol, row.ex_date, float(row.price_factor)) for row in rows] or None
