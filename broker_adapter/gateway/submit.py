"""Sending: once, in order per instrument, within the rate the broker allows."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from broker_adapter.gateway.slicing import refusal
from broker_adapter.kite.clock import Machine
from broker_adapter.kite.limits import DayCapError, RateLimits
from infra.fence import Fence
from kitepilot.config import BrokerSection, RiskSection
from kitepilot.events import ApprovedIntent, Purpose
from kitepilot.ports import Broker, Outcome, Rejected, Throttled

THREADS = 4  # for each of entries and exits
THROTTLED_ATTEMPTS = 3
FENCED = "fenced"  # the code of what is not sent because the watchdog flattens


class Sent(NamedTuple):
    """What came of a request, and the machine clock (ns) before it left and after its reply.

    `event_at`: session time when it left, 0 where nothing left.
    """

    outcome: Outcome
    sent_at: int
    replied_at: int
    event_at: int = 0


class Submitter:
    """The only caller of `Broker.submit`. Exits may use the whole rate, entries leave room for them.

    Exits have threads and lanes of their own: an entry that waits for its turn or for an answer that does
    not come never stands before an exit, not even one of the same instrument. An exit is for shares that are
    held, so it may overtake an entry.

    While the fence stands nothing leaves, exits neither: the watchdog closes the positions, and two that
    close one would turn it. It is looked at right before each request, on the thread that sends it.
    """

    def __init__(
        self,
        broker: Broker,
        limits: RateLimits,
        risk: RiskSection,
        settings: BrokerSection,
        fence: Fence,
        machine: Machine = time,
    ) -> None:
        self._machine = machine
        self._broker = broker
        self._fence = fence
        self._risk = risk
        self._settings = settings
        self._limits = limits
        self._lanes: dict[tuple[int, bool], asyncio.Lock] = {}
        self._pools = {
            exit: ThreadPoolExecutor(THREADS, "exit" if exit else "entry") for exit in (False, True)
        }

    async def submit(self, intent: ApprovedIntent, tag: str, quantity: int) -> Sent:
        """Send one journaled child, once unless refused unseen (429). The broker's faults are outcomes."""
        refused = refusal(intent, self._risk.limits(), self._settings)
        if refused is not None:
            now = self._machine.time_ns()
            return Sent(refused, now, now)
        exit = intent.purpose is not Purpose.ENTRY
        async with self._lanes.setdefault((intent.token, exit), asyncio.Lock()):
            try:
                return await self._in_turn(intent, tag, quantity, exit)
            except DayCapError as err:
                now = self._machine.time_ns()
                return Sent(Rejected("day_cap", str(err)), now, now)

    async def _in_turn(self, intent: ApprovedIntent, tag: str, quantity: int, exit: bool) -> Sent:
        loop = asyncio.get_running_loop()
        for _ in range(THROTTLED_ATTEMPTS):
            async with self._limits.sending("order", exit):
                sent = await loop.run_in_executor(self._pools[exit], self._send, intent, tag, quantity)
            if not isinstance(sent.outcome, Throttled):
                break
            # refused unseen: certain that no order exists, so sending it again doubles nothing
            self._limits.refused("order")
        return sent

    def close(self) -> None:
        for pool in self._pools.values():
            pool.shutdown()

    def _send(self, intent: ApprovedIntent, tag: str, quantity: int) -> Sent:
        sent_at = self._machine.time_ns()
        if self._fence.stands():
            raised = self._fence.raised()
            reason = raised.reason if raised else "it was lowered just now"
            return Sent(Rejected(FENCED, f"the watchdog's fence stands: {reason}"), sent_at, sent_at)
        event_at = self._limits.now()
        outcome = self._broker.submit(intent, tag, quantity)
        return Sent(outcome, sent_at, self._machine.time_ns(), event_at)
