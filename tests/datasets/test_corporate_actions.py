"""Prices of one date on the basis of another, by what was known on a third; stored rows never change."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from bar_files import DAYS, Row, imported, whole_day, write_parquet
from hypothesis import given, settings
from hypothesis import strategies as st

from research.bars import SessionBars
from research.datasets.actions import Action, Actions, actions_of, read_actions, write_actions
from research.datasets.manifest import DatasetError, restated
from research.datasets.stored import StoredBars

FIRST = date(2021, 5, 1)
dates = st.dates(FIRST, FIRST + timedelta(days=60))
factors = st.fractions(Fraction(1, 10), 20, max_denominator=12)
actions = st.lists(
    st.builds(Action, st.just("A"), dates, factors, factors, dates),
    max_size=5,
    unique_by=lambda row: row.ex_date,
).map(lambda rows: Actions(tuple(sorted(rows))))


@given(actions, dates, dates, dates)
def test_a_basis_is_reached_by_any_way_and_left_again(known: Actions, a: date, b: date, on: date) -> None:
    there, back = known.factors("A", a, b, on), known.factors("A", b, a, on)
    assert there.price * back.price == there.volume * back.volume == 1
    middle = FIRST + timedelta(days=30)
    first, second = known.factors("A", a, middle, on), known.factors("A", middle, b, on)
    assert (first.price * second.price, first.volume * second.volume) == there


@given(actions, actions, dates, dates, dates)
def test_an_action_announced_later_never_changes_what_was_known(
    known: Actions, later: Actions, a: date, b: date, on: date
) -> None:
    announced = [row._replace(known_since=max(row.known_since, on + timedelta(days=1))) for row in later.rows]
    more = Actions((*known.rows, *announced))
    assert more.factors("A", a, b, on) == known.factors("A", a, b, on)


def split(factor: str = "2", known_since: date = DAYS[0], ex_date: date = DAYS[1]) -> Actions:
    return Actions((Action("A", ex_date, Fraction(factor), Fraction(factor), known_since),))


def raw_rows(factor: Fraction) -> list[Row]:
    """A share that trades 30 paise higher each day on one basis, and splits on the second."""
    rows = []
    for number, day in enumerate(DAYS):
        scale = factor if day < DAYS[1] else Fraction(1)
        for symbol, at, *prices, volume in whole_day("A", day, 400 + 0.3 * number):
            on_day = (float(round(round(price * 100) * scale)) / 100 for price in prices)
            rows.append((symbol, at, *on_day, max(round(volume * 60 / scale), 1)))
    return rows  # type: ignore[return-value]


def stored(home: Path, known: Actions, on: date | None = None) -> list[SessionBars]:
    source = StoredBars(home / "datasets" / "d", as_known_on=on, actions=known)
    return [source.read(day) for day in source.sessions]


@settings(max_examples=10)
@given(st.sampled_from(["2", "5", "10", "3/2", "6/5", "1/4"]))
def test_adjusted_returns_cross_the_ex_date_and_the_traded_value_stays(
    tmp_path_factory: pytest.TempPathFactory, factor: str
) -> None:
    home = tmp_path_factory.mktemp("home")
    imported(home, write_parquet(home / "a.parquet", raw_rows(Fraction(factor))), basis="raw")
    raw, adjusted = stored(home, split(factor)), stored(home, split(factor), DAYS[2])
    for day, (before, after) in enumerate(pairwise(adjusted)):
        jump = int(after.open[0, 0]) - int(before.close[-1, 0])
        assert abs(jump - 30) <= 11, day  # the last bar wavers by ten paise, and a paisa is rounded away
    for one, other in zip(raw, adjusted, strict=True):
        np.testing.assert_array_equal(one.present, other.present)
        value = one.close.astype(float) * one.volume
        error = np.abs(other.close * other.volume - value) / value
        assert error.max() <= 0.5 / other.close.min() + 0.5 / other.volume.min() + 1e-9
        assert np.all(other.high >= np.maximum(other.open, other.close))
        assert np.all(other.low <= np.minimum(other.open, other.close))


def test_a_split_is_applied_from_its_ex_date_and_only_if_it_was_known(tmp_path: Path) -> None:
    imported(tmp_path, write_parquet(tmp_path / "a.parquet", raw_rows(Fraction(2))), basis="raw")
    plain = [int(bars.open[0, 0]) for bars in stored(tmp_path, Actions())]
    assert plain == [80_000, 40_030, 40_060]
    opens = {on: [int(b.open[0, 0]) for b in stored(tmp_path, split(), on)] for on in DAYS}
    assert opens[DAYS[0]] == [80_000, 80_060, 80_120], "before its ex-date nothing has split yet"
    assert opens[DAYS[1]] == opens[DAYS[2]] == [40_000, 40_030, 40_060]
    late = split(known_since=DAYS[2])
    assert [int(b.open[0, 0]) for b in stored(tmp_path, late, DAYS[1])] == plain


def test_the_previous_close_is_on_the_basis_of_its_session(tmp_path: Path) -> None:
    imported(tmp_path, write_parquet(tmp_path / "a.parquet", raw_rows(Fraction(2))), basis="raw")
    for on in (None, DAYS[2]):
        closes = [int(bars.previous_close_paise[0]) for bars in stored(tmp_path, split(), on)]
        assert closes == [0, 40_010, 40_040], on


def test_back_adjusted_data_is_taken_back_to_what_was_traded(tmp_path: Path) -> None:
    """Candles downloaded on the third day, read as they were on the first: the way to join raw ticks."""
    path = write_parquet(tmp_path / "a.parquet", raw_rows(Fraction(1)))
    imported(tmp_path, path, basis="adjusted", basis_as_of=DAYS[2])
    source = StoredBars(tmp_path / "datasets" / "d", as_known_on=DAYS[0], actions=split())
    assert int(source.read(DAYS[0]).open[0, 0]) == 80_000


def test_prices_whose_basis_nobody_stated_are_not_adjusted(tmp_path: Path) -> None:
    imported(tmp_path, write_parquet(tmp_path / "a.parquet", raw_rows(Fraction(2))))
    with pytest.raises(DatasetError, match="nobody said whether"):
        stored(tmp_path, split(), DAYS[2])
    before = StoredBars(tmp_path / "datasets" / "d").manifest.sha256
    assert restated(tmp_path / "datasets" / "d", "raw", None).sha256 == before
    assert stored(tmp_path, split(), DAYS[2])[0].open[0, 0] == 40_000


@pytest.mark.parametrize(("basis", "factor", "said"), [
    ("raw", 2, "are raw, as stated"), ("unknown", 2, "say so: --basis raw"),
    ("raw", 1, "are adjusted, not as stated"),
])  # fmt: skip
def test_a_split_in_the_window_tells_which_basis_the_prices_are_on(
    tmp_path: Path, basis: str, factor: int, said: str
) -> None:
    write_actions(tmp_path / "datasets", split())
    manifest = imported(
        tmp_path, write_parquet(tmp_path / "a.parquet", raw_rows(Fraction(factor))), basis=basis
    )
    lines = [line for check in manifest.checks if check.check.startswith("splits") for line in check.lines]
    assert [said in line for line in lines] == [True]
    assert not any(check.check == "unadjusted jumps" for check in manifest.checks)


def test_the_table_is_read_as_it_was_written_and_kinds_that_are_no_split_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(
        "symbol,ex_date,prev_close,price_factor,volume_factor,kind\n"
        "A,2021-05-11,100,2.0,2.0,split_or_bonus\nB,2021-05-12,9,3/2,,split_or_bonus\n"
        "C,2021-05-12,9,1.05,1.0,price_only_cash_dividend_or_demerger\n"
    )
    found = read_actions(tmp_path / "in.csv")
    assert [row[:5] for row in found.rows] == [
        ("A", date(2021, 5, 11), 2, 2, date(2021, 5, 11)),
        ("B", date(2021, 5, 12), Fraction(3, 2), Fraction(3, 2), date(2021, 5, 12)),
    ]
    assert (found.left_out, found.known_by_ex_date) == ({"price_only_cash_dividend_or_demerger": 1}, 2)
    write_actions(tmp_path, found)
    assert actions_of(tmp_path).rows == found.rows


@pytest.mark.parametrize(("row", "said"), [
    ("A,2021-13-01,2", "line 2, column ex_date: '2021-13-01' is not a date"),
    ("A,2021-05-01,two", "line 2, column price_factor: 'two' is not a number"),
    ("A,2021-05-01,0", "line 2, column price_factor: '0' is not a factor"),
    (",2021-05-01,2", "line 2, column symbol"),
    ("A,2021-05-01,2\nA,2021-05-01,3", "A has two actions on 2021-05-01"),
])  # fmt: skip
def test_a_table_that_is_wrong_is_refused_with_line_and_column(tmp_path: Path, row: str, said: str) -> None:
    (tmp_path / "in.csv").write_text(f"symbol,ex_date,factor\n{row}\n")
    with pytest.raises(DatasetError, match=said):
        read_actions(tmp_path / "in.csv")
