"""Everything that was given, put to every check that applies to it -> one report.

judge(Trial(sessions=bars, features=of_function(mine), label=FixedHorizon(5)), seed=7) -> LeakReport
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from research.bars import SessionBars
from research.examples import Examples
from research.labels.meta_label import MetaLabel
from research.labels.port import Label
from research.labels.rows import examples_of_rows
from research.leaks import data_checks, feature_checks, label_checks, outside_check, row_checks
from research.leaks.altered import digest
from research.leaks.data_checks import Action, Choose, Listed
from research.leaks.feature_checks import Progress, quiet
from research.leaks.past_figures import past_figures
from research.leaks.pipeline_checks import Pipeline, pipeline
from research.leaks.report import Finding, LeakReport
from research.leaks.row_checks import Split
from research.leaks.subjects import Features, of_function
from research.leaks.target_check import target_in_feature
from research.leaks.tick_checks import MOMENTS, TickTrial, tick_findings

Floats = npt.NDArray[np.float64]
PAST = 7  # columns of `past_figures`


@dataclass(frozen=True, eq=False)
class Trial:
    """What is on trial. Each part may be missing; what is there decides which checks are made.

    Attributes:
        sessions: consecutive sessions of bars; features and label are run on them again and again.
        features, label: computed from bars.
        examples: rows that are there already; made from features and label otherwise.
        folds: how the examples are split; `embargo_ns` what the split promises; `forward` that training
            always comes before its test.
        run: a pipeline over the examples and folds.
        actions, listed, choose: what is known of splits, of listings, and how instruments are chosen.
        bars_too: the bars themselves are judged as well.
        past: for each row of the examples, plain figures of earlier bars (`rows_of` gives both).
        ticks: features of ticks, with ticks to try them on.
    """

    sessions: tuple[SessionBars, ...] = ()
    features: Features | None = None
    label: Label | None = None
    examples: Examples | None = None
    folds: tuple[Split, ...] = ()
    embargo_ns: int = 0
    forward: bool = True
    run: Pipeline | None = None
    actions: Sequence[Action] | None = None
    listed: Listed | None = None
    choose: Choose | None = None
    bars_too: bool = True
    past: Floats | None = None
    ticks: TickTrial | None = None


@dataclass(frozen=True)
class About:
    """What the report says of the things on trial."""

    data: str = ""
    data_hash: str = ""
    folds: str = ""
    model: str = ""
    code_version: str = ""
    features_hash: str = ""


def judge(trial: Trial, seed: int, about: About | None = None, told: Progress = quiet) -> LeakReport:
    """Every check that applies, in a fixed order; the same trial and seed give the same report."""
    said = about or About()
    label = trial.label.words if trial.label else trial.examples.label if trial.examples else ""
    findings = tuple(_findings(trial, np.random.default_rng([seed, 5]), told))
    return LeakReport(
        features=_judged(trial, findings),
        features_hash=said.features_hash or (trial.features.hash if trial.features else ""),
        data=said.data,
        data_hash=said.data_hash or digest(trial.sessions),
        label=label,
        folds=said.folds or (f"{len(trial.folds)} given" if trial.folds else ""),
        model=said.model,
        code_version=said.code_version,
        seed=seed,
        findings=findings,
    )


def runs_expected(trial: Trial) -> int:
    """Roughly how many times the features and the pipeline are run: the length of a progress bar."""
    minutes = len(trial.sessions[-1].close_at) if trial.sessions and trial.features else 0
    ticks = 2 * (MOMENTS + 2) if trial.ticks is not None else 0
    return minutes + 30 + ticks + (1 + 2 * 3) * len(trial.folds) * (trial.run is not None)


def _judged(trial: Trial, findings: Sequence[Finding]) -> tuple[str, ...]:
    """The features something was said of: those of bars, of the examples, of ticks."""
    named: list[str] = [*trial.features.names] if trial.features else []
    named += trial.examples.features if trial.examples else ()
    of_ticks = trial.ticks.names if trial.ticks else ()
    spoken = {found.subject for found in findings}
    return tuple(dict.fromkeys([*named, *(name for name in of_ticks if name in spoken)]))


def _findings(trial: Trial, rng: np.random.Generator, told: Progress) -> Iterator[Finding]:
    sessions, names = trial.sessions, _names(trial.sessions)
    if sessions and trial.bars_too:
        yield from data_checks.bar_label(sessions)
        yield from data_checks.resampled(sessions)
        yield from data_checks.adjustment(sessions, trial.actions)
        yield from data_checks.survivorship(sessions, trial.listed, trial.choose, rng)
    for features in _on_trial(trial):
        yield from _feature_findings(features, sessions, rng, told)
    if trial.ticks is not None:
        yield from tick_findings(trial.ticks, rng, told)
    if trial.label is not None and sessions:
        yield from label_checks.label_span(trial.label, sessions, rng)
    examples, past = _rows(trial)
    if examples is not None and len(examples):
        yield from target_in_feature(examples, past, rng, names)
        if trial.folds:
            yield from row_checks.purge(examples, trial.folds, trial.embargo_ns, names)
            if trial.forward:
                yield from row_checks.fold_order(examples, trial.folds, names)
            yield from row_checks.duplicate_rows(examples, trial.folds, names)
            yield from row_checks.normalisation(examples, trial.folds)
        if trial.folds and trial.run is not None:
            yield from pipeline(trial.run, examples, trial.folds, rng, told)


def _on_trial(trial: Trial) -> Iterator[Features]:
    """The features, and the rule that picks the side of a meta-label: it looks at bars as they do."""
    if not trial.sessions:
        return
    if trial.features is not None:
        yield trial.features
    if isinstance(trial.label, MetaLabel):
        yield of_function(trial.label.primary, trial.label.name)  # type: ignore[arg-type]


def _feature_findings(
    features: Features, sessions: Sequence[SessionBars], rng: np.random.Generator, told: Progress
) -> Iterator[Finding]:
    yield from feature_checks.repeatable(features, sessions, told)
    yield from feature_checks.truncation(features, sessions, told)
    yield from feature_checks.future_shuffle(features, sessions, rng, told)
    yield from feature_checks.later_sessions(features, sessions, rng, told)
    yield from feature_checks.session_boundary(features, sessions, rng, told)
    yield from feature_checks.warm_up(features, sessions, rng, told)
    yield from feature_checks.cross_section(features, sessions, rng, told)
    yield from outside_check.hidden_input(features, sessions, rng)


def _rows(trial: Trial) -> tuple[Examples | None, Floats]:
    """The examples on trial, and for each of their rows what plain figures of the past say."""
    if trial.examples is not None:
        past = np.empty((len(trial.examples), 0)) if trial.past is None else trial.past
        return trial.examples, past
    if trial.features and trial.label and trial.sessions:
        return rows_of(trial.features, trial.label, trial.sessions)
    return None, np.empty((0, 0))


def rows_of(features: Features, label: Label, sessions: Sequence[SessionBars]) -> tuple[Examples, Floats]:
    """Sessions -> their examples, and for each row float64[r, 7] what plain figures of the past say."""
    both = (
        (bars, np.concatenate([x, past_figures(bars)], axis=2))
        for bars, x in zip(sessions, features.compute(sessions), strict=True)
    )
    width = len(features.names)
    names = (*features.names, *(f"past {number}" for number in range(PAST)))
    rows = examples_of_rows(both, names, label)
    return _narrowed(rows, width), rows.x[:, width:]


def _narrowed(rows: Examples, width: int) -> Examples:
    return replace(rows, features=rows.features[:width], x=rows.x[:, :width])


def _names(sessions: Sequence[SessionBars]) -> dict[int, str]:
    return {
        token: symbol
        for bars in sessions
        for token, symbol in zip(bars.tokens.tolist(), bars.symbols, strict=True)
    }
