"""Read a recorded session from Parquet and refuse what cannot be played, before anything starts.

Two shapes are known, told apart by their columns: `kite_full` (KiteTicker full-mode packets, flattened) and
`ltp` (last price and cumulative volume per row). Times are IST; prices rupees; both become integers here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from broker_adapter.sandbox.feed.port import FeedError

IST_OFFSET_S: Final = 19_800
MAX_ROWS: Final = 20_000_000
MAX_STRAY_SHARE: Final = 0.25  # rows of other days that may be the recorder's noise; more is a mixed file
_U32_MAX: Final = 2**32 - 1
_DAY_S: Final = 86_400
_ZONES = {"UTC", "Etc/UTC", "GMT", "+00:00", "Asia/Kolkata", "Asia/Calcutta", "+05:30"}
_SIDES = [f"{side}{level}" for side in ("bid", "ask") for level in range(1, 6)]


@dataclass(frozen=True, slots=True)
class Shape:
    """Columns a shape needs. `prices` (rupees, become paise) and `counts` must fit 32 bits unsigned."""

    name: Literal["kite_full", "ltp"]
    time: str
    prices: tuple[str, ...]
    counts: tuple[str, ...]
    other_times: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        return ("symbol", "seq", self.time, *self.other_times, *self.prices, *self.counts)


LTP = Shape("ltp", "ts_ist", ("ltp",), ("volume_cum",))
KITE_FULL = Shape(
    "kite_full",
    "exchange_timestamp",
    ("last_price", "average_traded_price", "open", "high", "low", "close", *_SIDES),
    (
        "instrument_token",
        "last_traded_quantity",
        "volume_traded",
        "total_buy_quantity",
        "total_sell_quantity",
        *(f"{side}_{what}" for side in _SIDES for what in ("qty", "orders")),
    ),
    ("last_trade_time",),
)


@dataclass(frozen=True, slots=True)
class Recording:
    """One session's rows, sorted by symbol and, within it, in the order they were recorded.

    `code` indexes `symbols`; `at_s` is the row's own stamp in epoch seconds UTC, whatever its day;
    `columns` holds paise, counts and the other times (epoch seconds) as int64.
    """

    path: Path
    shape: Shape
    session: date
    symbols: tuple[str, ...]
    code: npt.NDArray[np.int64]
    at_s: npt.NDArray[np.int64]
    columns: dict[str, npt.NDArray[np.int64]]

    def starts(self) -> npt.NDArray[np.int64]:
        """Row at which each symbol begins, plus the number of rows: int64[symbols + 1]."""
        return np.searchsorted(self.code, np.arange(len(self.symbols) + 1))


def read_recording(path: Path, session: date) -> Recording:
    """The rows of `session` in the file (or in the folder's file of that day), validated.

    Raises:
        FeedError: naming file, column and row (from 0): no such file, unknown shape, missing column, wrong
            type, wrong time zone, session not in the file, mixed days, missing or impossible values.
    """
    file = _choose_file(path, session)
    table = _open(file)
    shape = _shape_of(file, table)
    _check_types(file, table, shape)
    at_s = _epoch_seconds(file, table, shape.time)
    rows = _rows_of_session(file, table, shape, at_s, session)
    _check_hours(file, shape, at_s, session)
    symbols, code = _symbols(file, table)
    seq = _integers(file, table, "seq", 2**62)
    order = rows[np.lexsort((seq[rows], code[rows]))]
    columns = {name: _paise(file, table, name)[order] for name in shape.prices}
    columns |= {name: _integers(file, table, name, _U32_MAX)[order] for name in shape.counts}
    columns |= {name: _epoch_seconds(file, table, name)[order] for name in shape.other_times}
    used, codes = np.unique(code[order], return_inverse=True)
    return Recording(
        path=file,
        shape=shape,
        session=session,
        symbols=tuple(symbols[k] for k in used),
        code=codes.astype(np.int64),
        at_s=at_s[order],
        columns=columns,
    )


def session_days(at_s: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The IST day of each epoch second, as days since 1970-01-01."""
    return (at_s + IST_OFFSET_S) // _DAY_S


def day_number(session: date) -> int:
    """Days since 1970-01-01."""
    return session.toordinal() - date(1970, 1, 1).toordinal()


def _choose_file(path: Path, session: date) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise FeedError(f"market.feed {path}: no such file or folder")
    files = sorted(path.glob("*.parquet"))
    named = [file for file in files if session.isoformat() in file.stem]
    if not named and len(files) == 1:
        named = files
    if len(named) == 1:
        return named[0]
    if named:
        raise FeedError(f"{path}: {len(named)} files are named for {session}; name the one to play")
    found = ", ".join(file.name for file in files[:20]) or "no Parquet files"
    raise FeedError(f"{path}: no file is named for the session {session}; found {found}")


def _open(file: Path) -> pa.Table:
    try:
        parquet = pq.ParquetFile(file)
        rows = parquet.metadata.num_rows
        if not 0 < rows <= MAX_ROWS:
            raise FeedError(f"{file}: {rows} rows; a recording has 1 to {MAX_ROWS}")
        return parquet.read()
    except (pa.ArrowInvalid, OSError) as err:
        raise FeedError(f"{file}: not a readable Parquet file: {err}") from err


def _shape_of(file: Path, table: pa.Table) -> Shape:
    present = set(table.column_names)
    shape = max((KITE_FULL, LTP), key=lambda one: len(present & (set(one.columns) - {"symbol", "seq"})))
    missing = [name for name in shape.columns if name not in present]
    if missing:
        raise FeedError(
            f"{file}: column `{missing[0]}` is missing (as are {len(missing) - 1} others); a {shape.name}"
            f" recording needs {', '.join(shape.columns[:8])}{', ...' if len(shape.columns) > 8 else ''}"
        )
    return shape


def _check_types(file: Path, table: pa.Table, shape: Shape) -> None:
    kinds: dict[str, tuple[str, Any]] = {"symbol": ("text", _is_text), "seq": ("an integer", _is_integer)}
    kinds |= dict.fromkeys((shape.time, *shape.other_times), ("a timestamp", pa.types.is_timestamp))
    kinds |= dict.fromkeys(shape.prices, ("a number", _is_number))
    kinds |= dict.fromkeys(shape.counts, ("an integer", _is_integer))
    for name, (wanted, accepts) in kinds.items():
        column = table.column(name)
        if not accepts(column.type):
            raise FeedError(
                f"{file}: column `{name}` has type {column.type}; it must be {wanted} (from row 0 on)"
            )
        if column.null_count:
            row = pc.index(pc.is_null(column), True).as_py()
            raise FeedError(f"{file}: column `{name}` has no value in row {row} (from 0)")


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_integer(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _epoch_seconds(file: Path, table: pa.Table, name: str) -> npt.NDArray[np.int64]:
    """A naive column is IST; an aware one must be UTC or IST, or the recorder's intent is unclear."""
    column = table.column(name)
    zone = column.type.tz
    if zone is not None and zone not in _ZONES:
        raise FeedError(
            f"{file}: column `{name}` has time zone {zone} (from row 0 on); write it in Asia/Kolkata or UTC,"
            " or without a zone in IST"
        )
    micros = column.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64()).to_numpy()
    seconds: npt.NDArray[np.int64] = micros // 1_000_000 - (0 if zone else IST_OFFSET_S)
    return seconds


def _rows_of_session(
    file: Path, table: pa.Table, shape: Shape, at_s: npt.NDArray[np.int64], session: date
) -> npt.NDArray[np.int64]:
    """Row numbers to play: all of the file, or of its recordings of that day where `seq` restarts."""
    days, today = session_days(at_s), day_number(session)
    rows = np.arange(len(at_s))
    if not (days == today).any():
        found = ", ".join(str(np.datetime64(int(day), "D")) for day in np.unique(days)[:10])
        raise FeedError(
            f"{file}: column `{shape.time}` has no row of the session {session} (row 0 is of"
            f" {np.datetime64(int(days[0]), 'D')}); days in it: {found}"
        )
    if shape is KITE_FULL:
        rows = _recordings_of_day(table, days, today)
    foreign = days[rows] != today
    if not len(rows) or foreign.mean() > MAX_STRAY_SHARE:
        row = int(rows[np.argmax(foreign)]) if len(rows) else int(np.argmax(days != today))
        raise FeedError(
            f"{file}: column `{shape.time}` has mixed days: {int((days != today).sum())} of {len(days)}"
            f" rows are not of {session}; the first is row {row} (from 0),"
            f" of {np.datetime64(int(days[row]), 'D')}"
        )
    return rows


def _recordings_of_day(table: pa.Table, days: npt.NDArray[np.int64], today: int) -> npt.NDArray[np.int64]:
    """Rows of the recordings that are mostly of today. A new symbol or a falling `seq` begins a recording."""
    seq = table.column("seq").to_numpy()
    symbol = table.column("symbol").combine_chunks().dictionary_encode()
    code = symbol.indices.to_numpy() if not isinstance(symbol, pa.ChunkedArray) else _codes(symbol)
    begins = np.r_[True, (code[1:] != code[:-1]) | (seq[1:] < seq[:-1])]
    recording = np.cumsum(begins) - 1
    share = np.bincount(recording, days == today) / np.bincount(recording)
    return np.flatnonzero(share[recording] >= 0.5)


def _codes(symbol: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    return np.concatenate([chunk.indices.to_numpy() for chunk in symbol.unify_dictionaries().chunks])


def _check_hours(file: Path, shape: Shape, at_s: npt.NDArray[np.int64], session: date) -> None:
    """Most rows of the day lie in market hours, or the times are not IST."""
    today = session_days(at_s) == day_number(session)
    clock = (at_s[today] + IST_OFFSET_S) % _DAY_S
    inside = (clock >= 8.5 * 3600) & (clock <= 16.1 * 3600)
    if inside.mean() >= 0.5:
        return
    first = int(np.flatnonzero(today)[np.argmax(~inside)])
    in_utc = ((clock >= 3.4 * 3600) & (clock <= 10.1 * 3600)).mean() >= 0.5
    guess = "look like UTC: the session lies at 03:45-10:00" if in_utc else "lie outside market hours"
    raise FeedError(
        f"{file}: column `{shape.time}`: the times {guess}; row {first} (from 0) is"
        f" {np.datetime64(int(at_s[first]) + IST_OFFSET_S, 's')}. Times must be IST (session 09:15-15:30)"
    )


def _symbols(file: Path, table: pa.Table) -> tuple[list[str], npt.NDArray[np.int64]]:
    names = np.asarray(table.column("symbol").cast(pa.string()).to_pylist(), dtype=np.str_)
    symbols, code = np.unique(names, return_inverse=True)
    if symbols[0] == "":
        raise FeedError(f"{file}: column `symbol` is empty in row {int(np.argmax(names == ''))} (from 0)")
    return symbols.tolist(), code.astype(np.int64)


def _integers(file: Path, table: pa.Table, name: str, most: int) -> npt.NDArray[np.int64]:
    values: npt.NDArray[np.int64] = table.column(name).to_numpy().astype(np.int64)
    bad = (values < 0) | (values > most)
    if bad.any():
        row = int(np.argmax(bad))
        raise FeedError(
            f"{file}: column `{name}` is {values[row]} in row {row} (from 0); 0 to {most} is possible"
        )
    return values


def _paise(file: Path, table: pa.Table, name: str) -> npt.NDArray[np.int64]:
    """Rupees with two decimals to paise; an average may have more and is rounded."""
    rupees = table.column(name).to_numpy().astype(np.float64)
    bad = ~np.isfinite(rupees) | (rupees < 0) | (rupees > _U32_MAX / 100)
    if bad.any():
        row = int(np.argmax(bad))
        raise FeedError(
            f"{file}: column `{name}` is {rupees[row]} in row {row} (from 0); not a price in rupees"
        )
    paise = np.rint(rupees * 100.0)
    split = np.abs(rupees * 100.0 - paise) > 0.01
    if split.any() and name != "average_traded_price":
        row = int(np.argmax(split))
        raise FeedError(
            f"{file}: column `{name}` is {rupees[row]} in row {row} (from 0), which is not whole paise"
        )
    whole: npt.NDArray[np.int64] = paise.astype(np.int64)
    return whole
