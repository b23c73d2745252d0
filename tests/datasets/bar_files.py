"""Synthetic files of bars in the shapes that owners have."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kitepilot.market.calendar import to_ist
from research.bars import MINUTE_NS
from research.datasets.importing import Plan, import_bars
from research.datasets.manifest import Manifest
from research.datasets.reading import Told, planned
from research.datasets.sources import sources_in
from research.generated_bars import GeneratedBars

DAYS = (date(2021, 5, 10), date(2021, 5, 11), date(2021, 5, 12))
Row = tuple[str, datetime, float, float, float, float, int]
COLUMNS = ("symbol", "ts_ist_minute", "open", "high", "low", "close", "volume")


def generated_rows(
    symbols: int = 3, days: Sequence[date] = DAYS, seed: int = 1, missing: float = 0.0
) -> list[Row]:
    """Bars as rows of naive IST start labels and rupees, by symbol, then time."""
    source = GeneratedBars(symbols, days, seed=seed, missing=missing)
    rows: list[Row] = []
    for day in days:
        bars = source.read(day)
        for column, symbol in enumerate(bars.symbols):
            for line in np.flatnonzero(bars.present[:, column]).tolist():
                at = to_ist(int(bars.close_at[line]) - MINUTE_NS).replace(tzinfo=None)
                prices = (
                    float(table[line, column]) / 100 for table in (bars.open, bars.high, bars.low, bars.close)
                )
                rows.append((symbol, at, *prices, int(bars.volume[line, column])))  # type: ignore[arg-type]
    return sorted(rows)


def bar(symbol: str, at: str, price: float = 100.0, volume: int = 10) -> Row:
    """One flat bar; `at` is `2021-05-10 09:15`."""
    return (symbol, datetime.fromisoformat(at), price, price, price, price, volume)


def whole_day(symbol: str, day: date, price: float = 100.0) -> list[Row]:
    """A bar in each of the 375 minutes, wavering by a tick."""
    begin = datetime(day.year, day.month, day.day, 9, 15)
    steps = (price + 0.05 * (minute % 3) for minute in range(375))
    return [
        (symbol, begin + timedelta(minutes=minute), value, value, value, value, 10 + minute)
        for minute, value in enumerate(steps)
    ]


def write_parquet(path: Path, rows: Sequence[Row], names: Sequence[str] = COLUMNS) -> Path:
    """As rows are, with naive times in milliseconds."""
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    arrays = [pa.array(column) for column in columns]
    if rows:
        arrays[1] = arrays[1].cast(pa.timestamp("ms"))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(arrays, names=list(names)), path)
    return path


def imported(
    home: Path, *paths: Path, name: str = "d", told: Told | None = None, **wishes: object
) -> Manifest:
    """The files as the dataset `name` of `home`."""
    sources, _ = sources_in(paths)
    files = planned(sources, told or Told())
    return import_bars(Plan(name, files, **wishes), home / "datasets" / name, replace=True)  # type: ignore[arg-type]
