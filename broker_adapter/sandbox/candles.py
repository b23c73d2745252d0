"""Historical candles of the sandbox's own market, read from the feed a second time.

Today's candles hold what has been played so far, the running minute included, as Kite's do. Earlier
sessions, as many as `sessions_back`, are those of the same feed: the packets of the one instrument that is
asked for are made on first use, not the whole market's; before that there is nothing. Intervals longer than
a minute are folded from minutes, counted from the open. Nothing here touches the market that trades.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta

import numpy as np

from broker_adapter.sandbox.feed.port import MarketFeed, Slice
from broker_adapter.sandbox.minute_bars import NS_PER_S, S_PER_MINUTE, Bar, MinuteBars
from kitepilot.market import calendar
from kitepilot.market.calendar import Session, ist_date, ist_ns
from kitepilot.market.ticks import PACKET_DTYPE

SLICES_AT_ONCE = 240

#: Minutes per candle; 0 a day, -1 a week. The second line is not in Kite's documentation but is answered.
MINUTES = {
    "minute": 1, "3minute": 3, "5minute": 5, "10minute": 10, "15minute": 15, "30minute": 30, "60minute": 60,
    "2minute": 2, "4minute": 4, "hour": 60, "2hour": 120, "3hour": 180, "4hour": 240, "day": 0, "week": -1,
}  # fmt: skip
#: Longest range of one request in days (Kite's server, forum 14149 of 2024-06 and 15111 of 2025-06).
MAX_DAYS = {
    "minute": 60, "2minute": 60, "3minute": 100, "4minute": 100, "5minute": 100, "10minute": 100,
    "15minute": 200, "30minute": 200, "60minute": 400, "hour": 400, "2hour": 400, "3hour": 400, "4hour": 400,
    "day": 2000, "week": 2000,
}  # fmt: skip


class _Reading:
    """Today's feed, read as far as asked."""

    def __init__(self, feed: MarketFeed, session: Session) -> None:
        listed = (*feed.instruments, *feed.indices)
        self.bars = MinuteBars(np.array([row.token for row in listed], dtype=np.int64), session)
        self._slices = feed.slices()
        self._ahead: Slice | None = None

    def read(self, upto: int) -> None:
        """Add every slice that ends at or before `upto` (session ns)."""
        while pieces := list(itertools.islice(self._before(upto), SLICES_AT_ONCE)):
            if packets := [piece.packets for piece in pieces if len(piece.packets)]:
                self.bars.add(
                    np.concatenate(packets, dtype=PACKET_DTYPE)
                )  # told: else compared field by field
            _add_indices(self.bars, itertools.chain.from_iterable(piece.raw for piece in pieces))

    def _before(self, upto: int) -> Iterator[Slice]:
        while (piece := self._ahead or next(self._slices, None)) is not None:
            if piece.until > upto:
                self._ahead = piece
                return
            self._ahead = None
            yield piece


class _PastDay:
    """An earlier session; an instrument's packets are read when its candles are first asked for."""

    def __init__(self, feed: MarketFeed, session: Session) -> None:
        listed = (*feed.instruments, *feed.indices)
        self._bars = MinuteBars(np.array([row.token for row in listed], dtype=np.int64), session)
        self._feed = feed
        self._read: set[int] = set()

    def minutes_of(self, token: int) -> list[Bar]:
        if token not in self._read:
            self._read.add(token)
            for packets, raw in self._feed.packets_of(token):
                self._bars.add(packets)
                _add_indices(self._bars, raw)
        return self._bars.bars(token)


def _add_indices(bars: MinuteBars, raw: Iterable[bytes]) -> None:
    for packet in raw:
        if len(packet) == 32:
            bars.add_index(packet)


class CandleDesk:
    """Candles of today and of a few sessions before.

    Args:
        played: session time up to which today's market has been played (ns UTC).
        earlier: the feed of an earlier session date, None where there is none.
    """

    def __init__(
        self,
        feed: MarketFeed,
        session: Session,
        played: Callable[[], int],
        earlier: Callable[[date], MarketFeed | None],
        sessions_back: int,
    ) -> None:
        self._session = session
        self._played = played
        self._earlier = earlier
        self._sessions_back = sessions_back
        self._today = _Reading(feed, session)
        self._past: dict[date, _PastDay | None] = {}
        self._reading = asyncio.Lock()

    async def candles(self, token: int, interval: str, first: int, last: int) -> list[Bar]:
        """Bars of a known interval that open from `first` to `last`, both ns UTC and both included.

        A day's or week's bar opens at midnight IST; a day counts if its date is in the range.
        """
        minutes: list[Bar] = []
        async with self._reading:
            for day in self._days(ist_date(first), ist_date(last), weeks=MINUTES[interval] < 0):
                minutes += await asyncio.to_thread(self._minutes_of, day, token)
        bars = minutes
        if MINUTES[interval] != 1:
            bars = await asyncio.to_thread(fold, minutes, MINUTES[interval], self._session)
        if MINUTES[interval] <= 0:
            first = ist_ns(ist_date(first), "00:00")
        return [bar for bar in bars if first <= bar.opens_s * NS_PER_S <= last]

    def _days(self, first: date, last: date, *, weeks: bool) -> list[date]:
        """Sessions in the range (of whole weeks), oldest first, no further back than allowed."""
        days, day = [self._session.date], self._session.date
        for _ in range(self._sessions_back):
            before = calendar.previous_session(day)
            if before is None:
                break
            day = before
            days.insert(0, day)
        margin = timedelta(days=6 if weeks else 0)  # a week's candle is made of the whole week
        return [day for day in days if first - margin <= day <= last + margin]

    def _minutes_of(self, day: date, token: int) -> list[Bar]:
        if day == self._session.date:
            self._today.read(self._played())
            return self._today.bars.bars(token)
        if day not in self._past:
            feed = self._earlier(day)
            self._past[day] = _PastDay(feed, calendar.session(day)) if feed else None
        past = self._past[day]
        return past.minutes_of(token) if past else []


def fold(minutes: Iterable[Bar], length: int, session: Session) -> list[Bar]:
    """Minute bars in order of time as bars of `length` minutes from the open; 0 a day, -1 a week."""
    open_of_day = session.open_at // NS_PER_S - ist_ns(session.date, "00:00") // NS_PER_S
    folded: list[Bar] = []
    for bar in minutes:
        opens_s = _opening(bar.opens_s, length, open_of_day)
        if folded and folded[-1].opens_s == opens_s:
            folded[-1] = _joined(folded[-1], bar)
        else:
            folded.append(bar._replace(opens_s=opens_s))
    return folded


def _opening(at_s: int, length: int, open_of_day: int) -> int:
    day = ist_date(at_s * NS_PER_S)
    if length < 0:
        day -= timedelta(days=day.weekday())
    midnight = ist_ns(day, "00:00") // NS_PER_S
    if length <= 0:
        return midnight
    since_open = at_s - midnight - open_of_day
    return at_s - since_open % (length * S_PER_MINUTE)


def _joined(bar: Bar, later: Bar) -> Bar:
    return Bar(
        bar.opens_s,
        bar.open,
        max(bar.high, later.high),
        min(bar.low, later.low),
        later.close,
        bar.volume + later.volume,
    )
