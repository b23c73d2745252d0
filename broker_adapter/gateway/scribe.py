"""Writing and publishing in one order: changes are journaled, then told, by one task each.

Changes that wait together share a transaction. What is journaled goes to the log in the order of its
numbers; how far that went is noted lazily, since repeating it is harmless.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

from broker_adapter.gateway.desk import Change
from broker_adapter.gateway.journal import Entry, Journal
from broker_adapter.kite.clock import Machine
from kitepilot.events import encode
from kitepilot.ports import EventLog
from kitepilot.topics import ORDERS, SESSION

BATCH = 100
QUEUED = 1_000
NOTE_EVERY_S = 0.2


class _Work(NamedTuple):
    changes: Sequence[Change]
    done: asyncio.Future[None]


class Scribe:
    """The journal's only writer and the log's only publisher of this process."""

    def __init__(self, journal: Journal, log: EventLog, machine: Machine = time) -> None:
        self._machine = machine
        self._journal = journal
        self._log = log
        self._work: asyncio.Queue[_Work] = asyncio.Queue(QUEUED)
        self._outbox: asyncio.Queue[list[Entry]] = asyncio.Queue(QUEUED)
        self._open_thread = ThreadPoolExecutor(1, "open")
        self._journal_thread = ThreadPoolExecutor(1, "journal")
        self._log_thread = ThreadPoolExecutor(1, "publish")
        self._published = 0
        self._noted = 0
        self._busy: dict[object, float] = {}  # writes that have not returned: since when

    async def open(self, changes: Sequence[Change], next_intent: int) -> None:
        """New orders: returns once they are durable; they wait behind nothing, and their lines follow."""
        loop = asyncio.get_running_loop()
        with self._at_work():
            await loop.run_in_executor(self._open_thread, self._journal.open, changes, next_intent)
        if changes:
            await self.post(changes)

    async def write(self, changes: Sequence[Change]) -> None:
        """Returns once the changes are durable. Calls are written in the order they were made."""
        done = await self.post(changes)
        await done

    async def post(self, changes: Sequence[Change]) -> asyncio.Future[None]:
        """Hand changes in and do not wait for the disk; the future completes when they are durable."""
        done = asyncio.get_running_loop().create_future()
        await self._work.put(_Work(changes, done))
        return done

    async def republish(self, entries: list[Entry]) -> None:
        """What an earlier process journaled and perhaps did not tell, under the same numbers."""
        if entries:
            await self._outbox.put(entries)

    async def run(self) -> None:
        """Ends by cancellation or with the first failure: a gateway without a journal must not go on."""
        await asyncio.gather(self._journaling(), self._publishing(), self._noting())

    async def drain(self) -> None:
        """Everything handed in so far is durable and on the log."""
        await self._work.join()
        await self._outbox.join()
        await self._note()

    def stuck_s(self) -> float:
        """How long the oldest write to the journal or the log has not returned; 0 when none is on its way."""
        return self._machine.monotonic() - min(self._busy.values()) if self._busy else 0.0

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        work = object()
        self._busy[work] = self._machine.monotonic()
        try:
            yield
        finally:
            del self._busy[work]

    def close(self) -> None:
        self._open_thread.shutdown()
        self._journal_thread.shutdown()
        self._log_thread.shutdown()

    async def _journaling(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            works = [await self._work.get()]
            while not self._work.empty() and len(works) < BATCH:
                works.append(self._work.get_nowait())
            changes = [change for work in works for change in work.changes]
            with self._at_work():
                entries = await loop.run_in_executor(self._journal_thread, self._journal.write, changes)
            if entries:
                await self._outbox.put(entries)
            for work in works:
                if not work.done.done():
                    work.done.set_result(None)
                self._work.task_done()

    async def _publishing(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            taken = 1
            entries = await self._outbox.get()
            while not self._outbox.empty() and len(entries) < BATCH:
                entries = entries + self._outbox.get_nowait()
                taken += 1
            with self._at_work():
                await loop.run_in_executor(self._log_thread, self._publish, entries)
            self._published = entries[-1].seq + 1
            for _ in range(taken):
                self._outbox.task_done()

    def _publish(self, entries: list[Entry]) -> None:
        now = self._machine.time_ns()
        told = [encode(entry.told, emitted_at=now) for entry in entries if entry.told is not None]
        if told:
            self._log.append(SESSION.name, told)
        self._log.append(ORDERS.name, [encode(entry.journaled, emitted_at=now) for entry in entries])

    async def _noting(self) -> None:
        while True:
            await asyncio.sleep(NOTE_EVERY_S)
            await self._note()

    async def _note(self) -> None:
        upto = self._published
        if upto > self._noted:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._journal_thread, self._journal.published, upto)
            self._noted = upto
