"""Keeps the journal and the broker's account equal: adopts what is not ours, reconciles, tells what it found.

On the start before any intent is taken, each minute of session time, at the end of the day, and at once when
an exit finds nobody to trade with. It only reads.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from enum import StrEnum

from broker_adapter.gateway.books import BrokerView
from broker_adapter.gateway.findings import Findings, alarm
from broker_adapter.gateway.foreign import SOURCE, ForeignDesk
from broker_adapter.gateway.reconcile import Verdict, compare, outcome, standing, verdict
from broker_adapter.gateway.truth import OrderTruthFinder
from broker_adapter.kite.breaker import BreakerState
from broker_adapter.kite.client import BrokerReadError
from broker_adapter.kite.clock import SECOND_NS, Machine, SessionClock
from broker_adapter.kite.parse import RowError
from kitepilot.events import Difference, Reconciled
from kitepilot.orders.intents import parse_tag
from kitepilot.ports import Broker, OrderReport, TradeReport

EVERY_NS = 60 * SECOND_NS
LEAST_GAP_S = 2.0  # of machine time: a fast session has a minute many times a second
LOOKS = 5  # a difference must stand in each of them
LOOK_GAP_S = 0.5  # of machine time, or a second of the session's if that is sooner
TRADE_READS = 3  # at most, to find two that are equal


BREAKER_POLL_S = 0.2
BREAKER_CHANGES = 1_000  # kept at most

BreakerChange = tuple[str, BreakerState, BreakerState, str]  # name, before, after, reason


class Occasion(StrEnum):
    """Why a reconciliation was made."""

    START = "start"
    MINUTE = "minute"
    END_OF_DAY = "end_of_day"
    EXIT_LADDER = "exit_ladder"


class AccountWatch:
    """One run's watch over the account. All methods run on the event loop."""

    def __init__(
        self,
        run_id: str,
        broker: Broker,
        truth: OrderTruthFinder,
        findings: Findings,
        clock: SessionClock,
        machine: Machine = time,
    ) -> None:
        self._machine = machine
        self._run_id = run_id
        self._broker = broker
        self._truth = truth
        self._findings = findings
        self._clock = clock
        self._foreign = ForeignDesk(run_id)
        self._turn = asyncio.Lock()
        self._asked = asyncio.Event()
        self._unreadable = False

    async def restore(self) -> None:
        """Take up what an earlier gateway told of foreign orders."""
        for told, trades in await self._findings.restore():
            self._foreign.restore(told, trades)

    async def adopt(self, report: OrderReport) -> None:
        """A row of the book or a frame about an order that is not ours."""
        await self._findings.tell(self._foreign.hear(report, self._clock.now()))
        if self._foreign.hungry():
            self._truth.hint()

    async def eat(self) -> None:
        """Read the trades of foreign orders that claim more than we have.

        Raises:
            BrokerReadError: they could not be read.
        """
        if self._foreign.hungry():
            await self._take_trades(await self._truth.read(self._broker.trades))

    async def alarm(self, kind: str, subject: str, detail: str, *, halts: bool, state: str = "") -> None:
        """Something a person should look at. `state`: of a breaker."""
        sys.stderr.write(f"gateway: {kind} {subject}: {detail}\n")
        now = self._clock.now()
        await self._findings.tell([alarm(self._run_id, now, kind, subject, detail, halts=halts, state=state)])

    async def follow_breakers(self, changes: deque[BreakerChange]) -> None:
        """Raise an alarm for each change that other threads append. Ends by cancellation."""
        while True:
            while changes:
                name, before, after, reason = changes.popleft()
                told = f"{before} to {after}: {reason}"
                await self.alarm("breaker", name, told, halts=False, state=after.value)
            await asyncio.sleep(BREAKER_POLL_S)

    def ask_broker(self) -> None:
        """An exit finds nobody: reconcile now."""
        self._asked.set()

    async def run(self) -> None:
        """Each minute of session time and whenever asked. Ends by cancellation."""
        due, last = self._next_minute(), 0.0
        while True:
            asked = await self._wait(due)
            due = self._next_minute()
            if not asked and self._machine.monotonic() - last < LEAST_GAP_S:
                continue
            await self.reconcile(Occasion.EXIT_LADDER if asked else Occasion.MINUTE)
            last = self._machine.monotonic()

    async def reconcile(self, occasion: Occasion) -> Verdict | None:
        """Compare, look again while anything differs, tell the result. None: the broker cannot be read."""
        async with self._turn:
            try:
                looks, view = await self._looks()
            except (BrokerReadError, RowError) as err:
                await self._say_unreadable(occasion, str(err))
                return None
            self._unreadable = False
            found = verdict(looks)
            result = Reconciled(
                source=SOURCE,
                seq=0,
                event_at=self._clock.now(),
                run_id=self._run_id,
                occasion=occasion,
                orders=len(view.orders),
                trades=len(view.trades),
                positions=len(view.positions),
                differences=tuple(outcome(looks)),
                verdict=found,
            )
            await self._findings.tell([result])
            return found

    async def _looks(self) -> tuple[list[list[Difference]], BrokerView]:
        """Until the books are equal, or `LOOKS` times; each look tells the desk what it read."""
        looks: list[list[Difference]] = []
        while True:
            view = await self._broker_view()
            await self._findings.told()
            journal = await self._findings.journal([row.tag for row in view.orders if parse_tag(row.tag)])
            looks.append(compare(view, journal))
            if not standing(looks) or len(looks) == LOOKS:
                return looks, view
            if len(looks) > 1:
                await self._heal(view)
            await self._clock.reached(self._clock.now() + SECOND_NS, LOOK_GAP_S)

    async def _heal(self, view: BrokerView) -> None:
        """Everything that was read is heard as any other news: the merge only goes forward."""
        for row in view.orders:
            await self._truth.hear(row)
        await self._truth.take_trades(list(view.trades))
        await self._take_trades(list(view.trades))

    async def _take_trades(self, trades: list[TradeReport]) -> None:
        await self._findings.tell(self._foreign.fill(trades, self._clock.now()))

    async def _broker_view(self) -> BrokerView:
        """Trades, positions, orders, trades again: equal trades frame a still picture."""
        before = await self._truth.read(self._broker.trades)
        for _ in range(TRADE_READS):
            positions = await self._truth.read(self._broker.positions)
            orders = await self._truth.read(self._broker.orders)
            after = await self._truth.read(self._broker.trades)
            quiet = _keys(before) == _keys(after)
            if quiet:
                break
            before = after
        return BrokerView(tuple(orders), tuple(after), tuple(positions), quiet)

    async def _say_unreadable(self, occasion: Occasion, why: str) -> None:
        """Once, until it can be read again. A start on unread books opens nothing."""
        if not self._unreadable:
            self._unreadable = True
            halts = occasion is Occasion.START
            await self.alarm("reconciliation", occasion, f"the broker's books: {why}", halts=halts)

    async def _wait(self, due: int) -> bool:
        """Until `due` (session ns), or asked; whether it was asked."""
        while not self._asked.is_set() and self._clock.now() < due:
            asked = asyncio.create_task(self._asked.wait())
            reached = asyncio.create_task(self._clock.reached(due, 1.0))
            try:
                await asyncio.wait([asked, reached], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (asked, reached):
                    task.cancel()
        was_asked = self._asked.is_set()
        self._asked.clear()
        return was_asked

    def _next_minute(self) -> int:
        return (self._clock.now() // EVERY_NS + 1) * EVERY_NS


def _keys(trades: list[TradeReport]) -> set[tuple[str, str]]:
    return {(trade.order_id, trade.trade_id) for trade in trades}
