"""Folds over cores: one process a fold at a time, one thread in each; the result does not depend on how many.

Each fold is seeded by its number and written by the process that made it, so a run that is killed goes on
with the folds that are missing.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from queue import Empty
from typing import Any

from kitepilot.models.port import ModelError
from research.trainers.port import trainer
from research.walkforward.fold_file import FoldResult, make_fold
from research.walkforward.folds import Fold
from research.walkforward.rows import RowStore
from research.walkforward.settings import Settings

#: Told after each trial and each fit: the fold's number.
Told = Callable[[int], None]
LOOK_S = 0.1

_steps: Any = None  # a worker's end of the queue that its steps go through


def make_folds(
    run: Path, rows: Path, folds: Sequence[Fold], settings: Settings, jobs: int, told: Told
) -> list[FoldResult]:
    """Every fold's result in the order of `folds`; those whose files are there are read.

    A fold whose trainer fails in a way it should not is told in its result and not kept: the next run tries
    again.

    Raises:
        ModelError: a process was ended from outside; what was finished is kept.
    """
    if jobs == 1:
        return [_one(run, rows, fold, settings, told) for fold in folds]
    context = multiprocessing.get_context("spawn")
    steps = context.Queue()
    try:
        with ProcessPoolExecutor(min(jobs, len(folds)), context, _begin, (steps,)) as pool:
            asked = [pool.submit(_one, run, rows, fold, settings, None) for fold in folds]
            _follow(asked, steps, told)
            return [each.result() for each in asked]
    except BrokenProcessPool as err:
        raise ModelError(
            "a training process was ended from outside (out of memory?); what is finished is kept: run the "
            "same command again, with fewer --jobs"
        ) from err


def folder_of(run: Path, fold: Fold) -> Path:
    return run / "folds" / f"{fold.number:03d}" if fold.number else run / "final"


def _one(run: Path, rows: Path, fold: Fold, settings: Settings, told: Told | None) -> FoldResult:
    store = RowStore.at(rows)
    if store is None:
        raise ModelError(f"the rows in {rows} are gone; run the same command again")
    tell: Told = told or _steps.put
    try:
        made = trainer(settings.kind, settings.artifact)
        return make_fold(folder_of(run, fold), store, fold, made, settings, lambda: tell(fold.number))
    except OSError:
        raise
    except Exception as err:  # a trainer may be a user's: one fold's failure is not the others'
        where = traceback.extract_tb(err.__traceback__)[-1]
        return FoldResult(
            number=fold.number,
            train_dates=tuple(f"{day}" for day in fold.train),
            test_dates=tuple(f"{day}" for day in fold.test),
            failed=f"{type(err).__name__}: {err} ({Path(where.filename).name}:{where.lineno})",
        )


def _begin(steps: Any) -> None:
    """In a worker: its steps' way out; and it ends with the process that asked for it."""
    global _steps  # noqa: PLW0603  # the pool's initializer has no other place to leave it
    _steps = steps
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _follow(asked: Sequence[Future[FoldResult]], steps: Any, told: Told) -> None:
    left = set(asked)
    while left:
        _, left = wait(left, timeout=LOOK_S)
        _drain(steps, told)
    _drain(steps, told)


def _drain(steps: Any, told: Told) -> None:
    try:
        while True:
            told(steps.get_nowait())
    except Empty:
        return
