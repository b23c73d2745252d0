"""A finished fold on disk: its numbers, its model and its scores. What is there is not made again.

`fold.json` is written last and names the others by SHA-256, so a fold is whole or it is not there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kitepilot.models.card import Calibration
from kitepilot.models.port import ModelError
from research.trainers.port import Trainer
from research.walkforward.fold_fit import FittedFold, fit_fold, scored_rows, seed_of
from research.walkforward.folds import Fold
from research.walkforward.importance import importance
from research.walkforward.measures import acting, measured, paid, reliability
from research.walkforward.rows import RowStore
from research.walkforward.settings import Settings

RESULT, MODEL, SCORES = "fold.json", "model", "scores.parquet"


class FoldResult(msgspec.Struct, frozen=True, kw_only=True):
    """One fold in numbers.

    `metrics` are of the calibrated scores on the test rows and of the actions there, `raw_metrics` of the
    same scores before calibration, `held_metrics` of the held-out rows. `tried` are Optuna's trials in order.
    `failed`: why there is nothing else.
    """

    number: int
    train_dates: tuple[str, ...]
    held_dates: tuple[str, ...] = ()
    test_dates: tuple[str, ...] = ()
    rows_fit: int = 0
    rows_held: int = 0
    rows_test: int = 0
    rows_purged: int = 0
    rows_unscored: int = 0
    features: tuple[str, ...] = ()
    parameters: dict[str, float | int | str | bool] = {}
    tried: tuple[dict[str, float | int | str | bool], ...] = ()
    calibration: Calibration = Calibration()
    threshold: float | None = None
    metrics: dict[str, float] = {}
    raw_metrics: dict[str, float] = {}
    held_metrics: dict[str, float] = {}
    reliability: tuple[dict[str, float], ...] = ()
    raw_reliability: tuple[dict[str, float], ...] = ()
    importance: dict[str, dict[str, float]] = {}
    notes: tuple[str, ...] = ()
    failed: str = ""
    files: dict[str, str] = {}  # name -> SHA-256


def make_fold(
    folder: Path,
    store: RowStore,
    fold: Fold,
    trainer: Trainer,
    settings: Settings,
    told: Callable[[], None],
) -> FoldResult:
    """The fold from its files, or made and kept. A fold that cannot be made says why and is kept too."""
    kept = finished(folder)
    if kept is not None:
        for _ in range(settings.trials + 1):
            told()
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    try:
        made = fit_fold(store, fold, trainer, settings, told)
    except ModelError as err:
        result = FoldResult(
            number=fold.number,
            train_dates=tuple(f"{day}" for day in fold.train),
            test_dates=tuple(f"{day}" for day in fold.test),
            failed=str(err),
        )
    else:
        result = _described(fold, made, trainer, settings, _keep_files(folder, fold, made))
    _write(folder / RESULT, msgspec.json.format(msgspec.json.encode(result), indent=1))
    return result


def finished(folder: Path) -> FoldResult | None:
    """The fold that lies in `folder`, if it is whole."""
    try:
        told = msgspec.json.decode((folder / RESULT).read_bytes(), type=FoldResult)
        whole = all(_digest((folder / name).read_bytes()) == was for name, was in told.files.items())
    except (OSError, msgspec.DecodeError):
        return None
    return told if whole else None


def scores_table(fold: Fold, made: FittedFold) -> pa.Table:
    """One row per scored row: its close, token, label, outcome, both scores, and whether it was acted on."""
    rows, raw, score = (made.test, made.test_raw, made.test_score) if fold.test else (
        made.held, made.held_raw, made.held_score
    )  # fmt: skip
    known = np.isfinite(score)
    told = scored_rows(rows, score)
    acts = acting(told, made.threshold) if made.threshold is not None else np.zeros(len(told.y), dtype=bool)
    return pa.table(
        {
            "fold": pa.array(np.full(len(told.y), fold.number, dtype=np.int32)),
            "session": pa.array(told.session - _EPOCH, pa.int32()).cast(pa.date32()),
            "decided_at": told.decided_at,
            "matured_at": told.matured_at,
            "token": told.token,
            "y": told.y.astype(np.int8),
            "outcome_bps": told.outcome_bps,
            "raw": raw[known],
            "score": told.score,
            "acted": acts,
        }
    )


_EPOCH = 719_163  # ordinal of 1970-01-01


def _described(
    fold: Fold, made: FittedFold, trainer: Trainer, settings: Settings, files: dict[str, str]
) -> FoldResult:
    test, held = scored_rows(made.test, made.test_score), scored_rows(made.held, made.held_score)
    raw = scored_rows(made.test, made.test_raw)
    notes = list(made.notes)
    metrics = measured(test)
    if fold.test:
        acts = acting(test, made.threshold) if made.threshold is not None else np.zeros(len(test.y), bool)
        metrics |= paid(test, acts)
        if made.threshold is None:
            notes.append("no threshold earned after costs on the held-out rows: nothing was traded")
        elif not acts.any():
            notes.append(f"no test score reached the threshold {made.threshold:.3f}: nothing was traded")
        if len(test.y) and test.y.min() == test.y.max():
            notes.append(f"all {len(test.y)} labels of the test rows are the same: no AUC")
    return FoldResult(
        number=fold.number,
        train_dates=tuple(f"{day}" for day in made.fit_sessions),
        held_dates=tuple(f"{day}" for day in made.held_sessions),
        test_dates=tuple(f"{day}" for day in fold.test),
        rows_fit=len(made.fit),
        rows_held=len(made.held),
        rows_test=len(made.test),
        rows_purged=made.purged,
        rows_unscored=len(made.test) - len(test.y),
        features=made.features,
        parameters=made.parameters,
        tried=tuple(made.tried),
        calibration=made.calibration,
        threshold=made.threshold,
        metrics=metrics if fold.test else {},
        raw_metrics=measured(raw) if fold.test else {},
        held_metrics=measured(held),
        reliability=tuple(reliability(test.y, test.score)),
        raw_reliability=tuple(reliability(raw.y, raw.score)),
        importance=importance(made, trainer, seed_of(settings.seed, fold.number)),
        notes=tuple(notes),
        files=files,
    )


def _keep_files(folder: Path, fold: Fold, made: FittedFold) -> dict[str, str]:
    table = pa.BufferOutputStream()
    pq.write_table(scores_table(fold, made), table, compression="zstd")
    files = {MODEL: made.fitted.artifact, SCORES: table.getvalue().to_pybytes()}
    for name, raw in files.items():
        _write(folder / name, raw)
    return {name: _digest(raw) for name, raw in files.items()}


def _write(path: Path, raw: bytes) -> None:
    """Whole or not at all, also when the machine goes down."""
    draft = path.with_name(path.name + ".draft")
    with draft.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def read_scores(folder: Path) -> dict[str, Any]:
    """The columns of a fold's scores as numpy arrays."""
    table = pq.read_table(folder / SCORES)
    return {name: table[name].to_numpy() for name in table.column_names if name != "session"} | {
        "session": table["session"].cast(pa.int32()).to_numpy().astype(np.int64)
    }
