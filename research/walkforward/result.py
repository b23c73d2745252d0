"""All folds into one result: what every out-of-sample row says together, and the card of the kept model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kitepilot.models.card import FeatureReference, FoldRecord, ModelCard, identity
from kitepilot.models.reference import references_of
from research.trainers.port import Trainer
from research.walkforward.fold_file import MODEL, SCORES, FoldResult, read_scores
from research.walkforward.folds import Fold
from research.walkforward.measures import (
    Scored,
    measured,
    net_interval,
    paid,
    reliability,
    rounded,
)
from research.walkforward.parallel import folder_of
from research.walkforward.rows import RowStore
from research.walkforward.settings import Origin, Settings, libraries_of

REFERENCE_ROWS = 200_000
ENOUGH_SESSIONS = 250


class TrainingResult(msgspec.Struct, frozen=True, kw_only=True):
    """`result.json`. Everything but `folds` is over the test rows of all folds that were made.

    `model` is the id of the final model, empty when it could not be made (`final.failed` says why); its files
    are `model/<kind>.<suffix>` and `model/<kind>.card.json`. `scores.parquet` has one row per test row.
    """

    run: str
    kind: str
    scheme: str
    embargo_s: int
    trials: int
    seed: int
    calibration_method: str
    label: str
    data: str
    data_hash: str
    features: tuple[str, ...]
    sessions: tuple[str, ...]
    rows: int
    model: str
    out_of_sample: dict[str, float]
    raw_out_of_sample: dict[str, float]
    reliability: tuple[dict[str, float], ...]
    raw_reliability: tuple[dict[str, float], ...]
    importance: dict[str, dict[str, float]]
    folds: tuple[FoldResult, ...]
    final: FoldResult
    warnings: tuple[str, ...]


def out_of_sample(run: Path, folds: Sequence[Fold], made: Sequence[FoldResult]) -> tuple[Path | None, Any]:
    """The folds' scores as one `scores.parquet`: (its path, columns by name), (None, None) without any."""
    good = [folder_of(run, fold) for fold, one in zip(folds, made, strict=True) if not one.failed]
    if not good:
        return None, None
    path = run / SCORES
    draft = path.with_suffix(".draft")
    pq.write_table(
        pa.concat_tables([pq.read_table(each / SCORES) for each in good]), draft, compression="zstd"
    )
    draft.replace(path)
    return path, read_scores(run)


def joined(
    name: str,
    settings: Settings,
    origin: Origin,
    store: RowStore,
    folds: Sequence[FoldResult],
    final: FoldResult,
    scores: Any,
    model_id: str,
) -> TrainingResult:
    """Everything the run came to. `scores` are columns of `scores.parquet`, None without one."""
    measures: dict[str, float] = {}
    raw: dict[str, float] = {}
    curves: list[list[dict[str, float]]] = [[], []]
    if scores is not None:
        rows = _scored(scores, "score")
        acts = scores["acted"].astype(bool)
        measures = measured(rows) | paid(rows, acts) | net_interval(rows, acts, settings.seed)
        raw = measured(_scored(scores, "raw"))
        curves = [reliability(rows.y, rows.score), reliability(rows.y, scores["raw"])]
    return TrainingResult(
        run=name,
        kind=settings.kind,
        scheme=settings.scheme,
        embargo_s=settings.embargo_ns // 1_000_000_000,
        trials=settings.trials,
        seed=settings.seed,
        calibration_method=settings.calibration,
        label=store.manifest.label,
        data=origin.data,
        data_hash=origin.data_hash,
        features=settings.features,
        sessions=store.manifest.sessions,
        rows=sum(store.manifest.rows),
        model=model_id,
        out_of_sample=measures,
        raw_out_of_sample=raw,
        reliability=tuple(curves[0]),
        raw_reliability=tuple(curves[1]),
        importance=_mean_importance([one for one in folds if not one.failed] or [final]),
        folds=tuple(folds),
        final=final,
        warnings=_warnings(store, folds, final, measures),
    )


def card_of(
    run: str,
    settings: Settings,
    origin: Origin,
    store: RowStore,
    trainer: Trainer,
    result: TrainingResult,
) -> ModelCard:
    """The final model's card; `result.final` was made."""
    final = result.final
    return ModelCard(
        model_id=identity(settings.kind, final.files[MODEL], final.calibration),
        kind=settings.kind,
        artifact_sha256=final.files[MODEL],
        spec_hash=run,
        features=final.features,
        label=store.manifest.label,
        horizon_s=origin.horizon_s,
        cost_bps=origin.cost_bps,
        train_dates=final.train_dates,
        validation_dates=final.held_dates,
        data=origin.data,
        seed=settings.seed,
        rows_train=final.rows_fit,
        rows_validation=final.rows_held,
        parameters=final.parameters,
        metrics={f"validation_{name}": value for name, value in final.held_metrics.items()},
        libraries=libraries_of(trainer),
        nan=trainer.nan,
        precision="float32",
        calibration=final.calibration,
        threshold=final.threshold,
        data_hash=origin.data_hash,
        features_hash=origin.features_hash,
        code_version=origin.code_version,
        training_run=run,
        scheme=settings.scheme,
        folds=tuple(_record(one) for one in result.folds),
        out_of_sample=result.out_of_sample,
        reference=reference_of(store, final),
        warnings=result.warnings,
    )


def reference_of(store: RowStore, final: FoldResult) -> dict[str, FeatureReference]:
    """How each feature was spread over the sessions it was fitted on, and how far their hours strayed."""
    days = [day for day in store.sessions if f"{day}" in final.train_dates]
    rows = store.rows(days).thinned(REFERENCE_ROWS)
    columns = np.array([store.manifest.features.index(name) for name in final.features])
    x = np.concatenate([np.zeros((0, len(columns)), np.float32), *rows.chunks(columns)]).astype(np.float64)
    each_day = (store.x(day)[:, columns].astype(np.float64) for day in days)
    return references_of(final.features, x, each_day)


def _record(one: FoldResult) -> FoldRecord:
    return FoldRecord(
        number=one.number,
        train_dates=(*one.train_dates, *one.held_dates),
        test_dates=one.test_dates,
        rows_train=one.rows_fit,
        rows_test=one.rows_test,
        rows_purged=one.rows_purged,
        metrics=one.metrics,
        failed=one.failed,
    )


def _scored(scores: dict[str, Any], column: str) -> Scored:
    names = ("outcome_bps", "decided_at", "matured_at", "token", "session")
    return Scored(scores[column], scores["y"].astype(np.float64), *(scores[name] for name in names))


def _mean_importance(folds: Sequence[FoldResult]) -> dict[str, dict[str, float]]:
    """Mean over the folds, most important first; a feature that a fold left out counts nothing there."""
    names = dict.fromkeys(name for one in folds for name in one.importance)
    found = {
        name: rounded(
            {
                part: float(np.mean([one.importance.get(name, {}).get(part, 0.0) for one in folds]))
                for part in ("gain", "permutation")
            }
        )
        for name in names
    }
    return dict(sorted(found.items(), key=lambda item: (-item[1].get("permutation", 0.0), item[0])))


def _warnings(
    store: RowStore, folds: Sequence[FoldResult], final: FoldResult, measures: dict[str, float]
) -> tuple[str, ...]:
    """What a reader must know before he believes the figures, a sentence each."""
    told = [f"fold {one.number}: {one.failed}" for one in folds if one.failed]
    if final.failed:
        told.append(f"no model is kept: {final.failed}")
    noted: dict[str, list[str]] = {}
    for one in (*folds, final):
        for note in one.notes:
            noted.setdefault(note, []).append(f"fold {one.number}" if one.number else "final model")
    every = len(folds) + 1
    told += [
        f"{'everywhere' if len(where) == every else ', '.join(where)}: {note}"
        for note, where in noted.items()
    ]
    count = len(store.sessions)
    if count < ENOUGH_SESSIONS:
        told.append(
            f"{count} sessions, {store.sessions[0]} to {store.sessions[-1]}, show no edge across regimes"
        )
    low, high = measures.get("net_bps_low"), measures.get("net_bps_high")
    if low is not None and high is not None and low <= 0.0 <= high:
        told.append(f"net bps of a trade lie between {low:.1f} and {high:.1f} (95 %): not told from nothing")
    late = measures.get("net_bps_late")
    if late is not None and late <= 0.0 < measures["net_bps"]:
        told.append(
            f"the same trades decided a minute later earn {late:.1f} bps each: the profit lies in the close "
            "they were decided on, a price that nobody gets"
        )
    if not measures.get("trades"):
        told.append("no fold traded out of sample: nothing it learned paid for its costs")
    return tuple(told)
