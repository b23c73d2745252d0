"""Finding out what became of our orders: frames and postbacks are hints, the broker's book is the truth.

An order whose outcome is unknown is looked for by its tag until that is proven: found, or absent from the
whole book in three looks over fifteen seconds of the session (and two of the machine, for a request that is
still on its way). A request that "timed out" was seen live eight seconds later; one stuck in the broker's
order system for ninety seconds is in the book all that time, in a status of its own (Kite forum discussions
35732 and 41029).
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

from broker_adapter.gateway.desk import Desk, OrderFile
from broker_adapter.gateway.scribe import Scribe
from broker_adapter.kite.client import BrokerReadError
from broker_adapter.kite.clock import Machine, SessionClock
from broker_adapter.kite.limits import RateLimits
from broker_adapter.kite.parse import RowError, order_report
from kitepilot.ports import Broker, OrderReport, TradeReport

POLL_S = 1.0
HURRIED_POLL_S = 0.25  # while an outcome is unknown or trades are missing
FULL_LOOK_S = 5.0  # also without an order of ours that is live: a late fill may come after the end
ONE_BY_ONE = 3  # orders whose trades are asked singly; more are read in one go


class Account(Protocol):
    """Whoever minds what is not about our own orders: see `account_watch`."""

    async def adopt(self, report: OrderReport) -> None: ...

    async def eat(self) -> None: ...

    async def alarm(self, kind: str, subject: str, detail: str, *, halts: bool) -> None: ...


class OrderTruthFinder:
    """Reads the broker's side and tells the desk. All methods run on the event loop."""

    def __init__(
        self,
        broker: Broker,
        desk: Desk,
        scribe: Scribe,
        clock: SessionClock,
        limits: RateLimits,
        machine: Machine = time,
    ) -> None:
        self._machine = machine
        self._broker = broker
        self._desk = desk
        self._scribe = scribe
        self._clock = clock
        self._limits = limits
        self._pool = ThreadPoolExecutor(2, "book")
        self._hint = asyncio.Event()
        self._looked_at = 0.0
        self._alarmed: set[str] = set()  # tags, one alarm each
        self.account: Account | None = None

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
        if self._desk.knows(report):
            await self.hear(report)
        else:  # a frame may lack the tag: only the book says whose order it is
            self._looked_at = 0.0
            self.hint()

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
                if self.account is not None:
                    await self.account.eat()
                if not hinted or self._due():
                    await self.look()
            except (BrokerReadError, RowError) as err:
                sys.stderr.write(f"gateway: {err}\n")

    async def look(self) -> None:
        """Read the whole book once and settle everything it says.

        Raises:
            BrokerReadError: the book could not be read.
        """
        idle = not self._desk.live()
        if idle and not self._due():
            return
        self._looked_at = self._machine.monotonic()
        started = self._machine.monotonic_ns()
        present = set()
        reports = await self.read(self._broker.orders)
        self._limits.counted(len(reports))  # orders placed by hand count to the day as well
        for report in reports:
            file = await self.hear(report)
            if file is not None:
                present.add(file.tag)
        await self._eat()
        for file in self._desk.live():
            if file.tag not in present and 0 < file.missing_steady < started:
                change = self._desk.missed(file, self._clock.now(), self._machine.monotonic_ns())
                if change is not None:
                    await self._scribe.post([change])

    def _due(self) -> bool:
        age = self._machine.monotonic() - self._looked_at
        return age >= (POLL_S if self._desk.live() else FULL_LOOK_S)

    async def _wait(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await self._hint.wait()
        except TimeoutError:
            return False
        self._hint.clear()
        return True

    async def hear(self, report: OrderReport) -> OrderFile | None:
        """A row from any source, in any order: the merge only goes forward. None: not an order of ours."""
        found = self._desk.hear(report, self._clock.now())
        if found is None:
            if self.account is not None:
                await self.account.adopt(report)
            return None
        file, change = found
        if file.hungry:
            self.hint()
        if change is not None:
            await self._scribe.post([change])
            await self._warn(file)
        return file

    async def take_trades(self, trades: list[TradeReport]) -> None:
        """Trades of any orders: those of ours that are not journaled yet are."""
        ours = {t.order_id: self._desk.of_order(t.order_id) for t in trades}
        files = [file for file in ours.values() if file is not None]
        await self._fill(files, _by_order(trades, files))

    async def _eat(self) -> None:
        """Read the trades of every order that claims more fills than we have."""
        hungry = [file for file in self._desk.live() if file.hungry and file.order_id]
        if not hungry:
            return
        if len(hungry) <= ONE_BY_ONE:
            reads = [self.read(partial(self._broker.trades, file.order_id)) for file in hungry]
            lists = await asyncio.gather(*reads)
        else:
            lists = _by_order(await self.read(self._broker.trades), hungry)
        await self._fill(hungry, lists)

    async def _fill(self, files: list[OrderFile], lists: list[list[TradeReport]]) -> None:
        now = self._clock.now()
        changes = [self._desk.fill(file, trades, now) for file, trades in zip(files, lists, strict=True)]
        fresh = [change for change in changes if change is not None]
        if fresh:
            await self._scribe.post(fresh)
        for file in files:
            await self._warn(file)

    async def read(self, request: Any) -> Any:
        """One read of the broker, within its rate. Raises `BrokerReadError`."""
        async with self._limits.sending("other"):
            return await asyncio.get_running_loop().run_in_executor(self._pool, request)

    async def _warn(self, file: OrderFile) -> None:
        """What cannot be of an order is for a person, once: nothing new is opened until he has looked."""
        if file.seen.alarm and file.tag not in self._alarmed and self.account is not None:
            self._alarmed.add(file.tag)
            await self.account.alarm("order", file.order_id, f"{file.tag}: {file.seen.alarm}", halts=True)


def _by_order(trades: list[TradeReport], files: list[OrderFile]) -> list[list[TradeReport]]:
    held: dict[str, list[TradeReport]] = defaultdict(list)
    for trade in trades:
        held[trade.order_id].append(trade)
    return [held[file.order_id] for file in files]
