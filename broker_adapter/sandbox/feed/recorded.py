"""A recorded session as a market feed: what was recorded leaves again, in the order it was recorded.

A packet keeps its own stamp, however wrong, and leaves at the latest stamp of the session seen before it on
its symbol; within a second, packets of a symbol are spread evenly. What the recorder wrote long after the
close (it ran on, stamped 1970 or the next morning) leaves in the minute after the close.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from broker_adapter.sandbox.feed import modelled_depth
from broker_adapter.sandbox.feed.derived_tokens import derived_tokens
from broker_adapter.sandbox.feed.port import SLICE_NS, DepthOrigin, FeedInstrument, Packets, Slice
from broker_adapter.sandbox.feed.recording_file import (
    KITE_FULL,
    Recording,
    day_number,
    read_recording,
    session_days,
)
from broker_adapter.sandbox.feed.slicing import cut
from broker_adapter.sandbox.feed.tick_sizes import circuit_limits, tick_size_paise
from broker_adapter.sandbox.feed.universe import CLOSING_AUCTION_SINCE
from kitepilot.market import calendar
from kitepilot.market.ticks import PACKET_DTYPE

SECOND: Final = 1_000_000_000
EARLIEST_S: Final = 1_800  # packets from longer before the pre-open leave then
TAIL_S: Final = (30, 60)  # after the close: what came later leaves in this span
_WORDS: Final = 46
_CHUNK_ROWS: Final = 20_000
#: The columns behind a packet's first twelve words.
_KITE_WORDS: Final = (
    "instrument_token",
    "last_price",
    "last_traded_quantity",
    "average_traded_price",
    "volume_traded",
    "total_buy_quantity",
    "total_sell_quantity",
    "open",
    "high",
    "low",
    "close",
    "last_trade_time",
)


@dataclass(frozen=True, slots=True)
class Counts:
    """What is odd in a recording, in rows; each is played and none is repaired."""

    rows: int
    duplicates: int
    late: int
    stamped_1970: int
    other_day: int
    before_open: int
    after_close: int
    falling_volume: int

    def __str__(self) -> str:
        odd = [f"{getattr(self, name)} {name.replace('_', ' ')}" for name in self.__slots__[1:]]
        return f"{self.rows} rows ({', '.join(odd)})"


def open_recording(path: Path, session: date) -> RecordedMarket:
    """The session's rows in a Parquet file, or in the file of a folder that is named for the day.

    Raises:
        FeedError: as `read_recording`.
        kitepilot.market.calendar errors: the session date is closed or unknown.
    """
    day = calendar.session(session)
    return RecordedMarket(read_recording(path, session), day)


class RecordedMarket:
    """See `MarketFeed`. Build with `open_recording`."""

    def __init__(self, recording: Recording, session: calendar.Session) -> None:
        self.session: Final = session
        self._recording = recording
        self._modelled = recording.shape is not KITE_FULL
        self.depth: DepthOrigin = "modelled" if self._modelled else "recorded"
        self._listed = _instruments(recording)
        self.instruments: Final = tuple(one for one in self._listed if one.segment == "NSE")
        self.indices: Final = tuple(one for one in self._listed if one.segment == "INDICES")
        self.counts: Final = _count(recording, session)
        self._sent, self._order = _send_times(recording, session)
        self._heads: npt.NDArray[np.uint32] | None = None
        self._books: npt.NDArray[np.int64] | None = None
        if self._modelled:
            self._heads, self._books = _modelled(self._listed, recording, session)
        self.description: Final = self._describe()

    def slices(self, start_at: int | None = None) -> Iterator[Slice]:
        """See `MarketFeed.slices`: from the pre-open, or the first packet if earlier, to the close."""
        first = min(self.session.pre_open_at, int(self._sent[0])) // SLICE_NS * SLICE_NS
        index = np.isin(self._recording.code[self._order], self._index_codes())
        shares = self._order[~index]
        last = max(self.session.close_at, int(self._sent[-1]) + 1)
        play = cut(self._chunks(shares, self._sent[~index]), first, last, start_at)
        indices, index_sent = self._order[index], self._sent[index]
        if not len(indices):
            yield from play
        for one in play:
            low, high = np.searchsorted(index_sent, [one.until - SLICE_NS, one.until])
            yield one if low == high else one._replace(raw=self._index_packets(indices[low:high]))

    def packets_of(self, token: int) -> Iterator[Packets]:
        """See `MarketFeed.packets_of`."""
        for code, one in enumerate(self._listed):
            if one.token != token:
                continue
            mine = self._recording.code[self._order] == code
            if one.segment == "INDICES":
                yield np.empty(0, PACKET_DTYPE), self._index_packets(self._order[mine])
            else:
                for _, packets, _ in self._chunks(self._order[mine], self._sent[mine]):
                    yield packets, []

    def _chunks(
        self, order: npt.NDArray[np.int64], sent: npt.NDArray[np.int64]
    ) -> Iterator[tuple[int, npt.NDArray[np.void], npt.NDArray[np.int64]]]:
        start = 0
        while start < len(order):
            stop = min(start + _CHUNK_ROWS, len(order))
            until = (int(sent[stop - 1]) // SLICE_NS + 1) * SLICE_NS
            stop = int(np.searchsorted(sent, until))
            words = self._words(order[start:stop])
            yield until, np.ascontiguousarray(words.astype(">u4")).view(PACKET_DTYPE)[:, 0], sent[start:stop]
            start = stop

    def _index_codes(self) -> list[int]:
        return [k for k, one in enumerate(self._listed) if one.segment == "INDICES"]

    def _words(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
        if not self._modelled:
            return _recorded_words(self._recording, rows)
        assert self._heads is not None and self._books is not None
        words = np.zeros((len(rows), _WORDS), np.uint32)
        words[:, :16] = self._heads[rows]
        depth = modelled_depth.depth_words(words[:, 0].astype(np.int64), *self._books[:, rows])
        words[:, 5:7], words[:, 16:] = depth[:, :2], depth[:, 2:]
        return words

    def _index_packets(self, rows: npt.NDArray[np.int64]) -> list[bytes]:
        """32-byte index packets: token, last, high, low, open, close, change, exchange time."""
        assert self._heads is not None
        heads = self._heads[rows].astype(np.int64)
        words = heads[:, [0, 1, 8, 9, 7, 10, 1, 15]]
        words[:, 6] = heads[:, 1] - heads[:, 10]
        return [row.tobytes() for row in (words & 0xFFFFFFFF).astype(">u4")]

    def _describe(self) -> str:
        told = f"recorded session {self._recording.session} from {self._recording.path.name}: {self.counts};"
        told += f" {len(self.instruments)} instruments, {len(self.indices)} indices"
        if self._modelled:
            return told + "; depth modelled around the last price; previous close = first price of the day"
        return told + "; depth recorded"


def _instruments(recording: Recording) -> tuple[FeedInstrument, ...]:
    """One per symbol, in the recording's order. Only index names have a space in them."""
    starts = recording.starts()
    tokens = _tokens(recording, starts)
    price = recording.columns["close" if recording.shape is KITE_FULL else "ltp"]
    listed = []
    for k, symbol in enumerate(recording.symbols):
        close, index = int(price[starts[k]]), " " in symbol
        tick = tick_size_paise(close, recording.session)
        lower, upper = circuit_limits(close, tick)
        listed.append(
            FeedInstrument(
                token=tokens[k],
                exchange_token=tokens[k] >> 8,
                tradingsymbol=symbol,
                name=symbol,
                tick_size_paise=0 if index else tick,
                lot_size=0 if index else 1,
                previous_close_paise=close,
                closing_auction=recording.session >= CLOSING_AUCTION_SINCE and not index,
                lower_circuit_paise=0 if index else lower,
                upper_circuit_paise=0 if index else upper,
                segment="INDICES" if index else "NSE",
            )
        )
    return tuple(listed)


def _tokens(recording: Recording, starts: npt.NDArray[np.int64]) -> list[int]:
    """Recorded tokens, or ones derived from the symbols."""
    if recording.shape is KITE_FULL:
        return [int(recording.columns["instrument_token"][row]) for row in starts[:-1]]
    return derived_tokens(recording.symbols)


def _count(recording: Recording, session: calendar.Session) -> Counts:
    at_s, same = recording.at_s, np.diff(recording.code, prepend=-1) == 0
    today = session_days(at_s) == day_number(recording.session)
    volume = recording.columns["volume_traded" if recording.shape is KITE_FULL else "volume_cum"]
    equal = same & (np.diff(at_s, prepend=-1) == 0)
    for column in recording.columns.values():
        equal &= np.diff(column, prepend=-1) == 0
    clock = at_s * SECOND
    traded = today & (clock >= session.open_at)
    return Counts(
        rows=len(at_s),
        duplicates=int(equal.sum()),
        late=int((today & (at_s < _latest_stamp(recording))).sum()),
        stamped_1970=int((session_days(at_s) == 0).sum()),
        other_day=int((~today & (session_days(at_s) != 0)).sum()),
        before_open=int((today & (clock < session.open_at)).sum()),
        after_close=int((today & (clock >= session.close_at)).sum()),
        falling_volume=_falls(recording.code[traded], volume[traded]),
    )


def _falls(code: npt.NDArray[np.int64], volume: npt.NDArray[np.int64]) -> int:
    """Rows whose volume is below that of the symbol's row before."""
    return int(((np.diff(code) == 0) & (np.diff(volume) < 0)).sum())


def _latest_stamp(recording: Recording) -> npt.NDArray[np.int64]:
    """The latest stamp of the session's day so far, per symbol; its first one before there is any."""
    latest = np.where(
        session_days(recording.at_s) == day_number(recording.session), recording.at_s, np.iinfo(np.int64).min
    )
    starts = recording.starts()
    for start, stop in pairwise(starts.tolist()):
        mine = latest[start:stop]
        np.maximum.accumulate(mine, out=mine)
        dated = mine > np.iinfo(np.int64).min
        mine[~dated] = mine[np.argmax(dated)] if dated.any() else np.iinfo(np.int64).max
    return latest


def _send_times(
    recording: Recording, session: calendar.Session
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(sent_at, row) for every row, in send order."""
    earliest, close = session.pre_open_at // SECOND - EARLIEST_S, session.close_at // SECOND
    second = np.maximum(_latest_stamp(recording), earliest)
    begins = np.diff(recording.code * 2**40 + np.minimum(second, 2**40 - 1), prepend=-1) != 0
    run = np.cumsum(begins) - 1
    place = np.arange(len(run)) - np.flatnonzero(begins)[run]
    phase = (recording.code * 37 % 64) / 64.0
    offset = 0.05 + 0.9 * (place + phase) / np.bincount(run)[run]
    tail = second >= close + TAIL_S[0]
    sent = np.where(tail, close, second) * SECOND + (offset * SECOND).astype(np.int64)
    late = np.flatnonzero(tail)
    late = late[np.argsort(second[late], kind="stable")]
    span = (TAIL_S[1] - TAIL_S[0]) * SECOND
    sent[late] = (close + TAIL_S[0]) * SECOND + np.arange(len(late)) * span // max(len(late), 1)
    order = np.argsort(sent, kind="stable")
    return sent[order], order


def _recorded_words(recording: Recording, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
    words = np.zeros((len(rows), _WORDS), np.uint32)
    for k, name in enumerate(_KITE_WORDS):
        words[:, k] = np.maximum(recording.columns[name][rows], 0)
    words[:, 15] = np.maximum(recording.at_s[rows], 0)
    for side, name in enumerate(("bid", "ask")):
        for level in range(5):
            column, title = 16 + 15 * side + 3 * level, f"{name}{level + 1}"
            words[:, column] = recording.columns[f"{title}_qty"][rows]
            words[:, column + 1] = recording.columns[title][rows]
            orders = np.minimum(recording.columns[f"{title}_orders"][rows], 65_535)
            words[:, column + 2] = orders.astype(np.uint32) << np.uint32(16)
    return words


def _modelled(
    listed: tuple[FeedInstrument, ...], recording: Recording, session: calendar.Session
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """(heads uint32[rows, 16], books int64[5, rows]: bid, unit, spread, version, touch), per recorded row."""
    heads = np.zeros((len(recording.at_s), modelled_depth.HEAD_WORDS), np.uint32)
    books = np.zeros((5, len(recording.at_s)), np.int64)
    span = (session.open_at // SECOND, session.continuous_close_at // SECOND)
    previous = calendar.previous_session(recording.session) or recording.session
    previous_trade_s = calendar.ist_ns(previous, "15:29") // SECOND
    for one, (start, stop) in zip(listed, pairwise(recording.starts().tolist()), strict=True):
        mine = slice(start, stop)
        at_s, price = recording.at_s[mine], recording.columns["ltp"][mine]
        volume = recording.columns["volume_cum"][mine]
        heads[mine] = modelled_depth.head_words(
            one.token, one.previous_close_paise, previous_trade_s, at_s, price, volume, span
        )
        books[:4, mine] = modelled_depth.quotes(at_s, price, volume, max(one.tick_size_paise, 5))
        traded = np.diff(volume)
        books[4, mine] = max(int(np.median(traded[traded > 0])), 1) if (traded > 0).any() else 1
    return heads, books
