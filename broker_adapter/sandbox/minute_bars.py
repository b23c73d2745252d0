"""A session's packets -> one-minute bars of what traded, all instruments at once.

A trade is a rise of an instrument's day volume; it belongs to the minute of its last trade time, at the last
price. So bars come from snapshots: an extreme between two packets is missed, and several trades between them
count as one. Trades stamped in the pre-open belong to the first minute, those after continuous trading to
none.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kitepilot.market.calendar import Session

S_PER_MINUTE = 60
NS_PER_S = 1_000_000_000
_GROUP = 2**33  # above any day volume of Kite's 32 bits


class Bar(NamedTuple):
    """Open time (epoch seconds), prices in paise, volume in shares."""

    opens_s: int
    open: int
    high: int
    low: int
    close: int
    volume: int


class MinuteBars:
    """One session. Packets are added in send order; nothing is ever taken back."""

    def __init__(self, tokens: npt.NDArray[np.int64], session: Session) -> None:
        self._tokens = np.sort(tokens)
        self._pre_open_s = session.pre_open_at // NS_PER_S
        self._open_s = session.open_at // NS_PER_S
        self._minutes = (session.continuous_close_at // NS_PER_S - self._open_s) // S_PER_MINUTE
        cells = len(self._tokens) * self._minutes
        self._open, self._high, self._close, self._volume = (np.zeros(cells, np.int64) for _ in range(4))
        self._low = np.full(cells, np.iinfo(np.int64).max)
        self._day_volume = np.zeros(len(self._tokens), np.int64)

    def add(self, packets: npt.NDArray[np.void]) -> None:
        """PACKET_DTYPE[k] of one or more slices; unknown tokens are passed over."""
        wanted = packets["token"].astype(np.int64)
        row = np.searchsorted(self._tokens, wanted)
        known = row < len(self._tokens)
        known[known] = self._tokens[row[known]] == wanted[known]
        order = np.flatnonzero(known)[np.argsort(row[known], kind="stable")]
        if not len(order):
            return
        row = row[order]
        traded = self._traded(row, packets["volume"][order].astype(np.int64))
        minute = self._minute(packets["last_trade_time"][order])
        price = packets["last_price"][order].astype(np.int64)
        keep = (traded > 0) & (minute >= 0) & (minute < self._minutes) & (price > 0)
        self._mark(row[keep] * self._minutes + minute[keep], price[keep], traded[keep])

    def add_index(self, packet: bytes) -> None:
        """An index's 32-byte packet: its value at that second, no volume."""
        token, value, stamped = (int.from_bytes(packet[at : at + 4]) for at in (0, 4, 28))
        row = int(np.searchsorted(self._tokens, token))
        minute = int(self._minute(np.array([stamped]))[0])
        if self.lists(token) and 0 <= minute < self._minutes:
            cell = np.array([row * self._minutes + minute])
            self._mark(cell, np.array([value]), np.array([0]))

    def lists(self, token: int) -> bool:
        """Whether the session knows the instrument at all."""
        row = int(np.searchsorted(self._tokens, token))
        return row < len(self._tokens) and bool(self._tokens[row] == token)

    def bars(self, token: int) -> list[Bar]:
        """The instrument's minutes in which something traded, in order; none for an unknown token."""
        if not self.lists(token):
            return []
        row = int(np.searchsorted(self._tokens, token))
        cells = slice(row * self._minutes, (row + 1) * self._minutes)
        columns = [c[cells].tolist() for c in (self._open, self._high, self._low, self._close, self._volume)]
        return [
            Bar(self._open_s + minute * S_PER_MINUTE, *bar)
            for minute, bar in enumerate(zip(*columns, strict=True))
            if bar[3]
        ]

    def _traded(self, row: npt.NDArray[np.intp], told: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """How far each packet's volume raised its instrument's of the day; one that falls raises nothing."""
        group = row.astype(np.int64) * _GROUP
        volume = np.maximum(told, self._day_volume[row])
        highest = np.maximum.accumulate(volume + group) - group
        first = np.r_[True, row[1:] != row[:-1]]
        before = np.where(first, self._day_volume[row], np.r_[0, highest[:-1]])
        self._day_volume[row] = highest  # numpy assigns in order: the last of a group stands
        return highest - before

    def _minute(self, stamped_s: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
        at = stamped_s.astype(np.int64)
        at = np.where((at >= self._pre_open_s) & (at < self._open_s), self._open_s, at)
        return (at - self._open_s) // S_PER_MINUTE

    def _mark(
        self, cells: npt.NDArray[np.int64], price: npt.NDArray[np.int64], traded: npt.NDArray[np.int64]
    ) -> None:
        fresh = self._open[cells] == 0
        self._open[cells[fresh][::-1]] = price[fresh][::-1]  # the earliest of a cell stands
        self._close[cells] = price
        np.maximum.at(self._high, cells, price)
        np.minimum.at(self._low, cells, price)
        np.add.at(self._volume, cells, traded)
