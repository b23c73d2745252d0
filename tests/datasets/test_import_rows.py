"""Rows are bars or are refused with a reason; nothing is repaired, and good rows go on."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from bar_files import DAYS, Row, bar, generated_rows, imported, whole_day, write_parquet
from hypothesis import given, settings
from hypothesis import strategies as st

from research.datasets import sources, spool
from research.datasets.manifest import DatasetError, Manifest
from research.datasets.stored import open_bars

DAY = DAYS[0]


def reasons(home: Path, name: str = "d") -> Counter[str]:
    return Counter(pq.read_table(home / "datasets" / name / "refused.parquet")["reason"].to_pylist())


def checks(manifest: Manifest) -> dict[str, int]:
    return {check.check: check.count for check in manifest.checks}


def lines(manifest: Manifest, check: str) -> list[str]:
    return next(found.lines for found in manifest.checks if found.check == check)


WRONG = {
    "no time that can be read": lambda row: (row[0], None, *row[2:]),
    "no symbol": lambda row: ("", *row[1:]),
    "a value is missing or no number": lambda row: (*row[:4], float("nan"), *row[5:]),
    "a price is not above zero, or beyond what a packet can say": lambda row: (*row[:2], 0.0, *row[3:]),
    "volume is negative or not whole": lambda row: (*row[:6], -1),
    "a price is not whole paise": lambda row: (*row[:2], 100.005, 100.2, 99.0, 100.0, row[6]),
    "open, high, low and close contradict each other": lambda row: (
        *row[:2],
        100.0,
        99.0,
        98.0,
        98.5,
        row[6],
    ),
    "not on a whole minute": lambda row: (row[0], row[1] + timedelta(seconds=30), *row[2:]),
    "the exchange was closed that day": lambda row: (row[0], datetime(2021, 5, 9, 10, 0), *row[2:]),
    "outside the session's hours": lambda row: (row[0], datetime(2021, 5, 10, 15, 30), *row[2:]),
    "exact duplicate of an earlier row": lambda row: row,
}


@pytest.mark.parametrize("reason", WRONG)
def test_a_wrong_row_is_kept_apart_with_its_reason_and_the_others_go_on(tmp_path: Path, reason: str) -> None:
    rows = whole_day("A", DAY)
    wrong = WRONG[reason](rows[100])
    manifest = imported(tmp_path, write_parquet(tmp_path / "a.parquet", [*rows, wrong]))
    assert reasons(tmp_path) == {reason: 1}
    assert (manifest.rows, manifest.refused) == (375, 1)
    kept = pq.read_table(tmp_path / "datasets" / "d" / "refused.parquet").to_pylist()[0]
    assert (kept["row"], kept["file"]) == (376, f"{tmp_path / 'a.parquet'}")
    assert f"row {kept['row']} of a.parquet" in lines(manifest, reason)[0]


def test_of_conflicting_duplicates_none_is_taken(tmp_path: Path) -> None:
    rows = whole_day("A", DAY)
    other = (*rows[7][:6], rows[7][6] + 1)
    manifest = imported(tmp_path, write_parquet(tmp_path / "a.parquet", [*rows, rows[7], other]))
    assert list(reasons(tmp_path).values()) == [3]
    assert manifest.rows == 374
    assert checks(manifest)["gaps"] == 1


@settings(max_examples=15)
@given(st.permutations(range(12)), st.sets(st.integers(0, 11)), st.sets(st.integers(0, 11)))
def test_every_row_is_a_bar_or_is_refused_and_order_and_cuts_change_no_bar(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], twice: set[int], broken: set[int]
) -> None:
    home = tmp_path_factory.mktemp("home")
    clean = [bar("AB"[k % 2], f"2021-05-1{k % 3} 10:{k:02d}", 100 + k) for k in range(12)]
    rows: list[Row] = [*(clean[k] for k in order), *(clean[k] for k in sorted(twice))]
    rows += [(*clean[k][:5], float("nan"), clean[k][6]) for k in sorted(broken)]
    whole = imported(home, write_parquet(home / "one.parquet", rows), name="whole")
    cut = imported(
        home,
        write_parquet(home / "parts/1.parquet", rows[:5]),
        write_parquet(home / "parts/2.parquet", rows[5:]),
        name="cut",
    )
    assert whole.rows + whole.refused == len(rows)
    assert whole.sha256 == cut.sha256 == imported(home, write_parquet(home / "c.parquet", clean)).sha256
    assert reasons(home, "whole")["exact duplicate of an earlier row"] == len(twice)
    assert reasons(home, "whole")["a value is missing or no number"] == len(broken)


def test_a_gap_names_its_place_and_length(tmp_path: Path) -> None:
    rows = [
        row
        for row in whole_day("A", DAY)
        if not datetime(2021, 5, 10, 11) <= row[1] < datetime(2021, 5, 10, 11, 20)
    ]
    rows += whole_day("B", DAY)[:-5]
    manifest = imported(tmp_path, write_parquet(tmp_path / "a.parquet", rows))
    assert lines(manifest, "gaps") == [
        "A 2021-05-10: 20 of 375 minutes missing, the longest gap 20 from 11:00",
        "B 2021-05-10: 5 of 375 minutes missing, the longest gap 5 from 15:25",
    ]


def test_rows_out_of_order_are_counted_also_between_months(tmp_path: Path) -> None:
    later, earlier = whole_day("A", date(2021, 5, 10)), whole_day("A", date(2021, 4, 12))
    manifest = imported(tmp_path, write_parquet(tmp_path / "a.parquet", [*later, *earlier]))
    assert checks(manifest)["out of order"] == 1
    assert tuple(open_bars(tmp_path, "d").sessions) == (date(2021, 4, 12), date(2021, 5, 10))


def test_a_spike_and_prices_off_the_grid_are_said_and_kept(tmp_path: Path) -> None:
    rows = whole_day("A", DAY)
    at = rows[50]
    rows[50] = (*at[:3], 130.0, *at[4:])  # a high that no other bar knows
    rows[60] = (*rows[60][:2], 100.02, 100.05, 100.0, 100.01, 10)
    manifest = imported(tmp_path, write_parquet(tmp_path / "a.parquet", rows))
    assert lines(manifest, "outliers") == ["A 2021-05-10: 1 bars far from those around, the first at 10:05"]
    assert lines(manifest, "off-grid prices") == ["A 2021-05-10: 1 of 375 bars off the tick grid"]
    assert manifest.rows == 375


def test_missing_days_and_symbols_that_stay_away_are_named(tmp_path: Path) -> None:
    days = [date(2021, 5, day) for day in (10, 11, 14, 17)]  # the 13th was a holiday
    rows = [row for day in days for row in whole_day("A", day)]
    rows += [row for day in (days[0], days[3]) for row in whole_day("B", day)]
    manifest = imported(tmp_path, write_parquet(tmp_path / "a.parquet", rows))
    assert lines(manifest, "missing days") == [
        "2021-05-14: 1 sessions of the calendar are missing before it (2021-05-12)"
    ]
    assert "B 2021-05-17: absent in 2 sessions" in lines(manifest, "missing sessions of a symbol")[0]


def test_a_symbol_that_ends_where_another_begins_is_perhaps_renamed_and_can_be_joined(tmp_path: Path) -> None:
    rows = [*whole_day("OLD", DAYS[0], 100), *whole_day("NEW", DAYS[1], 101)]
    rows += [
        row for day, price in zip(DAYS, (500, 900, 500), strict=True) for row in whole_day("X", day, price)
    ]
    path = write_parquet(tmp_path / "a.parquet", rows)
    assert "--same OLD=NEW" in lines(imported(tmp_path, path), "perhaps renamed")[0]
    apart = open_bars(tmp_path, "d").read(DAYS[1])
    assert apart.previous_close_paise[apart.symbols.index("NEW")] == 0
    imported(tmp_path, path, same={"OLD": "NEW"})
    joined = open_bars(tmp_path, "d").read(DAYS[1])
    assert joined.previous_close_paise[joined.symbols.index("NEW")] == 10_010
    with pytest.raises(DatasetError, match="both trade on"):
        imported(tmp_path, path, same={"X": "NEW"})


def test_a_fall_further_than_a_circuit_without_a_known_split_is_said(tmp_path: Path) -> None:
    rows = [*whole_day("A", DAYS[0], 100), *whole_day("A", DAYS[1], 50)]
    manifest = imported(tmp_path, write_parquet(tmp_path / "a.parquet", rows))
    assert "A 2021-05-11: opens at 50.00 after 100.10" in lines(manifest, "unadjusted jumps")[0]


def test_when_nothing_is_usable_no_dataset_is_left_and_the_reasons_are_counted(tmp_path: Path) -> None:
    rows = [(*row[:6], -1) for row in whole_day("A", DAY)]
    with pytest.raises(DatasetError, match="375 x volume is negative"):
        imported(tmp_path, write_parquet(tmp_path / "a.parquet", rows))
    assert list((tmp_path / "datasets").iterdir()) == []


@pytest.mark.parametrize("most_open", [1, 2, 400])
def test_rows_of_many_weeks_in_any_order_become_sessions_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_open: int
) -> None:
    """By symbol, as vendors write them: each symbol begins the weeks anew."""
    days = (date(2021, 5, 10), date(2021, 6, 10), date(2021, 7, 12))
    path = write_parquet(tmp_path / "a.parquet", generated_rows(2, days))
    whole = imported(tmp_path, path, name="whole")
    monkeypatch.setattr(spool, "MOST_OPEN", most_open)
    monkeypatch.setattr(sources, "ROWS_AT_ONCE", 500)
    cut = imported(tmp_path, path, name="cut")
    assert cut.sha256 == whole.sha256
    assert [(entry.session, entry.rows) for entry in cut.sessions] == [(day, 750) for day in days]
    assert not (tmp_path / "datasets" / "cut" / ".spool").exists()


def test_prices_finer_than_a_paisa_are_taken_only_when_asked_for(tmp_path: Path) -> None:
    rows = [(*row[:2], *(price + 0.004 for price in row[2:6]), row[6]) for row in whole_day("A", DAY)]
    path = write_parquet(tmp_path / "a.parquet", rows)
    with pytest.raises(DatasetError, match="375 x a price is not whole paise"):
        imported(tmp_path, path)
    imported(tmp_path, path, rounding=True)
    bars = open_bars(tmp_path, "d").read(DAY)
    assert np.unique(bars.open).tolist() == [10_000, 10_005, 10_010]
