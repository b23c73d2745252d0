"""Source files -> how each is to be read, then its rows as `RawRows`, piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from research.datasets.columns import ColumnMap, guessed, is_ticks
from research.datasets.grid import clock_of
from research.datasets.manifest import DatasetError
from research.datasets.row_checks import VALUES, Floats, Ints, RawRows
from research.datasets.sources import Source
from research.datasets.times import UNREADABLE, Clock, Label, Reading, Zone, walls

SAMPLED = 3_000_000  # rows of a file that its reading is judged by
_NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"

Tell = Callable[[str, int, int], None]  # (what, done, of)


def silent(what: str, done: int, of: int) -> None:
    """Nobody watches."""


@dataclass(frozen=True)
class Told:
    """What the owner said; None or empty: find out."""

    columns: Mapping[str, str] = field(default_factory=dict)
    zone: Zone | None = None
    label: Label | None = None


@dataclass(frozen=True)
class PlannedFile:
    """A file and how it is to be read. `ticks`: it holds ticks, and its bars are made by the kernel."""

    source: Source
    columns: ColumnMap
    reading: Reading
    ticks: bool = False

    @property
    def words(self) -> str:
        return "ticks, through the kernel" if self.ticks else self.reading.words()


class Symbols:
    """Names -> codes, in order of first appearance; memory holds one entry per symbol."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.tokens: dict[str, int] = {}  # the broker's, where a file told them
        self._codes: dict[str, int] = {}

    def code(self, name: str | None) -> int:
        """-1 for a name that is none."""
        plain = (name or "").strip()
        if not plain:
            return -1
        if plain not in self._codes:
            self._codes[plain] = len(self.names)
            self.names.append(plain)
        return self._codes[plain]

    def codes(self, column: pa.Array) -> Ints:
        encoded = (
            column if pa.types.is_dictionary(column.type) else column.cast(pa.string()).dictionary_encode()
        )
        known = np.array([*map(self.code, encoded.dictionary.to_pylist()), -1], dtype=np.int64)
        missing = len(known) - 1
        found: Ints = known[encoded.indices.fill_null(missing).to_numpy(zero_copy_only=False)]
        return found


def planned(sources: Sequence[Source], told: Told, tell: Tell = silent) -> list[PlannedFile]:
    """How each file is to be read. Its times are read once for it.

    Raises:
        DatasetError: a file that cannot be read, columns that are not found, bars that are not of a minute.
    """
    found = []
    for number, source in enumerate(sources):
        tell(f"looking at {source.path.name}", number, len(sources))
        columns = source.columns()
        if is_ticks(columns) and not told.columns:
            found.append(PlannedFile(source, ColumnMap(), Reading(), ticks=True))
            continue
        of = guessed(columns, told.columns, f"{source.path}")
        reading = _reading(source, of, told)
        if reading.minutes != 1:
            what = f"{reading.minutes} minutes" if reading.minutes else "a day"
            raise DatasetError(
                f"{source.path}: its bars are of {what}; a dataset is made of bars of 1 minute"
            )
        found.append(PlannedFile(source, of, reading))
    return found


def rows_of(number: int, file: PlannedFile, symbols: Symbols) -> Iterator[RawRows]:
    """A file's rows in its order; `row` counts them from 1."""
    latest: dict[int, int] = {}
    begun = 1
    of = file.columns.of
    only = None if "symbol" in of else symbols.code(file.source.symbol)
    scale = 1.0 if file.columns.paise else 100.0
    for piece in file.source.pieces(file.columns.columns):
        rows = piece.num_rows
        begins = file.reading.begins(_walls(piece, of))
        tokens = _numbers(piece, of.get("token"), rows)
        code = np.full(rows, only, dtype=np.int64) if only is not None else symbols.codes(piece[of["symbol"]])
        _note_tokens(symbols, code, tokens)
        yield RawRows(
            file=np.full(rows, number, dtype=np.int64),
            row=np.arange(begun, begun + rows, dtype=np.int64),
            code=code,
            begins_at=begins,
            values={
                name: _numbers(piece, of.get(name), rows) * (1.0 if name == "volume" else scale)
                for name in VALUES
            },
            late=_late(code, begins, latest),
        )
        begun += rows


def _walls(piece: pa.RecordBatch, of: Mapping[str, str]) -> Ints:
    return walls(piece[of["time"]], piece[of["date"]] if "date" in of else None)


def _reading(source: Source, of: ColumnMap, told: Told) -> Reading:
    clock, seen = Clock(), 0
    wanted = [name for role in ("time", "date") if (name := of.of.get(role))]
    for piece in source.pieces(wanted):
        clock.add(_walls(piece, of.of))
        seen += piece.num_rows
        if seen >= SAMPLED:
            break
    return clock.reading(told.zone, told.label)


def _numbers(piece: pa.RecordBatch, name: str | None, rows: int) -> Floats:
    """float64[rows], NaN where there is no number; zeros for a column that there is none of."""
    if name is None:
        return np.zeros(rows)
    column = piece[name]
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        plain = pc.replace_substring(column, ",", "")
        is_number = pc.fill_null(pc.match_substring_regex(plain, _NUMBER), False)
        column = pc.utf8_trim_whitespace(pc.if_else(is_number, plain, None))
    found: Floats = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return found


def _note_tokens(symbols: Symbols, code: Ints, tokens: Floats) -> None:
    """The first token told for each symbol."""
    told = np.flatnonzero((code >= 0) & (tokens >= 1) & (tokens < 2**32))
    codes, first = np.unique(code[told], return_index=True)
    for one, row in zip(codes.tolist(), told[first].tolist(), strict=True):
        symbols.tokens.setdefault(symbols.names[one], int(tokens[row]))


def _late(code: Ints, begins: Ints, latest: dict[int, int]) -> npt.NDArray[np.bool_]:
    """Rows whose time is before that of their symbol's row before; `latest` goes on between pieces."""
    late = np.zeros(len(code), dtype=np.bool_)
    readable = np.flatnonzero((code >= 0) & (begins != UNREADABLE))
    order = readable[np.argsort(code[readable], kind="stable")]
    if not len(order):
        return late
    firsts = np.flatnonzero(np.diff(code[order], prepend=-1))
    before = np.roll(begins[order], 1)
    before[firsts] = [latest.get(int(one), int(UNREADABLE)) for one in code[order][firsts]]
    late[order] = begins[order] < before
    ends = np.append(firsts[1:], len(order)) - 1
    latest.update(zip(code[order][ends].tolist(), begins[order][ends].tolist(), strict=True))
    return late


def sample_line(path: Path, reading: Reading, first: int) -> str:
    """`first bar 09:15 IST`, for the table that the owner confirms."""
    return f"{path.name}: first bar {clock_of(first)} IST, {reading.words()}"
