"""One session's rows <-> `session=2016-08-16/bars.parquet`: whole paise, ns UTC, by symbol and time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from research.datasets.manifest import DatasetError, SessionEntry

Ints = npt.NDArray[np.int64]

FILE = "bars.parquet"
VALUES = ("open", "high", "low", "close", "volume")
COLUMNS = {"open": "open_paise", "high": "high_paise", "low": "low_paise", "close": "close_paise"}
SCHEMA = pa.schema(
    [
        ("tradingsymbol", pa.dictionary(pa.int32(), pa.string())),
        ("token", pa.int64()),
        ("begins_at", pa.timestamp("ns", tz="UTC")),
        *((COLUMNS.get(name, name), pa.int64()) for name in VALUES),
    ]
)


@dataclass(frozen=True, eq=False)
class SessionRows:
    """Bars of one session, one row each, in order of symbol, then time.

    `symbols` are in alphabetical order, `code` int64[r] points into them; `begins_at` int64[r] ns UTC;
    `values` int64[r] each of open, high, low, close (paise) and volume (shares).
    """

    session: date
    symbols: tuple[str, ...]
    code: Ints
    begins_at: Ints
    values: dict[str, Ints]

    def __len__(self) -> int:
        return len(self.code)

    def sha256(self) -> str:
        """A hash of the rows: of symbols, times and values, and of nothing else."""
        digest = hashlib.sha256("\n".join((f"{self.session}", *self.symbols)).encode())
        for column in (self.code, self.begins_at, *(self.values[name] for name in VALUES)):
            digest.update(np.ascontiguousarray(column, dtype="<i8").tobytes())
        return digest.hexdigest()


def path_of(folder: Path, session: date) -> Path:
    """Hive-style, so that any Parquet reader knows the session."""
    return folder / f"session={session}" / FILE


def write_session(folder: Path, rows: SessionRows, tokens: dict[str, int]) -> SessionEntry:
    """Write a session that is not there yet; the same rows give the same bytes."""
    path = path_of(folder, rows.session)
    path.parent.mkdir(parents=True)
    numbers = np.array([tokens[symbol] for symbol in rows.symbols], dtype=np.int64)
    table = pa.table(
        [
            pa.DictionaryArray.from_arrays(pa.array(rows.code, pa.int32()), pa.array(rows.symbols)),
            pa.array(numbers[rows.code]),
            pa.array(rows.begins_at).cast(SCHEMA.field("begins_at").type),
            *(pa.array(rows.values[name]) for name in VALUES),
        ],
        schema=SCHEMA,
    )
    pq.write_table(table, path, compression="zstd")
    return SessionEntry(rows.session, len(rows), len(rows.symbols), rows.sha256())


def read_session(folder: Path, session: date) -> SessionRows:
    """The rows as they were written.

    Raises:
        DatasetError: the file is gone or damaged.
    """
    path = path_of(folder, session)
    try:
        table = pq.ParquetFile(path).read()
        names = table["tradingsymbol"].combine_chunks()
        symbols = tuple(str(name) for name in names.dictionary.to_pylist())
        code = names.indices.to_numpy().astype(np.int64)
        at = table["begins_at"].cast(pa.int64()).to_numpy()
        values = {name: table[COLUMNS.get(name, name)].to_numpy() for name in VALUES}
    except (OSError, pa.ArrowException, KeyError) as err:
        raise DatasetError(f"{path} is damaged ({err}): import the dataset again") from err
    return SessionRows(session, symbols, code, at, values)
