"""The ingester: ticker frames to the `ticks` topic, in order, nothing dropped.

One binary frame becomes one message of n x 192-byte records; the venue's clock frames (paper) or a heartbeat
of the machine's clock (live) become clock records between them, and the feed going up or down becomes a
record too, so that time and control have a place in the order. What is queued is written in one
transaction; while the log is slow the socket waits, and TCP slows the sender.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import uvloop

from broker_adapter.kite import session
from broker_adapter.kite.ticker import Binary, Down, Frame, Text, Ticker, Up
from broker_adapter.kite.wire import BadFrame, ClockSaid, ErrorSaid, decode, read_text
from infra.eventlog import open_log
from kitepilot.events import DeadLetter, encode
from kitepilot.market.instruments import parse_instruments
from kitepilot.market.ticks import KIND_CLOCK, KIND_FEED, MAX_TEXT_BYTES, RECORD_BYTES, own_record
from kitepilot.ports import EventLog, LogError
from kitepilot.run import Run
from kitepilot.topics import DEAD_LETTER, TICKS

QUEUED_FRAMES = 256
BATCH_FRAMES = 256
BATCH_BYTES = 8 << 20
MESSAGE_RECORDS = 4_000  # 768 kB: below the log's bound for one value
COUNTS_EVERY_S = 10.0
HEARTBEAT_S = 0.1
COUNTS_FILE = "ingest_counts.json"


class Beat:
    """Live only: the moment to write a clock record from the machine's clock."""


class Counts(msgspec.Struct):
    """What this process has done so far; written to the run's folder."""

    frames: int = 0
    messages: int = 0
    ticks: int = 0
    clocks: int = 0
    bad_frames: int = 0
    connects: int = 0
    reconnects: int = 0
    server_errors: int = 0
    session_at: int = 0


class Batch(msgspec.Struct):
    """Messages for the log, in order."""

    ticks: list[bytes] = msgspec.field(default_factory=list)
    letters: list[bytes] = msgspec.field(default_factory=list)
    size: int = 0


class Translator:
    """Frames -> log messages. Pure but for its counters; `source` names this incarnation's dead letters."""

    def __init__(self, source: str) -> None:
        self.counts = Counts()
        self._source = source
        self._letters = 0

    def take(self, frame: Frame | Beat, batch: Batch) -> None:
        """Add what `frame` means to `batch`."""
        match frame:
            case Binary(received_at, raw):
                self._binary(received_at, raw, batch)
            case Text(received_at, text):
                self._text(received_at, text, batch)
            case Up(received_at):
                self.counts.connects += 1
                self.counts.reconnects = self.counts.connects - 1
                self._own(KIND_FEED, self.counts.session_at, received_at, batch, "up")
            case Down(received_at, reason):
                self._own(KIND_FEED, self.counts.session_at, received_at, batch, f"down {reason}")
            case Beat():
                now = time.time_ns()
                self._clock(now, now, batch)

    def _binary(self, received_at: int, raw: bytes, batch: Batch) -> None:
        self.counts.frames += 1
        decoded = decode(raw, received_at)
        step = MESSAGE_RECORDS * RECORD_BYTES
        for start in range(0, len(decoded.records), step):
            self._add(decoded.records[start : start + step], batch)
        self.counts.ticks += len(decoded.records) // RECORD_BYTES
        for bad in decoded.bad:
            self._letter(bad, batch)

    def _text(self, received_at: int, text: str, batch: Batch) -> None:
        match read_text(text):
            case ClockSaid(session_ns):
                self._clock(session_ns, received_at, batch)
            case BadFrame() as bad:
                self._letter(bad, batch)
            case ErrorSaid(said):
                self.counts.server_errors += 1
                sys.stderr.write(f"ingest: the ticker server says: {said[:500]}\n")

    def _clock(self, session_ns: int, received_at: int, batch: Batch) -> None:
        self.counts.clocks += 1
        self.counts.session_at = session_ns
        self._own(KIND_CLOCK, session_ns, received_at, batch)

    def _own(self, kind: int, event_at: int, received_at: int, batch: Batch, text: str = "") -> None:
        short = text.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")
        self._add(own_record(kind, event_at, received_at, short), batch)

    def _add(self, message: bytes, batch: Batch) -> None:
        batch.ticks.append(message)
        batch.size += len(message)
        self.counts.messages += 1

    def _letter(self, bad: BadFrame, batch: Batch) -> None:
        self.counts.bad_frames += 1
        letter = DeadLetter(
            source=self._source,
            seq=self._letters,
            event_at=self.counts.session_at,
            reason="bad_frame",
            topic=TICKS.name,
            partition=0,
            offset=-1,  # it never had a place on the log
            count=1,
            detail=bad.reason,
            payload=bad.raw,
        )
        self._letters += 1
        batch.letters.append(encode(letter, emitted_at=time.time_ns()))
        batch.size += len(bad.raw)


class Ingester:
    """The queue between socket and log, and the tasks on either side of it."""

    def __init__(self, run: Run, log: EventLog, tokens: Sequence[int]) -> None:
        self._run = run
        self._log = log
        self._queue: asyncio.Queue[Frame | Beat] = asyncio.Queue(QUEUED_FRAMES)
        self._translator = Translator(f"ingest-{time.time_ns()}")
        broker = run.config.broker
        self._ticker = Ticker(
            broker.ticker_url,
            broker.api_key,
            lambda: session.load(run).access_token,
            tokens=tokens,
            idle_timeout_s=broker.idle_timeout_s,
        )
        self._pool = ThreadPoolExecutor(1, "log")

    @property
    def counts(self) -> Counts:
        return self._translator.counts

    async def serve(self, stopping: asyncio.Event) -> None:
        """Until `stopping`; then what was read is written. Raises `LogError` when the log fails."""
        producers: list[asyncio.Task[None]] = [asyncio.create_task(self._ticker.run(self._put))]
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
            for _ in range(taken):
                self._queue.task_done()
            if loop.time() - saved_at > COUNTS_EVERY_S:
                saved_at = loop.time()
                self._save_counts()

    def _append(self, batch: Batch) -> None:
        if batch.ticks:
            self._log.append(TICKS.name, batch.ticks)
        if batch.letters:
            self._log.append(DEAD_LETTER.name, batch.letters)

    def _save_counts(self) -> None:
        path: Path = self._run.folder / COUNTS_FILE
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(self.counts))
        fresh.replace(path)


async def serve(run: Run, log: EventLog, tokens: Sequence[int]) -> None:
    """Ingest until SIGTERM."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await Ingester(run, log, tokens).serve(stopping)


def main(run: Run) -> int:
    """Exit 0 after SIGTERM with everything written; 1 with one line when the log or the input fails."""
    try:
        tokens = [i.token for i in parse_instruments((run.folder / "instruments.csv").read_bytes())]
        log = open_log(run)
        try:
            uvloop.run(serve(run, log, tokens))
        finally:
            log.close()
    except (OSError, ValueError, LogError) as err:
        sys.stderr.write(f"ingest: {err}\n")
        return 1
    return 0
