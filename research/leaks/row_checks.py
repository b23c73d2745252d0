"""Rows and how they are split: does training share a minute, an answer or a row with the test?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kitepilot.market.calendar import to_ist
from research.examples import Examples
from research.leaks.comparing import failed, passed, skipped
from research.leaks.report import Finding, Where

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
MINUTE_NS = 60_000_000_000
FEW_FEATURES = 3  # rows of fewer are alike by chance
OF_ONE = 1e-6  # how near to 0 and 1 the mean and deviation of a scaled column are


@dataclass(frozen=True, eq=False)
class Split:
    """One fold: positions of its training and its test rows in the examples."""

    train: Ints
    test: Ints


def purge(
    examples: Examples, folds: Sequence[Split], embargo_ns: int, names: dict[int, str] | None = None
) -> Iterator[Finding]:
    """No training label overlaps the test, from its first decision to its last label's end, and none is
    decided within the embargo after it."""
    for number, fold in enumerate(folds):
        if not len(fold.test) or not len(fold.train):
            yield skipped("purge", "folds", f"fold {number} has no training or no test rows")
            continue
        first = int(examples.decided_at[fold.test].min())
        last = int(examples.matured_at[fold.test].max())
        decided, matured = examples.decided_at[fold.train], examples.matured_at[fold.train]
        inside = (matured > first) & (decided <= last)
        early = (decided > last) & (decided <= last + embargo_ns)
        for bad, text in ((inside, "look into the test"), (early, "are decided within the embargo after it")):
            if bad.any():
                row = int(fold.train[bad.argmax()])
                what = (
                    f"fold {number}: {int(bad.sum())} of {len(fold.train)} training labels {text}; it lasts "
                    f"from {_ist(first)} to {_ist(last)}, this label to {_ist(int(examples.matured_at[row]))}"
                )
                yield failed("purge", "folds", what, _where(examples, row, names), f"examples row {row}")
                return
    yield passed("purge", "folds", f"{len(folds)} folds: no training label looks into its test")


def fold_order(
    examples: Examples, folds: Sequence[Split], names: dict[int, str] | None = None
) -> Iterator[Finding]:
    """Walk-forward: every training row is decided before the first test row."""
    for number, fold in enumerate(folds):
        if not len(fold.test) or not len(fold.train):
            continue
        first = int(examples.decided_at[fold.test].min())
        late = examples.decided_at[fold.train] >= first
        if late.any():
            row = int(fold.train[late.argmax()])
            what = (
                f"fold {number}: {int(late.sum())} of {len(fold.train)} training rows are decided when its "
                f"test has begun, {_ist(first)}, or later"
            )
            yield failed("fold_order", "folds", what, _where(examples, row, names), f"examples row {row}")
            return
    yield passed("fold_order", "folds", f"{len(folds)} folds train on the past alone")


def duplicate_rows(
    examples: Examples, folds: Sequence[Split], names: dict[int, str] | None = None
) -> Iterator[Finding]:
    """No test row is a training row: the same instrument and time, or the same values and outcome."""
    keys = np.stack([examples.decided_at, examples.token], axis=1)
    contents = np.column_stack([np.nan_to_num(examples.x, nan=np.inf), examples.outcome_bps])
    known = np.isfinite(examples.x).sum(axis=1) >= FEW_FEATURES
    for number, fold in enumerate(folds):
        train, test = fold.train, fold.test
        told = train[known[train]], test[known[test]]
        for table, (old, new), text in (
            (keys, (train, test), "are training rows too: the same instrument and minute"),
            (contents, told, "repeat a training row, value by value, outcome included"),
        ):
            both = np.isin(_as_keys(table[new]), _as_keys(table[old]))
            if both.any():
                row = int(new[both.argmax()])
                what = f"fold {number}: {int(both.sum())} of {len(test)} test rows {text}"
                at = _where(examples, row, names)
                yield failed("duplicate_rows", "folds", what, at, f"examples row {row}")
                return
    if len(examples.features) < FEW_FEATURES:
        yield passed("duplicate_rows", "folds", "no instrument and minute twice; too few features for more")
    else:
        yield passed("duplicate_rows", "folds", f"{len(folds)} folds: no row on both sides")


def normalisation(examples: Examples, folds: Sequence[Split]) -> Iterator[Finding]:
    """A column of mean 0 and deviation 1 over all rows was scaled over all rows, the tests' too.

    Within each minute the same is fair: then a row was compared with the others of its time.
    """
    whole = np.unique(np.concatenate([np.concatenate([fold.train, fold.test]) for fold in folds]))
    sessions = examples.session[whole]
    for number, name in enumerate(examples.features):
        column = examples.x[whole, number]
        groups = {"all rows": np.zeros(len(whole), dtype=np.int64), "each session": sessions}
        scaled = next((words for words, group in groups.items() if _standard(column, group)), "")
        if scaled and not _standard(column, examples.decided_at[whole]):
            what = f"mean 0 and deviation 1 over {scaled}, to the last digits: it was scaled over them"
            yield failed("normalisation", name, what, None, f"examples.x[:, {number}].mean(), .std()")
        else:
            yield passed("normalisation", name, "no mean and deviation of the whole")


def _standard(column: Floats, group: Ints) -> bool:
    """Every group of the column has mean 0 and deviation 1 (divided by n or by n - 1)."""
    known = np.isfinite(column)
    value, (_, member) = column[known], np.unique(group[known], return_inverse=True)
    if len(value) < 3 or np.ptp(value) == 0:
        return False
    count = np.bincount(member).astype(np.float64)
    mean = np.bincount(member, value) / count
    squares = np.bincount(member, (value - mean[member]) ** 2)
    real = (count >= 3) & (squares > 0)
    if not real.any():
        return False
    near_one = np.minimum(
        np.abs(np.sqrt(squares / count) - 1.0), np.abs(np.sqrt(squares / np.maximum(count - 1, 1)) - 1.0)
    )
    return bool(np.all(np.abs(mean[real]) < OF_ONE) and np.all(near_one[real] < OF_ONE))


def _as_keys(table: npt.NDArray[np.generic]) -> npt.NDArray[np.void]:
    """Rows -> one value each that compares like the whole row."""
    rows = np.ascontiguousarray(table)
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()


def _ist(at: int) -> str:
    return f"{to_ist(at):%Y-%m-%d %H:%M}"


def _where(examples: Examples, row: int, names: dict[int, str] | None) -> Where:
    token, at = int(examples.token[row]), to_ist(int(examples.decided_at[row]))
    return Where((names or {}).get(token, str(token)), f"{at:%Y-%m-%d}", f"{at:%H:%M}")
