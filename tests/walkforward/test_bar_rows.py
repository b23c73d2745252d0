"""Bars into labelled rows on disk: what was computed is what lies there, and it is made once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from research.bars import BarSource, SessionBars
from research.data_hash import data_hash
from research.generated_bars import GeneratedBars, weekdays
from research.labels import FixedHorizon, FlatCost, TripleBarrier
from research.labels.rows import examples_of_rows
from research.labels.words import LabelWordsError, label_of
from research.walkforward.bar_rows import rows_of
from research.walkforward.rows import RowStore

NAMES = ("ret", "level", "nothing")
SOURCE = GeneratedBars(6, weekdays(date(2024, 1, 1), 3), 5, minutes=60, missing=0.1)


def features_of(source: BarSource) -> Iterator[tuple[SessionBars, np.ndarray]]:
    for day in source.sessions:
        bars = source.read(day)
        level = np.where(bars.present, bars.close, np.nan).astype(np.float64)
        ret = np.vstack([np.full((1, level.shape[1]), np.nan), np.diff(level, axis=0)])
        yield bars, np.stack([ret, level, np.full_like(level, np.nan)], axis=2)


def test_the_rows_on_disk_are_the_labelled_minutes_with_their_features(tmp_path: Path) -> None:
    label = FixedHorizon(5, FlatCost(11.0))
    told: list[tuple[int, int]] = []
    folder = rows_of(tmp_path, SOURCE, label, NAMES[:2], NAMES, features_of, lambda *at: told.append(at))
    assert told == [(1, 3), (2, 3), (3, 3)]
    store = RowStore.at(folder)
    assert store is not None
    assert store.sessions == tuple(SOURCE.sessions)
    for bars, x in features_of(SOURCE):
        expected = examples_of_rows([(bars, x[:, :, :2])], NAMES[:2], label)
        np.testing.assert_array_equal(store.x(bars.session), expected.x.astype(np.float32))
        facts = store.facts(bars.session)
        for name in ("decided_at", "matured_at", "token", "outcome_bps", "weight", "y"):
            np.testing.assert_array_equal(facts[name], getattr(expected, name))


def test_rows_are_made_once_for_the_same_data_label_and_features(tmp_path: Path) -> None:
    def never(source: BarSource) -> Iterator[tuple[SessionBars, np.ndarray]]:
        raise AssertionError("made again")
        yield

    label, told = FixedHorizon(5), lambda *_: None
    first = rows_of(tmp_path, SOURCE, label, NAMES, NAMES, features_of, told)
    store = RowStore.at(first)
    assert store is not None
    assert store.manifest.known == NAMES[:2]
    assert rows_of(tmp_path, SOURCE, label, NAMES, NAMES, never, told) == first
    others = [
        rows_of(tmp_path, SOURCE, FixedHorizon(6), NAMES, NAMES, features_of, told),
        rows_of(tmp_path, SOURCE, label, NAMES[:2], NAMES, features_of, told),
        rows_of(tmp_path, GeneratedBars(6, SOURCE.sessions, 6), label, NAMES, NAMES, features_of, told),
    ]
    assert len({first, *others}) == 4


def test_data_is_named_by_what_it_holds() -> None:
    assert data_hash(SOURCE) == data_hash(GeneratedBars(6, SOURCE.sessions, 5))
    assert data_hash(SOURCE) != data_hash(GeneratedBars(6, SOURCE.sessions, 6))


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("horizon:5", FixedHorizon(5, FlatCost(1))),
        ("short-horizon:15", FixedHorizon(15, FlatCost(1), long=False)),
        ("barrier:30/20/30", TripleBarrier(30, 20, 30, cost=FlatCost(1))),
        ("short-barrier:2.5/1/30/60", TripleBarrier(2.5, 1, 30, 60, cost=FlatCost(1), long=False)),
    ],
)
def test_a_label_is_written_in_a_few_words(text: str, label: object) -> None:
    assert label_of(text, FlatCost(1)) == label


@pytest.mark.parametrize("text", ["", "horizon", "horizon:0", "barrier:30/20", "barrier:0/20/30", "up:5"])
def test_a_label_that_is_none_is_told_with_what_can_be_written(text: str) -> None:
    with pytest.raises(LabelWordsError, match=r"horizon:MINUTES|at least 1 minute|at least 1"):
        label_of(text, FlatCost(1))
