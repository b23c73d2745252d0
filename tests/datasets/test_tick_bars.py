"""Recorded ticks become the bars that the market flow would have made; silence is not made into bars."""

from __future__ import annotations

import os
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bar_files import imported

from research.datasets.manifest import DatasetError
from research.datasets.stored import open_bars

DAY = date(2021, 5, 10)
Tick = tuple[str, datetime, float, int]
SHARED = Path(os.environ.get("KITEPILOT_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "data"


def at(clock: str) -> datetime:
    return datetime.combine(DAY, datetime.strptime(clock, "%H:%M:%S").time())


def recorded(path: Path, ticks: list[Tick]) -> Path:
    symbols, times, prices, volumes = zip(*ticks, strict=True)
    table = {
        "symbol": pa.array(symbols),
        "seq": pa.array(range(len(ticks)), pa.int32()),
        "ts_ist": pa.array(times, pa.timestamp("ms")),
        "ltp": pa.array(prices),
        "volume_cum": pa.array(volumes, pa.int64()),
        "part": pa.array([0] * len(ticks), pa.int8()),
    }
    pq.write_table(pa.table(table), path)
    return path


TICKS: list[Tick] = [
    ("A", at("09:15:01"), 100.0, 50),
    ("A", at("09:15:20"), 101.0, 60),
    ("A", at("09:15:40"), 99.5, 90),
    ("A", at("09:15:59"), 100.5, 95),
    ("A", at("09:18:30"), 100.0, 100),  # two minutes of silence before it
    ("B", at("09:16:10"), 500.0, 10),
]


def test_a_minute_of_ticks_is_its_bar_and_a_minute_without_one_is_none(tmp_path: Path) -> None:
    imported(tmp_path, recorded(tmp_path / f"{DAY}.parquet", TICKS))
    bars = open_bars(tmp_path, "d").read(DAY)
    assert bars.symbols == ("A", "B")
    assert np.argwhere(bars.present).tolist() == [[0, 0], [1, 1], [3, 0]]
    first = [int(getattr(bars, name)[0, 0]) for name in ("open", "high", "low", "close")]
    assert first == [10_000, 10_100, 9_950, 10_050]
    assert int(bars.volume[3, 0]) == 5


def test_rows_of_other_days_and_of_1970_make_no_bars_and_are_told(tmp_path: Path) -> None:
    stray = [("A", datetime(1970, 1, 1, 5, 30), 1.0, 1), ("A", at("10:00:00") + timedelta(days=1), 1.0, 1)]
    clean = [*TICKS, *(("A", at(f"10:{minute:02d}:00"), 100.0, 200 + minute) for minute in range(20))]
    manifest = imported(tmp_path, recorded(tmp_path / f"{DAY}.parquet", [*clean, *stray]))
    whole = imported(tmp_path, recorded(tmp_path / f"{DAY}.parquet", clean))
    assert manifest.sha256 == whole.sha256
    (note,) = [line for check in manifest.checks if "ticks" in check.check for line in check.lines]
    assert "1 stamped 1970, 1 other day" in note


def test_ticks_of_a_holiday_are_refused_in_words(tmp_path: Path) -> None:
    sunday = [(symbol, when - timedelta(days=1), price, volume) for symbol, when, price, volume in TICKS]
    with pytest.raises(DatasetError, match="no session that it is mainly of; its days are 2021-05-09"):
        imported(tmp_path, recorded(tmp_path / "x.parquet", sunday))


@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.exists(), reason=f"real market data is not at {SHARED} (set KITEPILOT_SHARED)")
def test_the_kernels_bars_of_a_recorded_day_are_those_that_others_made_of_it(tmp_path: Path) -> None:
    """Made elsewhere from the same ticks, they open at a minute's first tick, the kernel's before it."""
    day = date(2021, 5, 18)
    imported(tmp_path, SHARED / f"ticks/ltp_2021/{day}.parquet", name="ticks")
    imported(tmp_path, SHARED / "nse_1m/2021-05.parquet", name="bars")
    ours = open_bars(tmp_path, "ticks", first=day, last=day)
    theirs = open_bars(tmp_path, "bars", first=day, last=day).read(day)
    mine = open_bars(tmp_path, "ticks", symbols=theirs.symbols).read(day)
    assert ours.manifest.refused == 0
    both = mine.present & theirs.present
    assert np.array_equal(mine.present, theirs.present)
    for name in ("high", "low", "close", "volume"):
        same = getattr(mine, name)[both] == getattr(theirs, name)[both]
        assert same.mean() > 0.98, name
    other = (both & (mine.open != theirs.open))[1:]
    carried = mine.open[1:] == mine.close[:-1]
    assert carried[other].mean() > 0.95  # the rest: packets that came late
    # The volume of an outage: the kernel's first bar after it holds it, as live; the others left it out.
    unbroken = both[1:] & both[:-1]
    ratio = mine.volume[1:][unbroken].sum() / theirs.volume[1:][unbroken].sum()
    assert abs(ratio - 1) < 0.005
