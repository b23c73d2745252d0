"""The page of a dataset loads nothing, says what is odd and what the data cannot say, each time the same."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from bar_files import DAYS, imported, whole_day, write_parquet

from research.datasets.quality_charts import stretches
from research.datasets.quality_page import write_quality_page


def page_of(home: Path) -> str:
    return write_quality_page(home / "datasets" / "d", home / "page.html").read_text()


def test_the_page_says_what_is_odd_and_what_the_data_cannot_say(tmp_path: Path) -> None:
    rows = [row for day in (*DAYS, date(2021, 8, 2)) for row in whole_day("M&M", day)]
    rows = [row for row in rows if row[1].hour != 11] + whole_day("B", DAYS[0])[:100]
    path = write_parquet(tmp_path / "a.parquet", [*rows, (*rows[0][:6], -1)])
    imported(tmp_path, path)
    page = page_of(tmp_path)
    assert (
        "4 sessions in 2 windows (2021-05-10 to 2021-05-12, 2021-08-02 to 2021-08-02) do not show an edge"
        in page
    )
    assert "M&amp;M 2021-05-10: 60 of 375 minutes missing, the longest gap 60 from 11:00" in page
    assert "volume is negative or not whole: 1" in page
    assert "Nobody stated whether its prices are raw" in page
    assert page.count("<svg") == 4
    assert page == page_of(tmp_path)
    loads = re.findall(r'(?:src|href)="(?!#|data:)([^"]*)"', page)
    assert loads == []


def test_one_session_of_one_index_has_a_page_too(tmp_path: Path) -> None:
    imported(tmp_path, write_parquet(tmp_path / "a.parquet", whole_day("NIFTY 50", DAYS[0])))
    assert "All of it are indices" in page_of(tmp_path)


def test_sessions_over_a_long_weekend_are_one_window() -> None:
    days = [date(2021, 5, 7), date(2021, 5, 10), date(2021, 5, 24), date(2021, 6, 9)]
    assert stretches(days) == [(days[0], days[2]), (days[3], days[3])]
