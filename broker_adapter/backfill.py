"""Minutes the feed missed -> bars marked as backfilled: for the record, never for decisions.

A gap waits until its last minute is settled, then each instrument's candles are asked for, three a second at
most, a portion of instruments at a time; a portion's bars are on the log before the backlog on disk says so.
Killed in between, a portion is published again under the same source and numbers, which consumers drop.
What the broker does not give becomes a dead letter, and an alarm when a whole gap is given up. Requests run
in a thread of their own: frames never wait for them.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from pathlib import Path

import msgspec

from broker_adapter.gaps import MINUTE_S, NS, Backlog, Gap, Silence
from broker_adapter.kite import session
from broker_adapter.kite.candle_requests import (
    FIRST_PAUSE_S,
    CandleRequests,
    NotServedError,
    UnansweredError,
    UnbelievableError,
)
from broker_adapter.kite.candles import Candle
from broker_adapter.kite.clock import SessionClock
from broker_adapter.kite.limits import RateLimits, shares_of
from broker_adapter.letters import Letters
from kitepilot.events import BarsClosed, encode
from kitepilot.market import calendar
from kitepilot.run import Run
from kitepilot.topics import BARS, DEAD_LETTER, SESSION

FILE = "backfill.json"
SETTLE_NS = 15 * NS  # a candle may still change 10 s after its minute (forum reports, read 2026-07-14)
PORTION = 25  # instruments: about eight seconds of requests
STRANGE_IN_A_ROW = 8  # instruments with an unbelievable answer: then it is not the instruments
CLOCK_PATIENCE_S = 60.0

Append = Callable[[str, Sequence[bytes]], Awaitable[None]]


class Backfill:
    """One run's backlog and the task that works it off. `append` makes messages durable."""

    def __init__(
        self,
        run: Run,
        tokens: Sequence[int],
        clock: SessionClock,
        append: Append,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self._run = run
        self._tokens = list(tokens)
        self._clock = clock
        self._append = append
        day = calendar.session(date.fromisoformat(run.config.session.date), allow_special=True)
        self._open_at, self._close_at = day.open_at, day.continuous_close_at
        broker = run.config.broker
        limits = RateLimits(clock, shares_of(broker))
        self._requests = CandleRequests(broker, lambda: session.load(run), limits, first_pause_s)
        self._letters = Letters("backfill", run.run_id)
        self._path: Path = run.folder / FILE
        self._backlog = self._load()
        self._more = asyncio.Event()
        self._bars = 0

    @property
    def waiting_minutes(self) -> int:
        """Minutes still to be fetched."""
        return sum(len(gap.minutes) for gap in self._backlog.waiting)

    def take_count(self) -> int:
        """Bars published since this was last asked."""
        bars, self._bars = self._bars, 0
        return bars

    def missed(self, silence: Silence) -> None:
        """The feed was silent for so long."""
        if self._backlog.add(silence, self._open_at, self._close_at):
            self._save()
            self._more.set()

    async def run(self) -> None:
        """Work the backlog off, oldest first; ends only by cancellation."""
        try:
            while True:
                while not self._backlog.waiting:
                    self._more.clear()
                    await self._more.wait()
                gap = self._backlog.waiting[0]
                await self._settled(gap)
                await self._fill(gap)
                self._backlog.waiting.remove(gap)
                self._save()
        finally:
            self._requests.close()

    async def _settled(self, gap: Gap) -> None:
        while not await self._clock.reached(_settled_at(gap), CLOCK_PATIENCE_S):
            pass  # session time may stand still for as long as it likes

    async def _fill(self, gap: Gap) -> None:
        """Bars of all instruments, portion by portion; gives up with one letter when nobody answers well."""
        while gap.done < len(self._tokens):
            portion = self._tokens[gap.done : gap.done + PORTION]
            candles, trouble = await self._fetched(gap, portion)
            if candles or not trouble:
                await self._publish(gap, candles)
            if trouble:
                return await self._give_up(gap, len(self._tokens) - gap.done - len(candles), trouble)
            gap.done += len(portion)
            self._save()
        return None

    async def _fetched(self, gap: Gap, portion: Sequence[int]) -> tuple[dict[int, list[Candle]], str]:
        """Candles by instrument, and what makes asking for more useless ("" when nothing does)."""
        candles: dict[int, list[Candle]] = {}
        strange = 0
        for token in portion:
            try:
                candles[token] = await self._requests.minutes(token, gap.first, gap.last)
                strange = 0
            except UnbelievableError as err:
                strange += 1
                await self._bury(f"{_span(gap)} of instrument {token}: {err}", err.reply, 1)
                if strange == STRANGE_IN_A_ROW:
                    return candles, str(err)
            except (UnansweredError, NotServedError) as err:
                return candles, str(err)
        return candles, ""

    async def _publish(self, gap: Gap, candles: dict[int, list[Candle]]) -> None:
        """One message a minute, numbered from the gap's first: the same again if it is done again."""
        source = f"backfill-{gap.first}-{gap.done}"
        bars = [
            minute_bars(candles, minute, source, seq, _settled_at(gap))
            for seq, minute in enumerate(gap.minutes)
        ]
        await self._append(BARS.name, [encode(bar, emitted_at=time.time_ns()) for bar in bars])
        self._bars += sum(len(bar.tokens) for bar in bars)

    async def _give_up(self, gap: Gap, left: int, why: str) -> None:
        detail = f"minutes {_span(gap)} of {left} instruments are not backfilled: {why}"
        sys.stderr.write(f"ingest: {detail}\n")
        await self._bury(detail, b"", left)
        alarm = self._letters.alarm("backfill", _span(gap), detail, self._clock.now())
        await self._append(SESSION.name, [alarm])

    async def _bury(self, detail: str, payload: bytes, count: int) -> None:
        letter = self._letters.bury("not_backfilled", BARS, detail, payload, self._clock.now(), count)
        await self._append(DEAD_LETTER.name, [letter])

    def _load(self) -> Backlog:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Backlog)
        except FileNotFoundError:
            return Backlog()
        except (msgspec.DecodeError, msgspec.ValidationError) as err:
            sys.stderr.write(f"ingest: {self._path} is damaged ({err}): minutes in it are not backfilled\n")
            return Backlog()

    def _save(self) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(self._backlog))
        fresh.replace(self._path)


def minute_bars(
    candles: dict[int, list[Candle]], minute: int, source: str, seq: int, event_at: int
) -> BarsClosed:
    """The bars of one minute; none for an instrument without a trade in it. `event_at`: session ns."""
    rows = [(token, bar) for token, bars in candles.items() for bar in bars if bar.begins_at == minute]
    return BarsClosed(
        source=source,
        seq=seq,
        event_at=event_at,
        interval_s=MINUTE_S,
        close_at=(minute + MINUTE_S) * NS,
        tokens=[token for token, _ in rows],
        open_paise=[bar.open for _, bar in rows],
        high_paise=[bar.high for _, bar in rows],
        low_paise=[bar.low for _, bar in rows],
        close_paise=[bar.close for _, bar in rows],
        volume=[bar.volume for _, bar in rows],
        tick_count=[0] * len(rows),
        backfilled=True,
    )


def _settled_at(gap: Gap) -> int:
    """Session ns from which the candles can be believed: the event time of the bars, whenever fetched."""
    return (gap.last + MINUTE_S) * NS + SETTLE_NS


def _span(gap: Gap) -> str:
    first, last = calendar.to_ist(gap.first * NS), calendar.to_ist(gap.last * NS)
    return f"{first:%H:%M}-{last:%H:%M}"
