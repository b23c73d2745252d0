"""One fold: earlier sessions fit, later ones of its training hold out, its test sessions only measure.

    train sessions | fit ............................ | held out          | test
                     tune: fit ........ | judge         calibrate, choose   scores, measures
                                                        the threshold

Every bar between two parts is a purge: a row whose label reaches into the later part, or within the embargo
of it, is in neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from kitepilot.models.calibration import calibrated
from kitepilot.models.card import Calibration
from kitepilot.models.port import ModelCard, ModelError
from kitepilot.models.scoring import CardScorer
from research.trainers.port import Fitted, Material, Parameters, Trainer
from research.walkforward.decision import choose_threshold, fit_calibration
from research.walkforward.folds import Fold, clear_of, held_out
from research.walkforward.measures import Floats, Scored
from research.walkforward.rows import RowSet, RowStore
from research.walkforward.settings import Settings
from research.walkforward.tuning import tuned

MIN_ROWS = 1_000
MIN_JUDGED = 200


@dataclass(frozen=True, eq=False)
class FittedFold:
    """A fold's model and what it said. `raw`, `score` float64: before and after calibration, over the rows of
    `held` and `test`, NaN where the model gives none. `notes`: features that were left out, a line each."""

    features: tuple[str, ...]
    parameters: Parameters
    tried: list[dict[str, Any]]
    fitted: Fitted
    calibration: Calibration
    threshold: float | None
    fit_sessions: tuple[date, ...]
    held_sessions: tuple[date, ...]
    fit: RowSet
    held: RowSet
    test: RowSet
    purged: int
    held_raw: Floats
    test_raw: Floats
    notes: tuple[str, ...]

    @property
    def test_score(self) -> Floats:
        return calibrated(self.test_raw, self.calibration)

    @property
    def held_score(self) -> Floats:
        return calibrated(self.held_raw, self.calibration)


def fit_fold(
    store: RowStore, fold: Fold, trainer: Trainer, settings: Settings, told: Callable[[], None]
) -> FittedFold:
    """Fit, calibrate, choose, score. `told` is called `settings.trials` + 1 times.

    Raises:
        ModelError: too few rows, one kind of label, or no feature that varies.
    """
    seed = seed_of(settings.seed, fold.number)
    fit_sessions, held_sessions = held_out(fold.train)
    test = store.rows(fold.test)
    held, lost_held = apart(store.rows(held_sessions), test, settings.embargo_ns)
    fit, lost_fit = apart(store.rows(fit_sessions), held, settings.embargo_ns)
    fit, lost_test = apart(fit, test, settings.embargo_ns)
    fit = fit.thinned(settings.most_rows)
    _require(fit, "fit on")
    features, notes = (settings.features, ()) if trainer.fixed_features else usable(fit, settings.features)
    start = {**trainer.defaults, **settings.parameters}
    tried: list[dict[str, Any]] = []

    def score(artifact: bytes, rows: RowSet) -> Floats:
        return scores_of(trainer, artifact, bare_card(trainer, features, start), rows)

    if settings.trials:
        early, later = held_out(fit_sessions)
        judged = _of_sessions(fit, later)
        learned, _ = apart(_of_sessions(fit, early), judged, settings.embargo_ns)
        _require(learned, "tune on")
        if len(judged) < MIN_JUDGED:
            raise ModelError(f"{len(judged)} labelled rows to judge trials on; at least {MIN_JUDGED}")
        material = Material(learned, features)
        start, tried = tuned(
            trainer, material, judged, score, settings.parameters, settings.trials, seed, told
        )
    fitted = trainer.fit(trainer.prepare(Material(fit, features)), start, seed)
    held_raw = score(fitted.artifact, held)
    calibration, threshold = _decide(settings, held, held_raw)
    test_raw = score(fitted.artifact, test)
    told()
    return FittedFold(
        *(features, start, tried, fitted, calibration, threshold, fit_sessions, held_sessions),
        *(fit, held, test, lost_held + lost_fit + lost_test, held_raw, test_raw, notes),
    )


def seed_of(seed: int, fold: int) -> int:
    """A seed of its own for each fold, below 2**31."""
    return int(np.random.SeedSequence([seed, fold]).generate_state(1)[0]) >> 1


def apart(rows: RowSet, later: RowSet, embargo_ns: int) -> tuple[RowSet, int]:
    """The rows that know nothing of `later`, and how many do. Nothing later: all of them."""
    if not len(later) or not len(rows):
        return rows, 0
    first, last = int(later.ints("decided_at").min()), int(later.ints("matured_at").max())
    keep = clear_of(rows.ints("decided_at"), rows.ints("matured_at"), first, last, embargo_ns)
    return rows.where(keep), int((~keep).sum())


def usable(fit: RowSet, features: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The features that vary over these rows, and a line for each that does not."""
    width = len(fit.store.manifest.features)
    low, high = np.full(width, np.inf), np.full(width, -np.inf)
    for x in fit.chunks():
        known = ~np.isnan(x)
        low = np.minimum(low, np.where(known, x, np.inf).min(axis=0))
        high = np.maximum(high, np.where(known, x, -np.inf).max(axis=0))
    kept, notes = [], []
    for name in features:
        place = fit.store.manifest.features.index(name)
        if low[place] < high[place]:
            kept.append(name)
        elif low[place] == high[place]:
            notes.append(f"feature {name} is {low[place]:g} in every row it could learn from: left out")
        else:
            notes.append(f"feature {name} is NaN in every row it could learn from: left out")
    if not kept:
        raise ModelError("not one feature varies over the rows it could learn from")
    return tuple(kept), tuple(notes)


def scores_of(trainer: Trainer, artifact: bytes, card: ModelCard, rows: RowSet) -> Floats:
    """float64[r]: what the live scorer says of these rows, before calibration; NaN where it says nothing."""
    model = trainer.model.from_artifact(artifact, card)
    scorer = CardScorer(model, card, rows.store.manifest.features)
    parts = [scorer.score(x.astype(np.float64)) for x in rows.chunks()]
    return np.concatenate([np.zeros(0), *parts])


def bare_card(trainer: Trainer, features: tuple[str, ...], parameters: Parameters) -> ModelCard:
    """What scoring needs to know of a model that has no name yet."""
    return ModelCard(
        model_id=f"{trainer.kind}-unnamed",
        kind=trainer.kind,
        artifact_sha256="",
        spec_hash="",
        features=features,
        label="",
        horizon_s=0,
        cost_bps=0.0,
        train_dates=(),
        validation_dates=(),
        data="",
        seed=0,
        rows_train=0,
        rows_validation=0,
        parameters=parameters,
        metrics={},
        libraries={},
        nan=trainer.nan,
        precision="float32",
    )


def scored_rows(rows: RowSet, scores: Floats) -> Scored:
    """Rows and their scores for measuring; those without a score are left out."""
    days = [np.full(len(part.facts), part.session.toordinal()) for part in rows.parts]
    whole = Scored(
        *(scores, rows.floats("y"), rows.floats("outcome_bps"), rows.ints("decided_at")),
        *(rows.ints("matured_at"), rows.ints("token")),
        session=np.concatenate([np.zeros(0, dtype=np.int64), *days]),
    )
    return whole.take(np.isfinite(scores))


def _decide(settings: Settings, held: RowSet, raw: Floats) -> tuple[Calibration, float | None]:
    known = np.isfinite(raw)
    y, weight = held.floats("y")[known], held.floats("weight")[known]
    calibration = fit_calibration(settings.calibration, raw[known], y, weight)
    rows = scored_rows(held, calibrated(raw, calibration))
    return calibration, choose_threshold(rows) if len(rows.y) else None


def _of_sessions(rows: RowSet, sessions: Sequence[date]) -> RowSet:
    return RowSet(rows.store, tuple(part for part in rows.parts if part.session in sessions))


def _require(rows: RowSet, purpose: str) -> None:
    if len(rows) < MIN_ROWS:
        raise ModelError(f"{len(rows)} labelled rows to {purpose}; at least {MIN_ROWS} are needed")
    y = rows.floats("y")
    if y.min() == y.max():
        word = "true" if y.min() else "false"
        raise ModelError(f"all {len(rows)} labels to {purpose} are {word}: there is nothing to learn")
