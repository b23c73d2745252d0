"""The ingester: ticker frames to the `ticks` topic, in order, nothing dropped, and after a gap its candles.

What is queued is written in one transaction; while the log is slow the socket waits, and TCP slows the
sender. What the frames mean is in `feed_records`, what is done about a gap in `backfill`.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import uvloop

from broker_adapter.backfill import Backfill
from broker_adapter.feed_records import Batch, Beat, Counts, Translator
from broker_adapter.kite import session
from broker_adapter.kite.ticker import Frame, Ticker, Up
from infra.eventlog import open_log
from kitepilot.market.calendar import CalendarError
from kitepilot.ports import EventLog, LogError
from kitepilot.run import Run
from kitepilot.topics import DEAD_LETTER, SESSION, TICKS

QUEUED_FRAMES = 256
BATCH_FRAMES = 256
BATCH_BYTES = 8 << 20
COUNTS_EVERY_S = 2.0
HEARTBEAT_S = 0.1
COUNTS_FILE = "ingest_counts.json"


class Ingester:
    """The queue between socket and log, and the tasks on either side of it."""

    def __init__(self, run: Run, log: EventLog, tokens: Sequence[int]) -> None:
        self._run = run
        self._log = log
        self._queue: asyncio.Queue[Frame | Beat] = asyncio.Queue(QUEUED_FRAMES)
        self._translator = Translator(run, _counts_so_far(run))
        self._said = self._translator.counts.feed
        broker = run.config.broker
        self._ticker = Ticker(
            broker.ticker_url,
            broker.api_key,
            lambda: session.load(run).access_token,
            tokens=tokens,
            idle_timeout_s=broker.idle_timeout_s,
        )
        self._pool = ThreadPoolExecutor(1, "log")
        self._backfill = Backfill(run, tokens, self._translator.clock, self._append_to)

    @property
    def counts(self) -> Counts:
        return self._translator.counts

    @property
    def minutes_to_backfill(self) -> int:
        return self._backfill.waiting_minutes

    async def serve(self, stopping: asyncio.Event) -> None:
        """Until `stopping`; then what was read is written. Raises `LogError` when the log fails."""
        producers = [
            asyncio.create_task(self._ticker.run(self._put)),
            asyncio.create_task(self._backfill.run()),
        ]
        if self._run.config.mode == "live":
            producers.append(asyncio.create_task(self._beat()))
        writer = asyncio.create_task(self._write())
        stop = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait([*producers, writer, stop], return_when=asyncio.FIRST_COMPLETED)
            for task in (*producers, writer):
                if task.done():
                    task.result()  # a failure of ours ends the process, which is started again
        finally:
            stop.cancel()
            for task in producers:
                task.cancel()
            await asyncio.gather(*producers, stop, return_exceptions=True)
            await self._drain(writer)
            self._pool.shutdown()
            self._save_counts()

    async def _put(self, frame: Frame) -> None:
        await self._queue.put(frame)
        if isinstance(frame, Up):
            self._run.mark_ready("ingest")

    async def _beat(self) -> None:
        while True:
            await self._queue.put(Beat())
            await asyncio.sleep(HEARTBEAT_S)

    async def _drain(self, writer: asyncio.Task[None]) -> None:
        if not writer.done():
            await self._queue.join()
        writer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writer

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        saved_at = loop.time()
        while True:
            batch, taken = Batch(), 1
            self._translator.take(await self._queue.get(), batch)
            while not self._queue.empty() and taken < BATCH_FRAMES and batch.size < BATCH_BYTES:
                self._translator.take(self._queue.get_nowait(), batch)
                taken += 1
            await loop.run_in_executor(self._pool, self._append, batch)
            for silence in batch.silences:
                self._backfill.missed(silence)
            for _ in range(taken):
                self._queue.task_done()
            if self._said != self.counts.feed or loop.time() - saved_at > COUNTS_EVERY_S:
                self._said = self.counts.feed
                saved_at = loop.time()
                self._save_counts()

    def _append(self, batch: Batch) -> None:
        if batch.ticks:
            self._log.append(TICKS.name, batch.ticks)
        if batch.letters:
            self._log.append(DEAD_LETTER.name, batch.letters)
        if batch.alarms:
            self._log.append(SESSION.name, batch.alarms)

    async def _append_to(self, topic: str, values: Sequence[bytes]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._pool, self._log.append, topic, values)

    def _save_counts(self) -> None:
        self.counts.backfilled_bars += self._backfill.take_count()
        self.counts.minutes_to_backfill = self._backfill.waiting_minutes
        path: Path = self._run.folder / COUNTS_FILE
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(self.counts))
        fresh.replace(path)


def _counts_so_far(run: Run) -> Counts | None:
    """Those of an earlier incarnation; a damaged file starts again from nothing."""
    try:
        return msgspec.json.decode((run.folder / COUNTS_FILE).read_bytes(), type=Counts)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        return None


async def serve(run: Run, log: EventLog, tokens: Sequence[int]) -> None:
    """Ingest until SIGTERM."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await Ingester(run, log, tokens).serve(stopping)


def main(run: Run) -> int:
    """Exit 0 after SIGTERM with everything written; 1 with one line when the log or the input fails."""
    try:
        tokens = [one.token for one in run.parameters().instruments]  # not the whole file of the day
        log = open_log(run)
        try:
            uvloop.run(serve(run, log, tokens))
        finally:
            log.close()
    except (OSError, ValueError, msgspec.MsgspecError, LogError, CalendarError) as err:
        sys.stderr.write(f"ingest: {err}\n")
        return 1
    return 0
