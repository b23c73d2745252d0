"""Pipelines that fit something outside the fold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from research.examples import Examples
from research.leaks.catalogue.entry import Entry
from research.leaks.catalogue.row_leaks import EMBARGO_NS, by_session, honest_rows
from research.leaks.gate import Trial
from research.leaks.pipeline_checks import Pipeline
from research.leaks.row_checks import Split

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
RIDGE = 1.0


def fitted(x: Floats, y: Floats) -> Floats:
    """Weights of a ridge regression."""
    return np.asarray(np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ (y - y.mean())))


def scaled_by(x: Floats, of: Floats) -> Floats:
    return np.asarray((x - of.mean(axis=0)) / np.maximum(of.std(axis=0), 1e-12))


def scaler_over_train_and_test(rows: Examples, train: Ints, test: Ints) -> Floats:
    both = rows.x[np.r_[train, test]]
    weights = fitted(scaled_by(rows.x[train], both), rows.y[train])
    return scaled_by(rows.x[test], both) @ weights


def features_chosen_on_all_rows(rows: Examples, train: Ints, test: Ints) -> Floats:
    x = scaled_by(rows.x, rows.x[train])
    best = np.argsort(-np.abs(x.T @ (rows.y - rows.y.mean())))[:3]
    return x[test][:, best] @ fitted(x[train][:, best], rows.y[train])


def target_encoding_over_all_rows(rows: Examples, train: Ints, test: Ints) -> Floats:
    mean = {token: rows.y[rows.token == token].mean() for token in np.unique(rows.token)}
    return np.array([mean[token] for token in rows.token[test]])


def scores_ranked_over_the_test(rows: Examples, train: Ints, test: Ints) -> Floats:
    x = scaled_by(rows.x, rows.x[train])
    scores = x[test] @ fitted(x[train], rows.y[train])
    return scores.argsort().argsort() / len(scores)


def learns_answers_at_once(rows: Examples, train: Ints, test: Ints) -> Floats:
    """An online model that is told the label of a row before it matures."""
    count, right, scores = len(train), float(rows.y[train].sum()), []
    for row in test:
        scores.append(right / count)
        count, right = count + 1, right + rows.y[row]
    return np.array(scores)


def stopped_on_the_test(rows: Examples, train: Ints, test: Ints) -> Floats:
    """The number of steps is the one that did best on the test."""
    x, y = scaled_by(rows.x, rows.x[train]), rows.y
    weights, best = np.zeros(x.shape[1]), (np.inf, np.zeros(len(test)))
    for _ in range(12):
        error = x[train] @ weights - (y[train] - y[train].mean())
        weights = weights - 0.1 * x[train].T @ error / len(train)
        scores = x[test] @ weights
        best = min(best, (float(np.mean((scores - y[test]) ** 2)), scores), key=lambda found: found[0])
    return best[1]


def trial_of(
    run: Pipeline, folds: Callable[[Examples], tuple[Split, ...]] = by_session
) -> Callable[[int], Trial]:
    def trial(seed: int) -> Trial:
        rows = honest_rows(seed)
        return Trial(examples=rows, folds=folds(rows), embargo_ns=EMBARGO_NS, run=run)

    return trial


def _entry(run: Pipeline, says: str) -> Entry:
    return Entry(run.__name__, says, trial_of(run), frozenset({"pipeline"}))


PIPELINE_LEAKS: tuple[Entry, ...] = (
    _entry(scaler_over_train_and_test, "the scaler is fitted on training and test rows"),
    _entry(features_chosen_on_all_rows, "features are chosen by their correlation over all rows"),
    _entry(target_encoding_over_all_rows, "an instrument is replaced by the mean of all its answers"),
    _entry(scores_ranked_over_the_test, "a score is its rank among all scores of the test"),
    _entry(learns_answers_at_once, "an online model is told an answer before it is known"),
    _entry(stopped_on_the_test, "training stops where the test is best"),
)
