"""A dataset -> one file of CSV, Parquet or JSON lines, session by session, as `import` reads it back.

Times are IST with their offset, prices rupees with two decimals (Parquet: whole paise), labels the start of
the minute. What is written is what is stored: no adjustment.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from research.datasets.manifest import DatasetError
from research.datasets.reading import Tell, silent
from research.datasets.session_files import COLUMNS, SCHEMA, path_of
from research.datasets.stored import StoredBars

FORMATS = ("csv", "parquet", "jsonl")
PRICES = tuple(COLUMNS)
_RUPEES = pa.decimal128(14, 2)
_PAISA = pa.scalar(Decimal("0.01"), pa.decimal128(3, 2))


class Sink(Protocol):
    """Takes a session's rows; a Parquet writer is one."""

    def write_table(self, table: pa.Table) -> None: ...

    def close(self) -> None: ...


def export(
    folder: Path,
    out: Path,
    form: str,
    symbols: Collection[str] | None = None,
    first: date | None = None,
    last: date | None = None,
    tell: Tell = silent,
) -> int:
    """Write the rows to `out`, whole or not at all; how many. Special sessions are in it.

    Raises:
        DatasetError: no such format, dataset, symbol or session.
    """
    if form not in FORMATS:
        raise DatasetError(f"--format {form!r}: one of {', '.join(FORMATS)}")
    stored = StoredBars(folder, symbols, first, last, specials=True)
    fresh = out.with_name(f"{out.name}.new")
    out.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    sink = _SINKS[form](fresh)
    try:
        for number, session in enumerate(stored.sessions):
            tell(f"writing {session}", number, len(stored.sessions))
            table = _session(folder, session, symbols)
            sink.write_table(table)
            written += table.num_rows
        sink.close()
        fresh.replace(out)
    finally:
        sink.close()
        fresh.unlink(missing_ok=True)
    return written


def _session(folder: Path, session: date, symbols: Collection[str] | None) -> pa.Table:
    table = pq.ParquetFile(path_of(folder, session)).read()
    if symbols is None:
        return table
    return table.filter(pc.is_in(table["tradingsymbol"].cast(pa.string()), pa.array(sorted(symbols))))


class _Text:
    """A session at a time into a file of text, by `write`."""

    def __init__(self, path: Path, write: Callable[[BinaryIO, pa.Table, bool], None]) -> None:
        self._file: BinaryIO = path.open("wb")
        self._write = write
        self._first = True

    def write_table(self, table: pa.Table) -> None:
        self._write(self._file, table, self._first)
        self._first = False

    def close(self) -> None:
        self._file.close()


def _readable(table: pa.Table) -> pa.Table:
    """Times as IST text, prices as exact rupees; tokens are left out, symbols name the rows."""
    at = table["begins_at"].cast(pa.timestamp("s", "UTC")).cast(pa.timestamp("s", "Asia/Kolkata"))
    text = pc.strftime(at, format="%Y-%m-%dT%H:%M:%S+05:30")
    columns: dict[str, Any] = {"tradingsymbol": table["tradingsymbol"].cast(pa.string()), "begins_at": text}
    for name in PRICES:
        paise = table[COLUMNS[name]].cast(pa.decimal128(19, 0))
        columns[name] = pc.multiply(paise, _PAISA).cast(_RUPEES)
    return pa.table(columns | {"volume": table["volume"]})


def _csv_rows(file: BinaryIO, table: pa.Table, first: bool) -> None:
    options = csv.WriteOptions(include_header=first, quoting_style="needed")
    csv.write_csv(_readable(table), file, options)


def _json_lines(file: BinaryIO, table: pa.Table, first: bool) -> None:
    encode = msgspec.json.Encoder(decimal_format="number").encode
    for row in _rows(_readable(table)):
        file.write(encode(row))
        file.write(b"\n")


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=10_000):
        yield from batch.to_pylist()


_SINKS: dict[str, Callable[[Path], Sink]] = {
    "csv": lambda path: _Text(path, _csv_rows),
    "jsonl": lambda path: _Text(path, _json_lines),
    "parquet": lambda path: pq.ParquetWriter(path, SCHEMA, compression="zstd"),
}
