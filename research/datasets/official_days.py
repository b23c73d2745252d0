"""The exchange's daily rows beside a dataset's bars: were these prices traded, is all of the volume there?

The daily file (bhavcopy) is not adjusted and covers auctions and the post-close session, which bars of a
minute do not; bars built from snapshots lie inside its range and may miss the true high and low.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from research.datasets.findings import Finding
from research.datasets.manifest import DatasetError
from research.datasets.session_checks import SymbolDays

COLUMNS = ("symbol", "date", "high", "low", "close", "volume")
ROUNDING = 0.5  # paise
OTHER_PRICE = 0.10  # the last bar this far from the official close is of another basis, or another share
LEAST_VOLUME, MOST_VOLUME = 0.90, 1.001


class OfficialDays:
    """A Parquet or CSV with `COLUMNS`: one row per symbol and date, prices in rupees.

    Raises:
        DatasetError: not such a file.
    """

    def __init__(self, path: Path) -> None:
        try:
            table = pq.read_table(path) if path.suffix == ".parquet" else csv.read_csv(path)
            table = table.select(list(COLUMNS)).cast(
                pa.schema(
                    [
                        ("symbol", pa.string()),
                        ("date", pa.date32()),
                        *((name, pa.float64()) for name in COLUMNS[2:]),
                    ]
                )
            )
        except (OSError, pa.ArrowException, KeyError) as err:
            why = str(err).splitlines()[0][:150]
            raise DatasetError(f"{path}: not daily rows with {', '.join(COLUMNS)}: {why}") from err
        self._table = table.sort_by([("date", "ascending"), ("symbol", "ascending")])
        self._dates = self._table["date"].cast(pa.int32()).to_numpy()

    def of(self, session: date) -> dict[str, tuple[float, float, float, float]]:
        """Symbol -> (high, low, close, volume) on that date; empty where the file has none of it."""
        day = session.toordinal() - date(1970, 1, 1).toordinal()
        begin, end = np.searchsorted(self._dates, [day, day + 1]).tolist()
        rows = self._table.slice(begin, end - begin)
        columns = [pc.multiply(rows[name], 100.0).to_pylist() for name in ("high", "low", "close")]
        return dict(
            zip(
                rows["symbol"].to_pylist(),
                zip(*columns, rows["volume"].to_pylist(), strict=True),
                strict=True,
            )
        )

    def compare(self, days: SymbolDays) -> Iterator[Finding]:
        """A line for each symbol's day that is not the exchange's."""
        rows = days.rows
        official = self.of(rows.session)
        ends = np.searchsorted(rows.code, np.arange(len(rows.symbols) + 1)).tolist()
        for k, symbol in enumerate(rows.symbols):
            if symbol not in official:
                continue
            high, low, close, volume = official[symbol]
            factor = close / int(days.last_price[k])
            if abs(math.log(factor)) > OTHER_PRICE:
                text = f"the official close is {factor:.3f} times the last bar's: another basis, or share"
                yield Finding("not the official prices", "warning", rows.session, symbol, 1, text)
                continue
            mine = slice(ends[k], ends[k + 1])
            outside = (rows.values["high"][mine] > high + ROUNDING) | (
                rows.values["low"][mine] < low - ROUNDING
            )
            if outside.any():
                count = int(outside.sum())
                text = f"{count} bars outside the official day's {low / 100:,.2f} to {high / 100:,.2f}"
                yield Finding("outside the official range", "warning", rows.session, symbol, count, text)
            share = int(rows.values["volume"][mine].sum()) / max(volume, 1.0)
            if not LEAST_VOLUME <= share <= MOST_VOLUME and days.missing[k] == 0:
                text = f"the bars hold {share:.1%} of the official volume, and no minute is missing"
                yield Finding("not the official volume", "warning", rows.session, symbol, 1, text)
