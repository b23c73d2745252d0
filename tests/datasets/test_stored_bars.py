"""What was imported is read back session by session, and nothing else is."""

from __future__ import annotations

import shutil
import tracemalloc
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from bar_files import DAYS, generated_rows, imported, whole_day, write_parquet

from kitepilot.market.calendar import ist_ns
from research.bars import MINUTE_NS
from research.datasets.manifest import DatasetError
from research.datasets.stored import StoredBars, open_bars
from research.generated_bars import GeneratedBars, weekdays


def test_bars_come_back_as_they_went_in(tmp_path: Path) -> None:
    source = GeneratedBars(4, DAYS, seed=5, missing=0.2)
    imported(tmp_path, write_parquet(tmp_path / "a.parquet", generated_rows(4, seed=5, missing=0.2)))
    stored = open_bars(tmp_path, "d")
    assert tuple(stored.sessions) == DAYS
    for day in DAYS:
        ours, theirs = stored.read(day), source.read(day)
        assert ours.symbols == theirs.symbols
        for name in ("close_at", "open", "high", "low", "close", "volume", "present", "tick_size_paise"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)


def test_bars_are_labelled_by_their_end_and_the_previous_close_is_that_of_the_session_before(
    tmp_path: Path,
) -> None:
    first, second, gap = date(2021, 5, 10), date(2021, 5, 11), date(2021, 5, 14)  # the 12th is missing
    rows = [*whole_day("A", first, 100), *whole_day("A", second, 103), *whole_day("A", gap, 104)]
    imported(tmp_path, write_parquet(tmp_path / "a.parquet", rows))
    stored = open_bars(tmp_path, "d")
    bars = {day: stored.read(day) for day in (gap, second, first)}  # in any order
    assert int(bars[first].close_at[0]) == ist_ns(first, "09:16")
    assert bars[first].previous_close_paise.tolist() == [0]
    assert bars[second].previous_close_paise.tolist() == [10_010]
    assert bars[gap].previous_close_paise.tolist() == [0]
    assert np.all(np.diff(bars[first].close_at) == MINUTE_NS)


def test_chosen_symbols_and_days_alone_are_read(tmp_path: Path) -> None:
    imported(tmp_path, write_parquet(tmp_path / "a.parquet", generated_rows(5)))
    chosen = StoredBars(tmp_path / "datasets" / "d", ["SYN003", "SYN001"], DAYS[1], DAYS[1])
    whole = StoredBars(tmp_path / "datasets" / "d").read(DAYS[1])
    assert tuple(chosen.sessions) == DAYS[1:2]
    bars = chosen.read(DAYS[1])
    assert bars.symbols == ("SYN001", "SYN003")
    np.testing.assert_array_equal(bars.close, whole.close[:, [1, 3]])
    np.testing.assert_array_equal(bars.previous_close_paise, whole.previous_close_paise[[1, 3]])
    with pytest.raises(LookupError):
        chosen.read(DAYS[0])


def test_reading_one_session_needs_that_file_and_the_one_before(tmp_path: Path) -> None:
    imported(tmp_path, write_parquet(tmp_path / "a.parquet", generated_rows()))
    shutil.rmtree(tmp_path / "datasets" / "d" / f"session={DAYS[0]}")
    stored = open_bars(tmp_path, "d")
    assert stored.read(DAYS[2]).bars == 3 * 375
    with pytest.raises(DatasetError, match=f"session={DAYS[0]}"):
        stored.read(DAYS[0])


def test_a_dataset_or_symbol_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    imported(tmp_path, write_parquet(tmp_path / "a.parquet", generated_rows()), name="mine")
    with pytest.raises(DatasetError, match="there are: mine"):
        open_bars(tmp_path, "yours")
    with pytest.raises(DatasetError, match="SYN00"):
        open_bars(tmp_path, "mine", symbols=["SYN01"])
    with pytest.raises(DatasetError, match="it holds 2021-05-10 to 2021-05-12"):
        open_bars(tmp_path, "mine", first=date(2022, 1, 1))


def test_reading_many_sessions_takes_no_more_memory_than_reading_a_few(tmp_path: Path) -> None:
    days = weekdays(date(2021, 6, 1), 16)
    imported(tmp_path, write_parquet(tmp_path / "a.parquet", generated_rows(20, days)))
    open_bars(tmp_path, "d").read(days[0])  # what is loaded once

    def peak(count: int) -> int:
        tracemalloc.start()
        stored = open_bars(tmp_path, "d", last=days[count - 1])
        for day in stored.sessions:
            assert stored.read(day).bars == 20 * 375
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(16) < 1.2 * peak(3)
