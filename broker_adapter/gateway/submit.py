"""Sending: once, in order per instrument, within the rate the broker allows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from broker_adapter.kite.clock import SECOND_NS, SessionClock
from kitepilot.config import RiskSection
from kitepilot.events import ApprovedIntent, Purpose
from kitepilot.ports import Broker, Outcome, Rejected, Throttled

THREADS = 4
KITE_ORDERS_PER_SECOND = 10  # per client account, calendar second (Kite documentation, 2026-07-14)
THROTTLED_ATTEMPTS = 3
STANDSTILL_S = 1.0  # a machine second without a tick of the session clock is a second as well


class Limiter:
    """At most so many passes in each calendar second of the session clock."""

    def __init__(self, clock: SessionClock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._second = -1
        self._used = 0
        self._opened = 0.0

    async def admit(self, allowance: int) -> None:
        """Wait until fewer than `allowance` passes were given in the current second, and take one."""
        while True:
            second = self._clock.now() // SECOND_NS
            if second != self._second:
                self._open(second)
            if self._used < allowance:
                self._used += 1
                return
            came = await self._clock.reached((second + 1) * SECOND_NS, STANDSTILL_S)
            if not came and self._monotonic() - self._opened >= STANDSTILL_S:
                self._open(second)

    async def next_second(self) -> None:
        """Wait out the current second: the broker counts more in it than we do."""
        await self._clock.reached((self._clock.now() // SECOND_NS + 1) * SECOND_NS, STANDSTILL_S)

    def _open(self, second: int) -> None:
        self._second, self._used, self._opened = second, 0, self._monotonic()


class Sent(NamedTuple):
    """What came of a request, and the machine clock (ns) before it left and after its reply."""

    outcome: Outcome
    sent_at: int
    replied_at: int


class Submitter:
    """The only caller of `Broker.submit`. Exits may use the whole rate, entries leave room for them."""

    def __init__(
        self, broker: Broker, clock: SessionClock, risk: RiskSection, entries_per_second: int
    ) -> None:
        self._broker = broker
        self._risk = risk
        self._entries = min(entries_per_second, KITE_ORDERS_PER_SECOND)
        self._limiter = Limiter(clock)
        self._lanes: dict[int, asyncio.Lock] = {}
        self._pool = ThreadPoolExecutor(THREADS, "order")

    async def submit(self, intent: ApprovedIntent, tag: str) -> Sent:
        """Send one journaled intent, once unless refused unseen (429). The broker's faults are outcomes."""
        refusal = self._refusal(intent)
        if refusal is not None:
            now = time.time_ns()
            return Sent(refusal, now, now)
        async with self._lanes.setdefault(intent.token, asyncio.Lock()):
            allowance = self._entries if intent.purpose is Purpose.ENTRY else KITE_ORDERS_PER_SECOND
            for attempt in range(1, THROTTLED_ATTEMPTS + 1):
                await self._limiter.admit(allowance)
                sent = await asyncio.get_running_loop().run_in_executor(self._pool, self._send, intent, tag)
                if not isinstance(sent.outcome, Throttled) or attempt == THROTTLED_ATTEMPTS:
                    break
                # refused unseen: certain that no order exists, so sending it again doubles nothing
                await self._limiter.next_second()
            return sent

    def close(self) -> None:
        self._pool.shutdown()

    def _send(self, intent: ApprovedIntent, tag: str) -> Sent:
        sent_at = time.time_ns()
        outcome = self._broker.submit(intent, tag, intent.quantity)
        return Sent(outcome, sent_at, time.time_ns())

    def _refusal(self, intent: ApprovedIntent) -> Rejected | None:
        """The second look at the hard limits, on another path than the risk fold's. Exits are not held up."""
        limits = self._risk.limits()
        value = intent.quantity * intent.limit_price_paise
        if intent.purpose is not Purpose.ENTRY:
            return None
        if intent.quantity > limits.order_quantity:
            return Rejected("gateway_limit", f"quantity {intent.quantity} above {limits.order_quantity}")
        if value > limits.order_value_paise:
            return Rejected("gateway_limit", f"value {value} paise above {limits.order_value_paise}")
        return None
