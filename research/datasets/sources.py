"""Files and folders of Parquet, CSV and JSON lines -> their columns, and their rows piece by piece."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv, json

from research.datasets.manifest import DatasetError

PARQUET = (".parquet", ".pq")
TEXT = (".csv", ".csv.gz", ".tsv", ".txt")
LINES = (".jsonl", ".ndjson")
ROWS_AT_ONCE = 500_000
CSV_BLOCK = 16 << 20
SYMBOL_FOLDER = "symbol="


@dataclass(frozen=True)
class Source:
    """One file. `cut_lines` fills while a CSV is read: lines that have too many or too few cells; `notes`
    with what else its reading showed.
    """

    path: Path
    cut_lines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def parquet(self) -> bool:
        return self.path.name.lower().endswith(PARQUET)

    @property
    def json_lines(self) -> bool:
        return self.path.name.lower().endswith(LINES)

    @property
    def symbol(self) -> str:
        """What its rows are of, where no column says: the folder `symbol=...`, or the file's name."""
        for part in self.path.parts[-2::-1]:
            if part.startswith(SYMBOL_FOLDER):
                return unquote(part.removeprefix(SYMBOL_FOLDER))
        return self.path.name.split(".")[0]

    def columns(self) -> dict[str, pa.DataType]:
        """Raises `DatasetError` for a file that is not one."""
        try:
            if self.parquet:
                schema = pq.read_schema(self.path)
            elif self.json_lines:
                schema = next(iter(self._lines())).schema
            else:
                with self._text() as reader:
                    schema = reader.schema
        except (OSError, pa.ArrowException, UnicodeDecodeError, msgspec.MsgspecError, AttributeError) as err:
            raise DatasetError(f"{self.path}: cannot be read: {_first_line(err)}") from err
        return dict(zip(schema.names, schema.types, strict=True))

    def pieces(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Rows in the file's order, with these columns. Cells of a CSV are text. Raises `DatasetError`."""
        try:
            if self.parquet:
                file = pq.ParquetFile(self.path)
                yield from file.iter_batches(ROWS_AT_ONCE, columns=list(columns))
            elif self.json_lines:
                for batch in self._lines():
                    yield batch.select(list(columns))
            else:
                with self._text() as reader:
                    for batch in reader:
                        yield batch.select(list(columns))
        except (OSError, pa.ArrowException, UnicodeDecodeError) as err:
            raise DatasetError(f"{self.path}: cannot be read further: {_first_line(err)}") from err

    def sha256(self) -> str:
        """Of the file's bytes."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _lines(self) -> json.JSONStreamingReader:
        """Texts stay texts: guessed to be times, `...+05:30` would lose its zone."""
        with self.path.open("rb") as file:
            first = msgspec.json.decode(file.readline(1 << 16))
        texts = [(name, pa.string()) for name, value in first.items() if isinstance(value, str)]
        return json.open_json(
            self.path,
            read_options=json.ReadOptions(block_size=CSV_BLOCK, use_threads=False),
            parse_options=json.ParseOptions(explicit_schema=pa.schema(texts)),
        )

    def _text(self) -> csv.CSVStreamingReader:
        delimiter, names = _head(self.path)
        self.cut_lines.clear()  # a file is read more than once

        def cut(row: csv.InvalidRow) -> str:
            self.cut_lines.append(str(row.text)[:200])
            return "skip"

        return csv.open_csv(
            self.path,
            read_options=csv.ReadOptions(block_size=CSV_BLOCK, use_threads=False),
            parse_options=csv.ParseOptions(delimiter=delimiter, invalid_row_handler=cut),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True
            ),
        )


def sources_in(paths: Sequence[Path]) -> tuple[list[Source], list[Path]]:
    """(what is to be read, what was left out): files as given, and what is below folders.

    A file whose name begins with `_` or `.` is not data, as everywhere with Parquet.

    Raises:
        DatasetError: no such path, or nothing in it.
    """
    found: list[Path] = []
    left_out: list[Path] = []
    for path in paths:
        if path.is_file():
            found.append(path)
        elif path.is_dir():
            for file in sorted(path.rglob("*")):
                if file.is_file():
                    hidden = any(part[0] in "_." for part in file.relative_to(path).parts)
                    known = file.name.lower().endswith((*PARQUET, *TEXT, *LINES))
                    (left_out if hidden or not known else found).append(file)
        else:
            raise DatasetError(f"{path}: no such file or folder")
    if not found:
        raise DatasetError(f"{paths[0]}: no Parquet, CSV or JSONL file there")
    return [Source(path) for path in dict.fromkeys(found)], left_out


def _head(path: Path) -> tuple[str, list[str]]:
    """(delimiter, names of the columns), from the first line."""
    with pa.input_stream(path) as stream:
        line = stream.read(1 << 16).split(b"\n", 1)[0].decode("utf-8-sig").strip()
    delimiter = max(",;\t|", key=line.count)
    return delimiter, [name.strip().strip('"') for name in line.split(delimiter)]


def _first_line(err: Exception) -> str:
    return (str(err).splitlines() or [type(err).__name__])[0][:200]
