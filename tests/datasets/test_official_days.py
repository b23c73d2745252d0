"""Bars beside the exchange's daily rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from bar_files import DAYS, imported, whole_day, write_parquet

from research.datasets.manifest import DatasetError
from research.datasets.official_days import OfficialDays

HEADER = "symbol,date,prev_close,high,low,close,volume\n"
VOLUME = sum(10 + minute for minute in range(375))


@pytest.mark.parametrize(("row", "said"), [
    (f"A,2021-05-10,99,100.10,100.00,100.00,{VOLUME}", {}),
    (f"A,2021-05-10,99,100.05,100.00,100.00,{VOLUME}", {"outside the official range": 125}),
    (f"A,2021-05-10,99,200.2,200,200.0,{VOLUME}", {"not the official prices": 1}),
    (f"A,2021-05-10,99,100.10,100.00,100.00,{VOLUME * 2}", {"not the official volume": 1}),
    (f"A,2021-05-11,99,1,1,1,{VOLUME}", {}),
])  # fmt: skip
def test_what_the_exchange_did_not_say_of_the_day_is_told(
    tmp_path: Path, row: str, said: dict[str, int]
) -> None:
    (tmp_path / "daily.csv").write_text(f"{HEADER}{row}\n")
    path = write_parquet(tmp_path / "a.parquet", whole_day("A", DAYS[0]))
    manifest = imported(tmp_path, path, official=OfficialDays(tmp_path / "daily.csv"))
    assert {check.check: check.count for check in manifest.checks} == said


def test_a_file_that_is_no_daily_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "daily.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DatasetError, match=r"daily\.csv: not daily rows with symbol, date"):
        OfficialDays(tmp_path / "daily.csv")
