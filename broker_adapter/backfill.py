"""Minutes the feed missed -> bars marked as backfilled: for the record, never for decisions.

A gap waits until its last minute is settled, then each instrument's candles are asked for, three a second at
most, a portion of instruments at a time; a portion's bars are on the log before the backlog on disk says so.
Killed in between, a portion is published again under the same source and numbers, which consumers drop.
What the broker does not give becomes a dead letter, and an alarm when a whole gap is given up. Requests run
in a thread of their own: frames never wait for them.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import httpx
import msgspec

from broker_adapter.gaps import MINUTE_S, NS, Backlog, Gap, Silence
from broker_adapter.kite import session
from broker_adapter.kite.candles import Candle, CandleError, minute_candles, minute_path, minute_query
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
FAILURES_IN_A_ROW = 8
FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 60.0
CLOCK_PATIENCE_S = 60.0
NOT_SERVED = frozenset({404, 405, 410})

Append = Callable[[str, Sequence[bytes]], Awaitable[None]]


class _UnansweredError(RuntimeError):
    """No usable answer now; a later request may get one."""


class _ThrottledError(_UnansweredError):
    """The broker counts more requests than we do."""


class _NotServedError(RuntimeError):
    """The broker has no such thing as candles here."""


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
        self._first_pause_s = first_pause_s
        day = calendar.session(date.fromisoformat(run.config.session.date), allow_special=True)
        self._open_at, self._close_at = day.open_at, day.continuous_close_at
        self._limits = RateLimits(clock, shares_of(run.config.broker))
        self._letters = Letters("backfill", run.run_id)
        self._path: Path = run.folder / FILE
        self._backlog = self._load()
        self._more = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "backfill")
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
            with session.connection(self._run.config.broker) as http:
                while True:
                    while not self._backlog.waiting:
                        self._more.clear()
                        await self._more.wait()
                    gap = self._backlog.waiting[0]
                    await self._settled(gap)
                    await self._fill(http, gap)
                    self._backlog.waiting.remove(gap)
                    self._save()
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def _settled(self, gap: Gap) -> None:
        while not await self._clock.reached(_settled_at(gap), CLOCK_PATIENCE_S):
            pass  # session time may stand still for as long as it likes

    async def _fill(self, http: httpx.Client, gap: Gap) -> None:
        """Bars of all instruments, portion by portion; gives up with one letter when nobody answers well."""
        strange = 0
        while gap.done < len(self._tokens):
            portion = self._tokens[gap.done : gap.done + PORTION]
            candles: dict[int, list[Candle]] = {}
            for token in portion:
                try:
                    candles[token] = await self._candles(http, token, gap)
                    strange = 0
                except CandleError as err:
                    strange += 1
                    await self._bury(f"{_span(gap)} of instrument {token}: {err.args[0]}", err.args[-1], 1)
                    if strange == FAILURES_IN_A_ROW:
                        return await self._give_up(gap, str(err.args[0]))
                except (_UnansweredError, _NotServedError) as err:
                    return await self._give_up(gap, str(err))
            await self._publish(gap, candles)
            gap.done += len(portion)
            self._save()
        return None

    async def _candles(self, http: httpx.Client, token: int, gap: Gap) -> list[Candle]:
        """Raises `CandleError` (text, bytes), `_NotServedError`; `_UnansweredError` after many attempts."""
        loop = asyncio.get_running_loop()
        for failures in range(1, FAILURES_IN_A_ROW + 1):
            try:
                async with self._limits.sending("candle"):
                    body = await loop.run_in_executor(self._thread, self._ask, http, token, gap)
                return _believed(body, gap)
            except _UnansweredError as err:
                if isinstance(err, _ThrottledError):
                    self._limits.refused("candle")
                if failures == FAILURES_IN_A_ROW:
                    raise
            ceiling = min(self._first_pause_s * 2**failures, MAX_PAUSE_S)
            await asyncio.sleep(ceiling * random.uniform(0.5, 1.0))
        raise AssertionError("unreachable")

    def _ask(self, http: httpx.Client, token: int, gap: Gap) -> bytes:
        """One request, in the thread."""
        try:
            held = session.load(self._run)
            query = minute_query(gap.first, gap.last)
            reply = http.get(minute_path(token), params=query, headers=held.authorization)
        except (httpx.HTTPError, session.SessionError) as err:
            raise _UnansweredError(f"{type(err).__name__}: {err}") from err
        if reply.status_code == httpx.codes.OK:
            return reply.content
        told = f"HTTP {reply.status_code} {reply.text:.200}"
        if reply.status_code == httpx.codes.BAD_REQUEST:  # this instrument, not the others
            raise CandleError(told, reply.content)
        if reply.status_code in NOT_SERVED:
            raise _NotServedError(told)
        throttled = reply.status_code == httpx.codes.TOO_MANY_REQUESTS
        raise _ThrottledError(told) if throttled else _UnansweredError(told)

    async def _publish(self, gap: Gap, candles: dict[int, list[Candle]]) -> None:
        """One message a minute, numbered from the gap's first: the same again if it is done again."""
        source = f"backfill-{gap.first}-{gap.done}"
        bars = [
            minute_bars(candles, minute, source, seq, _settled_at(gap))
            for seq, minute in enumerate(gap.minutes)
        ]
        await self._append(BARS.name, [encode(bar, emitted_at=time.time_ns()) for bar in bars])
        self._bars += sum(len(bar.tokens) for bar in bars)

    async def _give_up(self, gap: Gap, why: str) -> None:
        left = len(self._tokens) - gap.done
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


def _believed(body: bytes, gap: Gap) -> list[Candle]:
    try:
        return minute_candles(body, gap.first, gap.last)
    except CandleError as err:
        raise CandleError(str(err), body) from err


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
