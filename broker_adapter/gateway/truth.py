"""Finding out what became of our orders: order frames are hints, the broker's book is the truth."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from broker_adapter.gateway.desk import Desk, OrderFile
from broker_adapter.gateway.scribe import Scribe
from broker_adapter.kite.client import BrokerReadError
from broker_adapter.kite.clock import SessionClock
from broker_adapter.kite.limits import RateLimits
from broker_adapter.kite.parse import RowError, order_report
from kitepilot.ports import Broker, OrderReport, TradeReport

POLL_S = 1.0
HURRIED_POLL_S = 0.25  # while an outcome is unknown or trades are missing
FULL_LOOK_S = 5.0  # also without an order of ours that is live: a late fill may come after the end
ONE_BY_ONE = 3  # orders whose trades are asked singly; more are read in one go


class OrderTruthFinder:
    """Reads the broker's side and tells the desk. All methods run on the event loop."""

    def __init__(
        self, broker: Broker, desk: Desk, scribe: Scribe, clock: SessionClock, limits: RateLimits
    ) -> None:
        self._broker = broker
        self._desk = desk
        self._scribe = scribe
        self._clock = clock
        self._limits = limits
        self._pool = ThreadPoolExecutor(2, "book")
        self._hint = asyncio.Event()
        self._looked_at = 0.0

    def close(self) -> None:
        self._pool.shutdown()

    async def heard(self, row: dict[str, Any]) -> None:
        """An order frame. A row we cannot read is no truth: the book is looked up instead."""
        try:
            report = order_report(row)
        except RowError as err:
            sys.stderr.write(f"gateway: order frame: {err}\n")
            self.hint()
            return
        await self._hear(report)

    def hint(self) -> None:
        """Something happened: look soon."""
        self._hint.set()

    async def run(self) -> None:
        """Look on every hint and at least once a second while orders are live. Ends by cancellation."""
        while True:
            hurried = any(file.hungry or not file.order_id for file in self._desk.live())
            hinted = await self._wait(HURRIED_POLL_S if hurried else POLL_S)
            try:
                await self._eat()
                if not hinted or self._due():
                    await self.look()
            except BrokerReadError as err:
                sys.stderr.write(f"gateway: {err}\n")

    async def look(self) -> None:
        """Read the whole book once and settle everything it says.

        Raises:
            BrokerReadError: the book could not be read.
        """
        idle = not self._desk.live()
        if idle and not self._due():
            return
        self._looked_at = time.monotonic()
        started = time.time_ns()
        present = set()
        for report in await self._read(self._broker.orders):
            file = await self._hear(report)
            if file is not None:
                present.add(file.tag)
        await self._eat()
        for file in self._desk.live():
            if file.tag not in present and 0 < file.missing_wall < started:
                change = self._desk.missed(file, self._clock.now(), time.time_ns())
                if change is not None:
                    await self._scribe.post([change])

    def _due(self) -> bool:
        age = time.monotonic() - self._looked_at
        return age >= (POLL_S if self._desk.live() else FULL_LOOK_S)

    async def _wait(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await self._hint.wait()
        except TimeoutError:
            return False
        self._hint.clear()
        return True

    async def _hear(self, report: OrderReport) -> OrderFile | None:
        found = self._desk.hear(report, self._clock.now())
        if found is None:
            return None
        file, change = found
        if file.hungry:
            self.hint()
        if change is not None:
            await self._scribe.post([change])
            self._warn(file)
        return file

    async def _eat(self) -> None:
        """Read the trades of every order that claims more fills than we have."""
        hungry = [file for file in self._desk.live() if file.hungry and file.order_id]
        if not hungry:
            return
        if len(hungry) <= ONE_BY_ONE:
            reads = [self._read(partial(self._broker.trades, file.order_id)) for file in hungry]
            lists = await asyncio.gather(*reads)
        else:
            lists = _by_order(await self._read(self._broker.trades), hungry)
        now = self._clock.now()
        changes = [self._desk.fill(file, trades, now) for file, trades in zip(hungry, lists, strict=True)]
        for file in hungry:
            self._warn(file)
        await self._scribe.post([change for change in changes if change is not None])

    async def _read(self, request: Any) -> Any:
        async with self._limits.sending("other"):
            return await asyncio.get_running_loop().run_in_executor(self._pool, request)

    @staticmethod
    def _warn(file: OrderFile) -> None:
        if file.seen.alarm:
            sys.stderr.write(f"gateway: order {file.order_id} ({file.tag}): {file.seen.alarm}\n")


def _by_order(trades: list[TradeReport], files: list[OrderFile]) -> list[list[TradeReport]]:
    held: dict[str, list[TradeReport]] = defaultdict(list)
    for trade in trades:
        held[trade.order_id].append(trade)
    return [held[file.order_id] for file in files]
