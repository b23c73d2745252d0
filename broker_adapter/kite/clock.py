"""Two clocks behind `kitepilot.ports.Clock`: the venue's (paper), the machine's (live)."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

SECOND_NS = 1_000_000_000
MOST_COARSE_NS = 500_000_000  # the sandbox plays slices of half a second at most
MOST_BEHIND_NS = 2_000_000_000
STILL_S = 0.25  # machine seconds without a frame: not behind, the session stands still
FRAMES = 16  # over which the pace is measured


class Machine(Protocol):
    """The clocks of the machine a process runs on. The real one is the module `time`."""

    def time_ns(self) -> int:
        """Wall clock, ns UTC; a time service may step it either way."""
        ...

    def monotonic(self) -> float:
        """Seconds from any point on; it never steps."""
        ...

    def monotonic_ns(self) -> int:
        """The same in ns: what lengths of time are measured with."""
        ...


class SessionClock(Protocol):
    """Session time in ns UTC, and a way to wait for it. `coarse_ns`: it may really be later by so much."""

    @property
    def coarse_ns(self) -> int: ...

    def now(self) -> int: ...

    async def reached(self, at_ns: int, patience_s: float) -> bool:
        """Wait until `now() >= at_ns`, at most `patience_s` of the machine's time; whether it came."""
        ...


class VenueClock:
    """The sandbox's session clock, fed by its clock frames. It never goes back. 0 until the first frame."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._now = 0
        self._moved = asyncio.Event()
        self._monotonic = monotonic
        self._frames: deque[tuple[float, int]] = deque(maxlen=FRAMES)
        self._step = MOST_COARSE_NS

    @property
    def coarse_ns(self) -> int:
        """How far behind the venue we may be: a frame's step, more while frames wait to be read."""
        if len(self._frames) < 2:
            return MOST_COARSE_NS
        (began, first), (heard, last) = self._frames[0], self._frames[-1]
        waited = self._monotonic() - heard
        if waited >= STILL_S or heard <= began:
            return self._step
        behind = int(waited * (last - first) / (heard - began))
        return self._step + min(behind, MOST_BEHIND_NS)

    def feed(self, session_ns: int) -> None:
        """One clock frame. Older than what is known: ignored (a reconnect may repeat one)."""
        if session_ns > self._now:
            self._step = min(session_ns - self._now, MOST_COARSE_NS)
            self._frames.append((self._monotonic(), session_ns))
            self._now = session_ns
            self._moved.set()
            self._moved = asyncio.Event()

    def now(self) -> int:
        return self._now

    async def reached(self, at_ns: int, patience_s: float) -> bool:
        try:
            async with asyncio.timeout(patience_s):
                while self._now < at_ns:
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True


class WallClock:
    """The machine's clock; live session time."""

    coarse_ns = 10_000_000  # it may be stepped by the time service

    def __init__(self, machine: Machine = time) -> None:
        self._machine = machine

    def feed(self, session_ns: int) -> None:
        """Clock frames are a thing of the sandbox: live ignores them."""

    def now(self) -> int:
        return self._machine.time_ns()

    async def reached(self, at_ns: int, patience_s: float) -> bool:
        wait_s = (at_ns - self._machine.time_ns()) / SECOND_NS
        await asyncio.sleep(min(max(wait_s, 0.0), patience_s))
        return wait_s <= patience_s
