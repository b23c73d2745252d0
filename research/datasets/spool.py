"""Rows as they come -> rows month by month, on disk meanwhile: memory holds one piece, then one month."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from research.datasets.grid import day_numbers
from research.datasets.row_checks import VALUES, RawRows
from research.datasets.times import UNREADABLE

SCHEMA = pa.schema(
    [
        *((name, pa.int64()) for name in ("file", "row", "code", "begins_at")),
        *((name, pa.float64()) for name in VALUES),
        ("late", pa.bool_()),
    ]
)
UNDATED = "0000-00"  # rows without a time that can be read
MOST_MONTHS = 600  # open files; more months than fifty years are no market's


class Spool:
    """A folder with one file per month. `add` while reading, then `close`, then `months`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[str, pa.RecordBatchStreamWriter] = {}
        folder.mkdir(parents=True)

    def add(self, rows: RawRows) -> None:
        undated = rows.begins_at == UNREADABLE
        days = np.where(undated, 0, day_numbers(np.where(undated, 0, rows.begins_at)))
        months = days.astype("datetime64[D]").astype("datetime64[M]")
        keys = np.where(undated, UNDATED, np.char.array(np.datetime_as_string(months)))
        for key in np.unique(keys).tolist():
            self._write(self._month(key), rows.take(keys == key))

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()

    def months(self) -> Iterator[RawRows]:
        """In order of time; rows without one first. Within a month in order of file and row."""
        for key in sorted(self._writers):
            with pa.memory_map(f"{self._folder / key}") as file:
                table = pa.ipc.open_stream(file).read_all()
                columns = {name: table[name].to_numpy() for name in SCHEMA.names}
                rows = RawRows(
                    columns["file"],
                    columns["row"],
                    columns["code"],
                    columns["begins_at"],
                    {name: columns[name] for name in VALUES},
                    columns["late"],
                )
            yield rows

    def __len__(self) -> int:
        return len(self._writers)

    def _month(self, key: str) -> str:
        """Dates no market ever had (1970, 2999) share one file beyond a bound."""
        return key if key in self._writers or len(self._writers) < MOST_MONTHS else UNDATED

    def _write(self, key: str, rows: RawRows) -> None:
        if key not in self._writers:
            self._writers[key] = pa.ipc.new_stream(f"{self._folder / key}", SCHEMA)
        columns = (rows.file, rows.row, rows.code, rows.begins_at, *(rows.values[name] for name in VALUES))
        arrays = [pa.array(column) for column in (*columns, rows.late)]
        self._writers[key].write_batch(pa.record_batch(arrays, schema=SCHEMA))
