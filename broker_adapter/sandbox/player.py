"""Plays a feed: session time moves, the exchange trades, the ticker tells; slice by slice, in order."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np

from broker_adapter.sandbox import rows
from broker_adapter.sandbox.exchange import Exchange
from broker_adapter.sandbox.feed.port import SLICE_NS, MarketFeed, Slice
from broker_adapter.sandbox.orders import Order
from broker_adapter.sandbox.resume import plain
from broker_adapter.sandbox.session_clock import SessionClock
from broker_adapter.sandbox.ticker import Ticker
from kitepilot.market.calendar import Session
from kitepilot.market.ticks import PACKET_DTYPE

AFTER_CLOSE_NS = 60_000_000_000
SLICES_AHEAD = 60


def clock_frame(at: int) -> str:
    """Kite's clients drop `message` frames; ours takes session time (ns UTC) from them."""
    return f'{{"type":"message","data":"clock {at}"}}'


def order_frame(order: Order) -> str:
    return msgspec.json.encode({"type": "order", "data": rows.postback(order)}).decode()


def first_instant(feed: MarketFeed, session: Session) -> int:
    """Where session time begins (ns UTC): a recording may start before the pre-open."""
    first = next(iter(feed.slices()), None)
    return first.until - SLICE_NS if first else session.pre_open_at


def covering(feed: MarketFeed, session: Session) -> Iterator[Slice]:
    """The feed's slices, then empty ones until a minute after the session's close."""
    until = session.pre_open_at
    for piece in feed.slices():
        until = piece.until
        yield piece
    nothing = np.zeros(0, dtype=PACKET_DTYPE)
    while until < session.close_at + AFTER_CLOSE_NS:
        until += SLICE_NS
        yield Slice(until, nothing, np.zeros(0, dtype=np.int64), [])


class Player:
    """Runs one session. Only it moves session time and only it advances the exchange.

    `told` turns the exchange's updates into those the user hears of at a session time; `played` is called
    after each step, before anybody hears of what it brought.
    """

    def __init__(
        self,
        slices: Iterator[Slice],
        clock: SessionClock,
        exchange: Exchange,
        ticker: Ticker,
        told: Callable[[Sequence[Order], int], Sequence[Order]] = lambda updates, _: updates,
        played: Callable[[], None] = lambda: None,
    ) -> None:
        self._slices = slices
        self._clock = clock
        self._exchange = exchange
        self._ticker = ticker
        self._told = told
        self._note_played = played
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="feed")

    async def run(self) -> None:
        """The whole session; then the clock is closed. Raises what the feed raises."""
        try:
            ahead = self._read()
            while pieces := await ahead:
                ahead = self._read()
                for piece in pieces:
                    await self._play(piece)
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)
        self._clock.close()

    def _read(self) -> asyncio.Future[list[Slice]]:
        """The next slices, made in a thread while the ones before are played."""
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._thread, lambda: list(itertools.islice(self._slices, SLICES_AHEAD)))

    async def _play(self, piece: Slice) -> None:
        """One slice, in one step or several; its clock frame comes after everything before `until`."""
        piece = plain(piece)
        played = 0
        while True:
            reached = await self._clock.step(piece.until, self._exchange.next_arrival)
            over = reached >= piece.until
            upto = len(piece.packets) if over else int(np.searchsorted(piece.sent_at, reached, side="left"))
            packets = piece.packets[played:upto]
            updates = self._exchange.advance(packets, piece.sent_at[played:upto], reached)
            played = upto
            for packet in piece.raw if over else ():
                self._exchange.market.apply_raw(packet)
            self._note_played()
            texts = [order_frame(order) for order in self._told(updates, reached)]
            if over:
                texts.append(clock_frame(piece.until))
            await self._ticker.deliver(packets, piece.raw if over else (), texts)
            if over:
                return
