"""Candles on disk: `candles/interval=I/symbol=S/year=Y/FIRST_LAST.parquet`, one file for each window.

The file is its own ledger: its metadata tells which days it covers, and both are replaced in one step. So a
download that was killed goes on with the days no file covers, and a second one finds nothing to do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import quote

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from broker_adapter.kite.candle_windows import MINUTES, Days, merged
from broker_adapter.kite.candles import Candle
from kitepilot.market import calendar
from kitepilot.market.calendar import NS_PER_S, CalendarError

COVERED = b"kitepilot.covered"
SCHEMA = pa.schema(
    [
        ("token", pa.int64()),
        ("begins_at", pa.timestamp("ms", tz="UTC")),
        ("open_paise", pa.int64()),
        ("high_paise", pa.int64()),
        ("low_paise", pa.int64()),
        ("close_paise", pa.int64()),
        ("volume", pa.int64()),
        ("in_session", pa.bool_()),  # on the interval's grid, within the session's hours
    ]
)


class CandleFileError(RuntimeError):
    """A file that is damaged; names it and what to do."""


@dataclass(frozen=True)
class Window:
    """One file's content: its days, those that are covered for good, and the candles by time."""

    days: Days
    covered: tuple[Days, ...] = ()
    candles: tuple[Candle, ...] = ()

    def with_days(self, fetched: Days, candles: Sequence[Candle], settled_before: date) -> Window:
        """The same with the days `fetched` replaced. Days from `settled_before` on may still change."""
        kept = [c for c in self.candles if not fetched.first <= day_of(c) <= fetched.last]
        settled = [day for day in fetched if day < settled_before]
        spans = (*self.covered, *([Days(settled[0], settled[-1])] if settled else []))
        return Window(self.days, tuple(merged(spans)), tuple(sorted((*kept, *candles))))


@dataclass(frozen=True)
class CandleFiles:
    """The candles of one interval under `folder` (the home's `candles`)."""

    folder: Path
    interval: str

    def path(self, symbol: str, window: Days) -> Path:
        """Hive-style folders, so that any Parquet reader knows interval, symbol and year."""
        partition = f"interval={self.interval}/symbol={quote(symbol, safe=' ')}/year={window.first.year}"
        return self.folder / partition / f"{window.first}_{window.last}.parquet"

    def read(self, symbol: str, window: Days) -> Window:
        """What is kept of a window. Raises `CandleFileError` for a damaged file."""
        path = self.path(symbol, window)
        if not path.exists():
            return Window(window)
        try:
            table = pq.ParquetFile(path).read()
            covered = msgspec.json.decode(table.schema.metadata[COVERED], type=list[Days])
            rows = table.drop_columns(["token", "in_session"]).set_column(
                0, "begins_at", table["begins_at"].cast(pa.int64())
            )
            columns = [rows[name].to_pylist() for name in rows.column_names]
        except (OSError, pa.ArrowException, msgspec.MsgspecError, KeyError, TypeError) as err:
            raise CandleFileError(f"{path} is damaged: remove it and download again") from err
        begins = [at // 1000 for at in columns[0]]
        return Window(window, tuple(covered), tuple(map(Candle, begins, *columns[1:])))

    def write(self, symbol: str, token: int, window: Window) -> Path:
        """Replace a window's file in one step; the same content gives the same bytes."""
        path = self.path(symbol, window.days)
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        pq.write_table(table_of(window, token, self.interval), fresh, compression="zstd")
        fresh.replace(path)
        return path


def table_of(window: Window, token: int, interval: str) -> pa.Table:
    """The candles as `SCHEMA`, the covered days in the metadata."""
    columns = list(zip(*window.candles, strict=True)) or [()] * len(Candle._fields)
    begins = pa.array([at * 1000 for at in columns[0]], pa.int64()).cast(SCHEMA.field("begins_at").type)
    table = pa.table(
        [
            pa.array([token] * len(window.candles), pa.int64()),
            begins,
            *(pa.array(column, pa.int64()) for column in columns[1:]),
            pa.array(_in_session(window.candles, interval), pa.bool_()),
        ],
        schema=SCHEMA,
    )
    return table.replace_schema_metadata({COVERED: msgspec.json.encode(list(window.covered))})


def content_of(path: Path) -> str:
    """What a file holds, as a short hash."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def day_of(candle: Candle) -> date:
    """The IST date a candle begins on."""
    return calendar.ist_date(candle.begins_at * NS_PER_S)


def _in_session(candles: Sequence[Candle], interval: str) -> list[bool]:
    """A day that the calendar does not know cannot be judged, and counts as a session round the clock."""
    step_s = MINUTES[interval] * 60
    spans: dict[date, tuple[int, int]] = {}
    return [_on_grid(candle.begins_at, _span(day_of(candle), spans), step_s) for candle in candles]


def _on_grid(begins_at: int, span: tuple[int, int], step_s: int) -> bool:
    opens, closes = span
    if not step_s:
        return opens < closes
    return opens <= begins_at < closes and (begins_at - opens) % step_s == 0


def _span(day: date, known: dict[date, tuple[int, int]]) -> tuple[int, int]:
    if day not in known:
        midnight = calendar.ist_ns(day, "00:00") // NS_PER_S
        try:
            session = calendar.session(day, allow_special=True)
            known[day] = session.open_at // NS_PER_S, session.continuous_close_at // NS_PER_S
        except calendar.UnknownDayError:
            known[day] = midnight, midnight + 86_400
        except CalendarError:
            known[day] = midnight, midnight
    return known[day]
