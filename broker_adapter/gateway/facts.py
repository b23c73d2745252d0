"""What the decisions must know of the account and the exchange besides orders: funds, circuits, the clock.

Read at the start, beside the orders and never in their way; then funds each minute of session time, circuit
limits and the clock every five. On paper the session's clock is the exchange's own: its skew is nought by
construction and is told once. What cannot be read is said on stderr and asked for again.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from broker_adapter.gateway.findings import Fact, Findings
from broker_adapter.gateway.foreign import SOURCE
from broker_adapter.kite.client import BrokerReadError
from broker_adapter.kite.clock import SECOND_NS, Machine, SessionClock
from broker_adapter.kite.limits import RateLimits, Scope
from broker_adapter.kite.parse import RowError
from kitepilot.events import BandsMarked, ClockMeasured, FundsMarked
from kitepilot.ports import BandReport, FundsReport

MINUTE_NS = 60 * SECOND_NS
FUNDS_EVERY_NS, BANDS_EVERY_NS, CLOCK_EVERY_NS = MINUTE_NS, 5 * MINUTE_NS, 5 * MINUTE_NS
AGAIN_NS = 10 * SECOND_NS  # after a read that failed
LEAST_GAP_S = 0.5  # of machine time: a fast session has a minute many times a second
T = TypeVar("T")
QUOTES_A_CALL = 500  # Kite Connect v3 documentation, read 2026-07-14


class FactSource(Protocol):
    """What is asked of the broker. Each raises `BrokerReadError` or `RowError`."""

    def funds(self) -> FundsReport: ...

    def bands(self, tradingsymbols: Sequence[str]) -> list[BandReport]: ...

    def skew_ms(self) -> int: ...


@dataclass
class _Duty:
    """One fact: how it is read, how often, and when next (session ns)."""

    name: str
    every_ns: int
    read: Callable[[], Awaitable[Fact]]
    due: int = 0


class FactsWatch:
    """One run's facts. All methods run on the event loop."""

    def __init__(
        self,
        run_id: str,
        source: FactSource,
        tradingsymbols: Sequence[str],
        findings: Findings,
        clock: SessionClock,
        limits: RateLimits,
        *,
        live: bool,
        machine: Machine = time,
    ) -> None:
        self._run_id = run_id
        self._source = source
        self._tradingsymbols = tradingsymbols
        self._findings = findings
        self._clock = clock
        self._limits = limits
        self._machine = machine
        self._duties = [
            _Duty("funds", FUNDS_EVERY_NS, self._funds),
            _Duty("circuit limits", BANDS_EVERY_NS, self._bands),
            _Duty("clock", CLOCK_EVERY_NS, self._skew if live else self._no_skew),
        ]

    async def tell_due(self) -> None:
        """Read and tell every fact whose time has come."""
        for duty in self._duties:
            now = self._clock.now()
            if now < duty.due:
                continue
            try:
                await self._findings.tell([await duty.read()])
                duty.due = now + duty.every_ns
            except (BrokerReadError, RowError) as err:
                sys.stderr.write(f"gateway: {duty.name} not known: {err}\n")
                duty.due = now + AGAIN_NS

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            began = self._machine.monotonic()
            await self.tell_due()
            await asyncio.sleep(max(began + LEAST_GAP_S - self._machine.monotonic(), 0.0))
            due = min(duty.due for duty in self._duties)
            while not await self._clock.reached(due, 1.0):
                pass

    async def _funds(self) -> FundsMarked:
        at = self._clock.now()
        report = await self._ask("other", self._source.funds)
        return FundsMarked(
            source=SOURCE,
            seq=0,
            event_at=at,
            run_id=self._run_id,
            available_paise=report.available_paise,
            used_paise=report.used_paise,
        )

    async def _bands(self) -> BandsMarked:
        found: list[BandReport] = []
        for first in range(0, len(self._tradingsymbols), QUOTES_A_CALL):
            symbols = self._tradingsymbols[first : first + QUOTES_A_CALL]
            found += await self._ask("quote", self._source.bands, symbols)
        return BandsMarked(
            source=SOURCE,
            seq=0,
            event_at=self._clock.now(),
            run_id=self._run_id,
            tokens=[band.token for band in found],
            lower_paise=[band.lower_paise for band in found],
            upper_paise=[band.upper_paise for band in found],
        )

    async def _skew(self) -> ClockMeasured:
        return self._measured(await self._ask("other", self._source.skew_ms), "broker")

    async def _no_skew(self) -> ClockMeasured:
        self._duties[-1].every_ns = 24 * 60 * MINUTE_NS
        return self._measured(0, "sandbox")

    def _measured(self, skew_ms: int, against: str) -> ClockMeasured:
        now = self._clock.now()
        return ClockMeasured(
            source=SOURCE, seq=0, event_at=now, run_id=self._run_id, skew_ms=skew_ms, against=against
        )

    async def _ask(self, scope: Scope, request: Callable[..., T], *given: object) -> T:
        """One read on a thread, within the account's limits."""
        async with self._limits.sending(scope):
            return await asyncio.to_thread(request, *given)
