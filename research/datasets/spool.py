"""Rows as they come -> rows week by week, on disk meanwhile: memory holds one piece, then one week."""

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
UNDATED = -1  # rows without a time that can be read
DAYS = 7
MOST_OPEN = 400  # files; beyond them all are closed, and what comes goes into further parts


class Spool:
    """A folder with each week in one file or more. `add` while reading, then `close`, then `weeks`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[int, pa.RecordBatchStreamWriter] = {}
        self._parts: dict[int, list[Path]] = {}
        folder.mkdir(parents=True)

    def add(self, rows: RawRows) -> None:
        undated = rows.begins_at == UNREADABLE
        weeks = day_numbers(np.where(undated, 0, rows.begins_at)) // DAYS
        keys = np.where(undated, UNDATED, np.maximum(weeks, 0))
        for key in np.unique(keys).tolist():
            self._write(key, rows.take(keys == key))

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def weeks(self) -> Iterator[RawRows]:
        """In order of time; rows without one first. Within a week in order of file and row."""
        for key in sorted(self._parts):
            table = pa.concat_tables(pa.ipc.open_stream(part).read_all() for part in self._parts[key])
            columns = {name: table[name].to_numpy() for name in SCHEMA.names}
            yield RawRows(
                columns["file"],
                columns["row"],
                columns["code"],
                columns["begins_at"],
                {name: columns[name] for name in VALUES},
                columns["late"],
            )

    def __len__(self) -> int:
        return len(self._parts)

    def _write(self, key: int, rows: RawRows) -> None:
        if key not in self._writers:
            if len(self._writers) >= MOST_OPEN:
                self.close()
            parts = self._parts.setdefault(key, [])
            parts.append(self._folder / f"{key}.{len(parts)}")
            self._writers[key] = pa.ipc.new_stream(f"{parts[-1]}", SCHEMA)
        columns = (rows.file, rows.row, rows.code, rows.begins_at, *(rows.values[name] for name in VALUES))
        arrays = [pa.array(column) for column in (*columns, rows.late)]
        self._writers[key].write_batch(pa.record_batch(arrays, schema=SCHEMA))
