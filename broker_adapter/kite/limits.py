"""Waiting for leave to send: the limits of `allowances` on a clock, for the event loop and for threads.

Exits and cancels pass before entries and may use the whole of Kite's allowance; within a class it is first
come, first served. While the session clock stands still (before the start, held by the decisions) a second
of the machine counts as a second, so that nobody waits for ever.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from broker_adapter.kite.allowances import (
    SECOND_NS,
    Allowances,
    DayCapError,
    EntryShares,
    ModificationCapError,
    Pass,
    Scope,
)
from broker_adapter.kite.clock import SessionClock
from kitepilot.config import BrokerSection
from kitepilot.ports import Clock

__all__ = ["BlockingLimits", "DayCapError", "EntryShares", "ModificationCapError", "RateLimits", "Scope"]

ARRIVES_WITHIN_NS = 150_000_000  # a request let go and not followed: by then it has arrived, or is lost
STANDSTILL_S = 1.0  # a machine second without a tick of the session clock is a second as well
Monotonic = Callable[[], float]


def shares_of(broker: BrokerSection) -> EntryShares:
    """Entries' part of Kite's allowances, as configured."""
    return EntryShares(broker.orders_per_second, broker.orders_per_minute, broker.orders_per_day)


class PatientTime:
    """Session time that goes on by machine seconds while the session clock stands still.

    A clock that we were slow to hear looks as if it stood. Its frames then come all at once, so what it gains
    in the second after a standstill is taken from what was added meanwhile: no time counts twice.
    """

    def __init__(self, clock: Clock, monotonic: Monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._last = clock.now()
        self._moved = monotonic()
        self._owed = 0
        self._owed_until = self._moved
        self.added = 0

    def now(self) -> int:
        session, machine = self._clock.now(), self._monotonic()
        stood = int((machine - self._moved) / STANDSTILL_S)
        if session != self._last:
            self._repay(session - self._last, machine)
            self._last, self._moved = session, machine
        elif stood:
            self.added += stood * SECOND_NS
            self._owed += stood * SECOND_NS
            self._owed_until = machine + STANDSTILL_S
            self._moved += stood * STANDSTILL_S
        return session + self.added

    def _repay(self, gained: int, machine: float) -> None:
        if machine > self._owed_until:
            self._owed = 0
        caught_up = min(self._owed, gained)
        self._owed -= caught_up
        self.added -= caught_up


class RateLimits:
    """For one event loop. One object for all requests of an account in a process."""

    def __init__(
        self,
        clock: SessionClock,
        shares: EntryShares,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        self._clock = clock
        self._time = PatientTime(clock, monotonic)
        self._allowances = Allowances(shares)
        self._lanes: dict[tuple[Scope, bool], asyncio.Lock] = {}
        self._exits: dict[Scope, int] = {}
        self._exit_passed = asyncio.Event()

    def now(self) -> int:
        """Session time, ns UTC: what the requests' stamps are of."""
        return self._clock.now()

    async def admit(self, scope: Scope, exit: bool = False) -> None:
        """Wait for leave to send one request and take it; nobody tells of its answer.

        Raises:
            DayCapError: an entry past its share of the day's placements.
        """
        await self._pass(scope, exit=exit, held=False)

    @asynccontextmanager
    async def sending(self, scope: Scope, exit: bool = False) -> AsyncIterator[None]:
        """`admit`, and the place is kept until the request inside was answered: exact at any delay."""
        granted = await self._pass(scope, exit=exit, held=True)
        try:
            yield
        finally:
            self._allowances.answered(granted, self._time.now() + self._clock.coarse_ns)

    def refused(self, scope: Scope) -> None:
        """The broker said 429: let nobody pass for a second."""
        self._allowances.refused(scope, self._time.now() + self._clock.coarse_ns)

    def counted(self, placed_today: int) -> None:
        """So many placements are known of today (journal, broker's book); call it at the start."""
        self._allowances.counted(placed_today)

    def modify(self, order_id: str) -> None:
        """Count one modification of an order. Raises `ModificationCapError` past Kite's 25."""
        self._allowances.modify(order_id)

    @property
    def placed_today(self) -> int:
        return self._allowances.placed_today

    async def _pass(self, scope: Scope, *, exit: bool, held: bool) -> Pass:
        lane = _lane(scope)
        within = None if held else ARRIVES_WITHIN_NS + self._clock.coarse_ns
        self._exits[lane] = self._exits.get(lane, 0) + exit
        try:
            async with self._lanes.setdefault((lane, exit), asyncio.Lock()):  # it serves in order
                while True:
                    if not exit and self._exits.get(lane, 0):
                        await self._exit_passed.wait()
                        continue
                    granted = self._allowances.take(
                        scope, self._time.now(), exit=exit, arrives_within_ns=within
                    )
                    if isinstance(granted, Pass):
                        return granted
                    await self._clock.reached(granted - self._time.added, STANDSTILL_S)
        finally:
            if exit:
                self._exits[lane] -= 1
                self._exit_passed.set()
                self._exit_passed = asyncio.Event()


class BlockingLimits:
    """The same for threads (the command line): waits by sleeping on the machine's clock."""

    def __init__(
        self,
        clock: Clock,
        shares: EntryShares,
        monotonic: Monotonic = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._time = PatientTime(clock, monotonic)
        self._allowances = Allowances(shares)
        self._turn = threading.Lock()
        self._sleep = sleep

    def admit(self, scope: Scope, exit: bool = False) -> None:
        """As `RateLimits.admit`, blocking."""
        self._pass(scope, exit=exit, held=False)

    @contextmanager
    def sending(self, scope: Scope, exit: bool = False) -> Iterator[None]:
        """As `RateLimits.sending`, blocking."""
        granted = self._pass(scope, exit=exit, held=True)
        try:
            yield
        finally:
            with self._turn:
                self._allowances.answered(granted, self._time.now())

    def _pass(self, scope: Scope, *, exit: bool, held: bool) -> Pass:
        within = None if held else ARRIVES_WITHIN_NS
        while True:
            with self._turn:
                now = self._time.now()
                granted = self._allowances.take(scope, now, exit=exit, arrives_within_ns=within)
            if isinstance(granted, Pass):
                return granted
            self._sleep(min((granted - now) / SECOND_NS, STANDSTILL_S))


def _lane(scope: Scope) -> Scope:
    """Changes of orders wait with orders: they share one allowance."""
    return "order" if scope == "change" else scope
