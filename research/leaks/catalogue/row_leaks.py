"""Rows split so that training has seen the test, and tables scaled before they were split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from research.bars import MINUTE_NS, SessionBars
from research.examples import Examples
from research.labels import FixedHorizon
from research.labels.rows import examples_of_rows
from research.leaks.catalogue.entry import HORIZON_MIN, Entry
from research.leaks.gate import Trial
from research.leaks.past_figures import past_figures
from research.leaks.proving_ground import proving_sessions
from research.leaks.row_checks import Split

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
NAMES = ("ret_1", "ret_5", "ret_15", "volatility", "place", "volume", "minute")
EMBARGO_NS = 15 * MINUTE_NS
WARM = 16  # minutes after which every figure is known


def honest_rows(seed: int, sessions: int = 4) -> Examples:
    """Plain figures of the past with a label of five minutes; rows without NaN."""
    bars = proving_sessions(seed, sessions)
    rows = examples_of_rows(((each, _warm(each)) for each in bars), NAMES, FixedHorizon(HORIZON_MIN))
    return rows.take(np.flatnonzero(np.isfinite(rows.x).all(axis=1)))


def _warm(bars: SessionBars) -> Floats:
    values = past_figures(bars)
    values[:WARM] = np.nan
    return values


def by_session(rows: Examples, embargo_ns: int = EMBARGO_NS) -> tuple[Split, ...]:
    """Walk-forward: each session is tested by a model of those before it, purged."""
    days = np.unique(rows.session)
    return tuple(_purged(rows, rows.session < day, rows.session == day, embargo_ns) for day in days[1:])


def within_session(rows: Examples, *, gap_ns: int) -> tuple[Split, ...]:
    """The last session is cut in two: its first half trains, `gap_ns` before its second half."""
    mine = np.flatnonzero(rows.session == rows.session.max())
    middle = rows.decided_at[mine[len(mine) // 2]]
    train = np.flatnonzero(rows.decided_at < middle - gap_ns)
    return (Split(train, np.flatnonzero(rows.decided_at >= middle)),)


def _purged(rows: Examples, train: Flags, test: Flags, embargo_ns: int) -> Split:
    first, last = rows.decided_at[test].min(), rows.matured_at[test].max()
    clear = (rows.matured_at < first) | (rows.decided_at > last + embargo_ns)
    return Split(np.flatnonzero(train & clear), np.flatnonzero(test))


def _entry(
    name: str,
    says: str,
    split: Callable[[Examples, np.random.Generator], tuple[Examples, tuple[Split, ...]]],
    caught_by: str,
    forward: bool = True,
) -> Entry:
    def trial(seed: int) -> Trial:
        rows, folds = split(honest_rows(seed), np.random.default_rng(seed))
        return Trial(examples=rows, folds=folds, embargo_ns=EMBARGO_NS, forward=forward)

    return Entry(name, says, trial, frozenset({caught_by}))


def _shuffled(rows: Examples, rng: np.random.Generator) -> tuple[Examples, tuple[Split, ...]]:
    parts = np.array_split(rng.permutation(len(rows)), 4)
    whole = np.arange(len(rows))
    return rows, tuple(Split(np.setdiff1d(whole, part), np.sort(part)) for part in parts)


def _unpurged(rows: Examples, _: np.random.Generator) -> tuple[Examples, tuple[Split, ...]]:
    return rows, within_session(rows, gap_ns=0)


def _one_minute_short(rows: Examples, _: np.random.Generator) -> tuple[Examples, tuple[Split, ...]]:
    """The last training labels mature in the minute after the first test decision."""
    return rows, within_session(rows, gap_ns=(HORIZON_MIN - 2) * MINUTE_NS)


def _without_embargo(rows: Examples, _: np.random.Generator) -> tuple[Examples, tuple[Split, ...]]:
    """The middle of a session is the test; training goes on right after it."""
    mine = np.flatnonzero(rows.session == rows.session.max())
    first, last = rows.decided_at[mine[len(mine) // 3]], rows.decided_at[mine[2 * len(mine) // 3]]
    test = (rows.decided_at >= first) & (rows.decided_at <= last)
    return rows, (_purged(rows, ~test, test, 0),)


def _trained_on_the_future(rows: Examples, _: np.random.Generator) -> tuple[Examples, tuple[Split, ...]]:
    days = np.unique(rows.session)
    return rows, tuple(_purged(rows, rows.session != day, rows.session == day, EMBARGO_NS) for day in days)


def _doubled_before_the_split(rows: Examples, rng: np.random.Generator) -> tuple[Examples, tuple[Split, ...]]:
    """Rows of the rarer answer repeated, and moved in time so that the classes are even in each session."""
    days = np.unique(rows.session)
    late = np.flatnonzero((rows.session == days[-1]) & (rows.y == 1))
    shift = int(rows.decided_at.max() - rows.decided_at.min()) // len(days) * 2
    again = rng.choice(late, len(late) // 4, replace=False)
    copies = rows.take(again)
    moved = replace(
        copies,
        decided_at=copies.decided_at - shift,
        matured_at=copies.matured_at - shift,
        session=copies.session - 2,
    )
    both = _joined(rows, moved)
    split = _purged(both, both.session < days[-1], both.session == days[-1], EMBARGO_NS)
    return both, (split,)


def _the_same_rows_twice(rows: Examples, _: np.random.Generator) -> tuple[Examples, tuple[Split, ...]]:
    (fold, *others) = by_session(rows)
    return rows, (Split(np.r_[fold.train, fold.test[:50]], fold.test), *others)


def _joined(one: Examples, other: Examples) -> Examples:
    columns = {
        name: np.concatenate([getattr(one, name), getattr(other, name)])
        for name in ("x", "y", "outcome_bps", "decided_at", "matured_at", "token", "session", "weight")
    }
    return Examples(features=one.features, label=one.label, **columns)


def _scaled_over_all_rows(rows: Examples, _: np.random.Generator) -> tuple[Examples, tuple[Split, ...]]:
    return replace(rows, x=(rows.x - rows.x.mean(axis=0)) / rows.x.std(axis=0)), by_session(rows)


def _scaled_in_each_session(rows: Examples, _: np.random.Generator) -> tuple[Examples, tuple[Split, ...]]:
    x = rows.x.copy()
    for day in np.unique(rows.session):
        mine = rows.session == day
        x[mine] = (x[mine] - x[mine].mean(axis=0)) / x[mine].std(axis=0)
    return replace(rows, x=x), by_session(rows)


def _column(
    name: str, values: Callable[[Examples, np.random.Generator], Floats]
) -> Callable[[Examples, np.random.Generator], tuple[Examples, tuple[Split, ...]]]:
    """The honest table with one more column."""

    def split(rows: Examples, rng: np.random.Generator) -> tuple[Examples, tuple[Split, ...]]:
        x = np.column_stack([rows.x, values(rows, rng)])
        return replace(rows, features=(*rows.features, name), x=x), by_session(rows)

    return split


def _answer_with_noise(rows: Examples, rng: np.random.Generator) -> Floats:
    return rows.outcome_bps + rng.normal(0, 1.5 * rows.outcome_bps.std(), len(rows))


def _bent_answer(rows: Examples, rng: np.random.Generator) -> Floats:
    """Neither rises nor falls with the answer."""
    return np.asarray(np.cos(rows.outcome_bps / rows.outcome_bps.std() * 2) + rng.normal(0, 0.05, len(rows)))


def _monotone_answer(rows: Examples, _: np.random.Generator) -> Floats:
    return np.asarray(-np.tanh(rows.outcome_bps / 40) * 7 + 3)


ROW_LEAKS: tuple[Entry, ...] = (
    _entry("shuffled_folds", "rows dealt at random into folds", _shuffled, "purge", forward=False),
    _entry("no_purge", "training labels that mature in the test", _unpurged, "purge"),
    _entry("purged_a_minute_short", "purged by less than the label looks ahead", _one_minute_short, "purge"),
    _entry("no_embargo", "training goes on right after the test", _without_embargo, "purge", forward=False),
    _entry(
        "trained_on_the_future", "walk-forward that also walks back", _trained_on_the_future, "fold_order"
    ),
    _entry(
        "doubled_before_the_split", "oversampled, then split", _doubled_before_the_split, "duplicate_rows"
    ),
    _entry(
        "the_same_rows_twice", "test rows among the training rows", _the_same_rows_twice, "duplicate_rows"
    ),
    _entry(
        "scaled_over_all_rows", "a scaler fitted before the split", _scaled_over_all_rows, "normalisation"
    ),
    _entry(
        "scaled_in_each_session",
        "each session scaled by its own whole",
        _scaled_in_each_session,
        "normalisation",
    ),
    _entry(
        "answer_as_a_column",
        "the label itself under another name",
        _column("conviction", lambda rows, _: rows.y),
        "target_in_feature",
    ),
    _entry(
        "monotone_answer",
        "the outcome, squeezed and turned over",
        _column("squeezed", _monotone_answer),
        "target_in_feature",
    ),
    _entry(
        "answer_with_noise",
        "the outcome under noise of one and a half times its size",
        _column("noisy", _answer_with_noise),
        "target_in_feature",
    ),
    _entry(
        "bent_answer",
        "a figure of the outcome that no correlation sees",
        _column("bent", _bent_answer),
        "target_in_feature",
    ),
)
