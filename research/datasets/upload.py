"""A file that somebody sent -> sessions of bars in memory, and each row that is refused with its reason.

What `kitepilot import` takes, without the dataset: nothing is kept. Memory is bounded by `most_rows`, which
is held against a Parquet file before its rows are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from kitepilot.market import calendar
from kitepilot.market.calendar import CalendarError
from research.bars import MINUTE_NS, SessionBars
from research.datasets.grid import date_of, day_numbers, minutes_of
from research.datasets.importing import session_rows, tokens_of
from research.datasets.manifest import DatasetError
from research.datasets.reading import PlannedFile, Symbols, Told, planned, rows_of
from research.datasets.row_checks import REASONS, VALUES, RawRows, judged
from research.datasets.session_files import SessionRows
from research.datasets.sources import Source
from research.datasets.stored import tick_of, with_auctions
from research.datasets.tick_bars import bars_of_ticks

MAGIC = b"PAR1"
CSV, PARQUET = "upload.csv", "upload.parquet"
MOST_UNPACKED = 256 << 20  # bytes of a Parquet file's columns
SHOWN = 20

Closes = dict[str, int]


@dataclass(frozen=True)
class RefusedRow:
    """One row, counted from 1 without the head, and why it is no bar. Of ticks: the bar they made."""

    row: int
    tradingsymbol: str
    reason: str


@dataclass(frozen=True, eq=False)
class Upload:
    """What was sent. `refused` are the first `SHOWN` of `refused_rows`; `cut` lines had other cells."""

    sessions: tuple[SessionBars, ...]
    rows: int
    refused_rows: int
    refused: tuple[RefusedRow, ...]
    cut: tuple[str, ...]
    read_as: str


class UploadError(DatasetError):
    """It cannot be read at all, or holds no bar; `refused` names the first rows and lines."""

    def __init__(self, text: str, refused: tuple[RefusedRow, ...] = (), cut: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.refused = refused
        self.cut = cut


def name_of(content: bytes) -> str:
    """By its first bytes, whatever it was called."""
    return PARQUET if content.startswith(MAGIC) else CSV


def read_upload(path: Path, most_rows: int) -> Upload:
    """Read a file of bars or ticks that lies at `path`, called `name_of` its bytes.

    Raises:
        UploadError: not readable, too many rows, or not one bar in it.
    """
    try:
        _require_small(path, most_rows)
        (file,) = planned([Source(path)], Told())
        symbols = Symbols()
        rows = _together(_counted(_pieces(file, symbols), most_rows))
    except UploadError:
        raise
    except (DatasetError, pa.ArrowException, MemoryError) as err:
        raise UploadError(_plain(err, path)) from err
    reason = judged(rows)
    bad = np.flatnonzero(reason)
    refused = tuple(
        RefusedRow(int(rows.row[k]), _named(symbols, int(rows.code[k])), REASONS[reason[k]])
        for k in bad[:SHOWN].tolist()
    )
    cut = tuple(file.source.cut_lines[:SHOWN])
    if len(bad) == len(rows):
        raise UploadError("no row of it is a bar", refused, cut)
    sessions = tuple(_sessions(rows.take(reason == 0), symbols))
    return Upload(sessions, len(rows), len(bad), refused, cut, file.words)


def _require_small(path: Path, most_rows: int) -> None:
    if path.name != PARQUET:
        return
    told = pq.read_metadata(path)
    unpacked = sum(told.row_group(k).total_byte_size for k in range(told.num_row_groups))
    if told.num_rows > most_rows or unpacked > MOST_UNPACKED:
        raise UploadError(f"it holds {told.num_rows:,} rows, and {most_rows:,} are read at the most")


def _pieces(file: PlannedFile, symbols: Symbols) -> Iterator[RawRows]:
    yield from bars_of_ticks(0, file.source, symbols) if file.ticks else rows_of(0, file, symbols)


def _counted(pieces: Iterator[RawRows], most_rows: int) -> list[RawRows]:
    found, count = [], 0
    for piece in pieces:
        count += len(piece)
        if count > most_rows:
            raise UploadError(f"it holds more than {most_rows:,} rows, which are read at the most")
        found.append(piece)
    return found


def _together(pieces: list[RawRows]) -> RawRows:
    if not pieces:
        raise UploadError("it holds no rows")
    return RawRows(
        np.concatenate([each.file for each in pieces]),
        np.concatenate([each.row for each in pieces]),
        np.concatenate([each.code for each in pieces]),
        np.concatenate([each.begins_at for each in pieces]),
        {name: np.concatenate([each.values[name] for each in pieces]) for name in VALUES},
        np.concatenate([each.late for each in pieces]),
    )


def _sessions(rows: RawRows, symbols: Symbols) -> Iterator[SessionBars]:
    tokens = tokens_of(symbols.names, symbols.tokens, {})
    days = day_numbers(rows.begins_at)
    before: tuple[date, Closes] | None = None
    for day in np.unique(days).tolist():
        session = date_of(day)
        mine = session_rows(session, rows.take(days == day), symbols.names)
        closes = before[1] if before is not None and before[0] == _day_before(session) else {}
        bars = _bars(mine, tokens, closes)
        before = session, _last_closes(mine)
        yield with_auctions(bars)


def _bars(rows: SessionRows, tokens: dict[str, int], closes: Closes) -> SessionBars:
    minutes = minutes_of(rows.session).begins_at
    shape = (len(minutes), len(rows.symbols))
    place = np.searchsorted(minutes, rows.begins_at), rows.code

    def grid(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        made = np.zeros(shape, dtype=np.int64)
        made[place] = values
        return made

    present = np.zeros(shape, dtype=np.bool_)
    present[place] = True
    filled: dict[str, Any] = {name: grid(rows.values[name]) for name in VALUES}
    first = filled["open"][present.argmax(axis=0), np.arange(shape[1])].tolist()
    before = [closes.get(symbol, 0) for symbol in rows.symbols]
    named = [tokens[symbol] for symbol in rows.symbols]
    ticks = [tick_of(*each, rows.session) for each in zip(named, before, first, strict=True)]
    return SessionBars(
        session=rows.session,
        symbols=rows.symbols,
        tokens=np.array(named, dtype=np.int64),
        close_at=minutes + MINUTE_NS,
        present=present,
        tick_size_paise=np.array(ticks, dtype=np.int64),
        previous_close_paise=np.array(before, dtype=np.int64),
        **filled,
    )


def _last_closes(rows: SessionRows) -> Closes:
    ends = np.flatnonzero(np.diff(rows.code, append=-1))
    found = zip(rows.code[ends].tolist(), rows.values["close"][ends].tolist(), strict=True)
    return {rows.symbols[code]: close for code, close in found}


def _day_before(session: date) -> date | None:
    try:
        return calendar.previous_session(session)
    except CalendarError:
        return None


def _named(symbols: Symbols, code: int) -> str:
    return symbols.names[code][:40] if code >= 0 else ""


def _plain(err: Exception, path: Path) -> str:
    """Its words without our place for it, and without what only the command line can do."""
    text = (str(err).splitlines() or [type(err).__name__])[0].partition(". Say it:")[0]
    return text.replace(f"{path}: ", "").replace(f"{path}", "the file")[:400] or type(err).__name__
