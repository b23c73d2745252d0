"""`kitepilot retrain`: train, leak check, registration and slippage fit, one after the other, each told.

A step that fails does not stop those that do without it. Nothing is promoted.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from kitepilot.cli import retrained
from kitepilot.cli.retrained import DONE, FAILED, SKIPPED, Retraining, Step
from kitepilot.config import Config, ConfigError, RetrainSection
from kitepilot.market import calendar
from kitepilot.models.retraining import Due, due
from kitepilot.run import Run

if TYPE_CHECKING:
    from kitepilot.cli import leaking, training
    from research.walkforward.run import Run as TrainingRun

Say = Callable[[str], None]
LEAK_FOLDS, LEAK_SESSIONS = "rolling:5/2", 12  # those of `kitepilot leak-check`
NICENESS = 19


class StepFailedError(RuntimeError):
    """It was done, and what came of it is a failure; says which."""


class SkippedError(RuntimeError):
    """There is nothing to do; says why."""


@dataclass
class Work:
    """What the steps hand on to each other."""

    home: Path
    config: Config
    session: str
    quiet: bool
    run: TrainingRun | None = None
    leak_report: Path | None = None
    model_id: str = ""
    gates: tuple[dict[str, Any], ...] = ()
    rows: tuple[str, ...] = ()


def closed_session(now: int) -> date:
    """The newest session that is over at `now` (ns UTC).

    Raises:
        CalendarError: the calendar does not know that year, or nothing before.
    """
    day = calendar.ist_date(now)
    if calendar.is_open(day) and now >= calendar.session(day).close_at:
        return day
    before = calendar.previous_session(day)
    if before is None:
        raise calendar.CalendarError(f"no session before {day} is known")
    return before


def due_after(home: Path, config: Config, session: date) -> Due:
    """By the configuration and what went well so far."""
    wanted = config.retrain
    if not wanted.enabled:
        return Due(False, "retrain.enabled is false")
    return due(session, retrained.last_done(home), wanted.weekdays, wanted.every_sessions, calendar.is_open)


def retrain(
    home: Path, config: Config, session: date, *, quiet: bool, tell: Callable[[Step], None]
) -> Retraining:
    """All steps, each recorded and told as it ends.

    Raises:
        ConfigError: no dataset is configured, or another one is under way.
    """
    if not config.retrain.data:
        raise ConfigError("retrain.data names no dataset; `kitepilot datasets list` shows those there are")
    with retrained.alone(home):
        work = Work(home, config, session.isoformat(), quiet)
        work.rows = retrained.rows_of(home, work.session)
        told = Retraining(session=work.session, began=_now(), rows=work.rows)
        retrained.keep(home, told)
        for name, act in STEPS.items():
            step = _step(name, act, work)
            told = msgspec.structs.replace(
                told, steps=(*told.steps, step), model_id=work.model_id, gates=work.gates, rows=work.rows
            )
            retrained.keep(home, told)
            tell(step)
        told = msgspec.structs.replace(told, ended=_now())
        retrained.keep(home, told)
        _forget_rows(home, told)
    return told


def train(work: Work) -> str:
    """Walk-forward and a model of the newest sessions."""
    from kitepilot.cli import training

    before = _rows(work.home)
    try:
        made = training.train(work.home, training_words(work.config.retrain), quiet=work.quiet)
    finally:
        work.rows = (*work.rows, *sorted(_rows(work.home) - before))
    if not made.result.model:
        raise StepFailedError(f"no model is kept: {made.result.final.failed}")
    work.run, work.model_id = made, made.result.model
    return (
        f"{made.result.model} of {made.result.rows:,} rows, {made.result.sessions[0]} to "
        f"{made.result.sessions[-1]}, {len(made.result.folds)} folds, in {made.folder}"
    )


def check_leaks(work: Work) -> str:
    """The same features, label, data and embargo; the report is kept with the record."""
    from kitepilot.cli import leaking

    report = leaking.check(work.home, leak_words(work.config.retrain), quiet=work.quiet)
    path = retrained.folder_of(work.home) / f"{work.session}.leaks.json"
    path.write_text(report.to_json())
    work.leak_report = path
    if not report.passed:
        first = report.leaks[0].what if report.leaks else "nothing could be judged"
        raise StepFailedError(f"{len(report.leaks)} leaks: {first}")
    return f"no leak in {len(report.features)} features, {len(report.skipped)} checks not judged"


def register(work: Work) -> str:
    """A candidate with its leak report, and what the gates before the next stage say."""
    if work.run is None:
        raise SkippedError("there is no new model")
    from infra.postgres import model_moves
    from kitepilot.cli import model_book
    from kitepilot.models import gates
    from kitepilot.models.stages import NEXT

    taken = model_book.taken_in(
        *(work.home, work.config, work.run.folder),
        leak_report=work.leak_report,
        why=f"retrained after {work.session}",
    )
    with model_book.opened(work.home, work.config) as db:
        seen = model_moves.evidence_of(db, taken.model_id, work.config)
        stage = model_moves.standing(db).stages[taken.model_id]
    there = NEXT.get(stage)
    verdicts = gates.judge(seen, work.config.models.gates, there) if there else []
    work.gates = tuple(each._asdict() for each in verdicts)
    refusing = ", ".join(each.gate for each in verdicts if not each.passed)
    known = "registered" if taken.registered else "known before"
    return f"{taken.model_id} {known}, {stage}; gates to {there or 'nowhere'}: {refusing or 'none'} refuse"


def fit_slippage(work: Work) -> str:
    """Half spread and impact of own fills of this mode, where there are enough."""
    from kitepilot.cli import slippage
    from kitepilot.cli.watch import speaker, stderr_console
    from research.slippage.fit import TooFewFillsError, fit
    from research.slippage.fitted import keep

    say: Say = speaker(stderr_console()) if not work.quiet else lambda _: None
    read = slippage.own_orders(work.home, slippage.RUNS, work.config.mode, say)
    try:
        fitted = fit(read.found, least=slippage.LEAST)
    except TooFewFillsError as err:
        raise SkippedError(str(err)) from err
    path = keep(fitted, work.home / "slippage")
    use = "used by backtests from now on" if fitted.better else "no better than the assumed numbers"
    return (
        f"half spread {fitted.half_spread.value:.2f} bps, impact {fitted.impact.value:.2f} bps of "
        f"{fitted.orders:,} orders in {len(read.runs)} runs; error {fitted.error_share:.0%}, "
        f"{use}, in {path}"
    )


STEPS: dict[str, Callable[[Work], str]] = {
    "train": train,
    "leak check": check_leaks,
    "registration": register,
    "slippage fit": fit_slippage,
}


def _step(name: str, act: Callable[[Work], str], work: Work) -> Step:
    """Whatever goes wrong in a step is a line of the record; its trace goes to the log."""
    try:
        return Step(name, DONE, act(work))
    except SkippedError as err:
        return Step(name, SKIPPED, str(err))
    except StepFailedError as err:
        return Step(name, FAILED, str(err))
    except Exception as err:
        if not isinstance(err, ValueError):
            traceback.print_exc()
        return Step(name, FAILED, (str(err).splitlines() or [""])[0] or type(err).__name__)


def training_words(wanted: RetrainSection) -> training.Words:
    """The configured options, as the command line of `train` would give them."""
    from kitepilot.cli import training

    return training.Words(
        data=wanted.data,
        model=wanted.model,
        label=wanted.label,
        cost=wanted.cost_bps,
        slippage=wanted.slippage_bps,
        folds=wanted.folds,
        embargo=wanted.embargo,
        trials=wanted.trials,
        seed=wanted.seed,
        jobs=wanted.jobs,
        calibration=wanted.calibration,
        features=",".join(wanted.features),
        fixed=tuple(f"{name}={value}" for name, value in wanted.parameters.items()),
        artifact=None,
        first=None,
        last=None,
    )


def leak_words(wanted: RetrainSection) -> leaking.Words:
    """All features, as the hash on a card is of all of them."""
    from kitepilot.cli import leaking

    return leaking.Words(
        data=wanted.data,
        features="",
        mine=(),
        label=wanted.label,
        folds=LEAK_FOLDS,
        embargo=wanted.embargo,
        pipeline="",
        sessions=LEAK_SESSIONS,
        seed=wanted.seed,
    )


def due_now(run: Run) -> tuple[str, bool]:
    """Why it is due after this run's day, or why not; and which of the two.

    Raises:
        OSError: its record cannot be written.
    """
    session = date.fromisoformat(run.config.session.date)
    told = due_after(run.home, run.config, session)
    if not told.due:
        return f"not due: {told.why}", False
    if retrained.under_way(run.home):
        return "alarm: not started: another one is under way", False
    log_of(run.home, session).touch()
    return f"{told.why}; `kitepilot status` tells, log {log_of(run.home, session)}", True


def log_of(home: Path, session: date) -> Path:
    """What a retraining says that a day's end started."""
    retrained.folder_of(home).mkdir(parents=True, exist_ok=True)
    return retrained.folder_of(home) / f"{session}.log"


def command(run: Run, session: date) -> list[str]:
    """`-P`: what lies in the folder it works in is not imported."""
    words = ["retrain", "--if-due", "--session", f"{session}", "--config", str(run.folder / "config.yaml")]
    return [sys.executable, "-P", "-m", "kitepilot", *words]


def step_aside() -> None:
    """Everything else on the machine comes first."""
    os.nice(NICENESS)


def _rows(home: Path) -> set[str]:
    from kitepilot.cli.training import FOLDER

    return {path.name for path in (home / FOLDER / "rows").glob("*")}


def _forget_rows(home: Path, told: Retraining) -> None:
    """Rows that earlier retrainings made go once this one has made others; they can be made again."""
    from kitepilot.cli.training import FOLDER

    if not told.rows or not told.went_well:
        return
    older = {name for each in retrained.records(home) for name in each.rows} - {*told.rows}
    for name in older:
        shutil.rmtree(home / FOLDER / "rows" / name, ignore_errors=True)


def _now() -> str:
    return calendar.to_ist(time.time_ns()).isoformat(timespec="seconds")
