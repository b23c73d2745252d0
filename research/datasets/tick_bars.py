"""Recorded ticks -> 1 m bars, by the kernel that makes them live.

A minute in which an instrument showed no tick has no bar here: the kernel would carry its last price through
a minute of silence, and a recording cannot tell silence from a recorder that was down. A minute whose first
second is silent opens at the price before it, as it does live.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from broker_adapter.sandbox.feed import FeedError
from broker_adapter.sandbox.feed.recorded import RecordedMarket, open_recording
from broker_adapter.sandbox.feed.recording_file import MAX_STRAY_SHARE
from kitepilot.kernels.shard import BarClose, Shard, ShardSpec
from kitepilot.market import calendar
from kitepilot.market.calendar import CalendarError
from kitepilot.market.ticks import records
from research.bars import MINUTE_NS
from research.datasets.columns import TICKS_LTP
from research.datasets.grid import IST_NS, date_of, day_numbers
from research.datasets.manifest import DatasetError
from research.datasets.reading import Symbols
from research.datasets.row_checks import Ints, RawRows
from research.datasets.sources import Source
from research.datasets.times import UNREADABLE, walls
from research.ticks import beats_of_feed

GRACE_NS = 2_000_000_000
NOISE = 0.01  # a day with a smaller share of a file's rows is not one it records


def bars_of_ticks(number: int, source: Source, symbols: Symbols) -> Iterator[RawRows]:
    """The bars of each session that a file's ticks are of. `row` counts the bars, from 1.

    Raises:
        DatasetError: not playable: naming file, column and row.
    """
    begun = 1
    for session in _sessions(source):
        try:
            market = open_recording(source.path, date_of(session))
        except (FeedError, CalendarError) as err:
            raise DatasetError(f"{err}") from err
        rows = _bars(number, begun, market, symbols)
        begun += len(rows)
        source.notes.append(f"{date_of(session)}: {market.counts}")
        yield rows


def _bars(number: int, begun: int, market: RecordedMarket, symbols: Symbols) -> RawRows:
    listed = (*market.instruments, *market.indices)
    code = np.array([symbols.code(one.tradingsymbol) for one in listed], dtype=np.int64)
    columns = [_shown(bar, code) for bar in _minutes(market)]
    table = np.concatenate(columns, axis=1) if columns else np.zeros((7, 0), dtype=np.int64)
    rows = table.shape[1]
    names = ("open", "high", "low", "close", "volume")
    return RawRows(
        file=np.full(rows, number, dtype=np.int64),
        row=np.arange(begun, begun + rows, dtype=np.int64),
        code=table[0],
        begins_at=table[1],
        values={name: table[2 + k].astype(np.float64) for k, name in enumerate(names)},
        late=np.zeros(rows, dtype=np.bool_),
    )


def _minutes(market: RecordedMarket) -> Iterator[BarClose]:
    """What the market flow would have closed, fed with the recording."""
    shard = Shard(_spec(market))
    for beat in beats_of_feed(market):
        for message in beat.messages:
            for found in shard.on_records(records(message)):
                if isinstance(found, BarClose) and found.interval_s == 60:
                    yield found


def _shown(bar: BarClose, code: Ints) -> Ints:
    """int64[7, m]: code, begin, open, high, low, close, volume of the instruments that showed a tick."""
    values = (bar.open, bar.high, bar.low, bar.close, bar.volume)
    begins = np.full(len(bar.rows), bar.close_at - MINUTE_NS, dtype=np.int64)
    table: Ints = np.stack([code[bar.rows], begins, *values])
    return table[:, bar.tick_count > 0]


def _spec(market: RecordedMarket) -> ShardSpec:
    listed = (*market.instruments, *market.indices)
    session = market.session
    return ShardSpec(
        tokens=np.array([one.token for one in listed], dtype=np.int64),
        tick_size_paise=np.array([max(one.tick_size_paise, 1) for one in listed], dtype=np.int64),
        open_at=np.full(len(listed), session.open_at, dtype=np.int64),
        close_at=np.array([session.continuous_close(one.closing_auction) for one in listed], dtype=np.int64),
        grace_ns=GRACE_NS,
    )


def _sessions(source: Source) -> list[int]:
    """The trading days (since 1970) a file's rows are of; stray rows of others are the recorder's noise."""
    ltp = source.columns().keys() >= TICKS_LTP
    counted: dict[int, int] = {}
    for piece in source.pieces(["ts_ist" if ltp else "exchange_timestamp"]):
        at = walls(piece[0])
        days = day_numbers(at[at != UNREADABLE] - IST_NS)
        for pair in pc.value_counts(pa.array(days)).to_pylist():
            counted[pair["values"]] = counted.get(pair["values"], 0) + pair["counts"]
    least = (1 - MAX_STRAY_SHARE if ltp else NOISE) * sum(counted.values())  # an `ltp` file is of one day
    played = sorted(day for day, count in counted.items() if count >= least and _was_open(date_of(day)))
    if counted and not played:
        shown = ", ".join(f"{date_of(day)}" for day in sorted(counted)[:5])
        raise DatasetError(f"{source.path}: no session that it is mainly of; its days are {shown}")
    return played


def _was_open(day: date) -> bool:
    try:
        return calendar.is_open(day)
    except CalendarError:
        return False
