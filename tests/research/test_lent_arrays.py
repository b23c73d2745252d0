"""Memory of feature rows: used again, never under the eyes of somebody who still looks at it."""

from __future__ import annotations

from datetime import date

import numpy as np

from research.feature_rows import features_of
from research.generated_bars import GeneratedBars, weekdays
from research.lent_arrays import KEPT, LentArrays

SOURCE = GeneratedBars(4, weekdays(date(2026, 11, 16), 5), seed=8, missing=0.05)
LARGE = 1_000_000  # of which fresh memory is pages of zeros


def where(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_an_array_comes_back_only_when_its_last_view_is_gone() -> None:
    room, shape = LentArrays(), (5, LARGE)
    first = room.lend(shape)
    first[1, 0], view = 5.0, first.transpose()[:2, 1]
    del first
    assert room.lend(shape)[1, 0] == 0.0
    assert view[0] == 5.0
    room, shape = LentArrays(), (5, LARGE)
    room.lend(shape)[1, 0] = 5.0
    assert room.lend((LARGE, 5)).ravel()[LARGE] == 5.0


def test_a_larger_array_than_there_was_is_a_new_one() -> None:
    room = LentArrays()
    room.lend((3,))[:] = 1.0
    larger = room.lend((4, 5))
    larger[:] = 2.0
    assert larger.shape == (4, 5) and larger.flags.c_contiguous and larger.flags.writeable


def test_few_arrays_wait_whatever_was_lent() -> None:
    room = LentArrays()
    lent = [room.lend((5,)) for _ in range(3 * KEPT)]
    assert len({where(array) for array in lent}) == 3 * KEPT
    places = {where(array) for array in lent}
    lent.clear()
    again = [room.lend((5,)) for _ in range(3 * KEPT)]
    assert len({where(array) for array in again}) == 3 * KEPT
    assert sum(where(array) in places for array in again[:KEPT]) == KEPT


def test_rows_of_a_session_outlive_the_sessions_after_it() -> None:
    kept, copies = [], []
    for _, rows in features_of(SOURCE):
        kept.append(rows[:, :, -3:])
        copies.append(rows[:, :, -3:].copy())
    assert [one.tobytes() for one in kept] == [one.tobytes() for one in copies]
    assert len({one.tobytes() for one in kept}) == len(SOURCE.sessions)
