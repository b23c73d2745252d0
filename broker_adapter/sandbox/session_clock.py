"""The virtual session clock: how far session time may be played, at what pace, and on whose credit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Literal

State = Literal["waiting", "running", "closed"]
NS_PER_S = 1_000_000_000
STEP_NS = 50_000_000  # at slow speeds packets leave in steps of this much machine time
MAX_LAG_NS = 250_000_000  # behind by more than this: session time slows down instead of rushing after
MAX_SPEED = 100_000.0


class SessionClock:
    """Session time in ns UTC. One player calls `step`; everybody may read `now`.

    Credit: once an ack was posted, session time never passes it by more than `max_lead_s`. At speed "max" an
    ack of the session's start is implied, so that without acks the day stops after the lead.
    """

    def __init__(
        self,
        start_at: int,
        speed: float | Literal["max"],
        max_lead_s: float,
        machine_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.state: State = "waiting"
        self.speed: float | Literal["max"] = speed
        self._start_at = start_at
        self._floor = start_at
        self._ceiling = start_at
        self._lead_ns = int(max_lead_s * NS_PER_S)
        self._acked: int | None = None
        self._machine_ns = machine_ns
        self._anchor = (machine_ns(), start_at)
        self._changed = asyncio.Event()
        self.on_change: Callable[[], None] = lambda: None  # state or speed is another

    def now(self) -> int:
        """Session time: between what has been played and the end of the slice being played."""
        if self.state != "running":
            return self._floor
        return max(self._floor, min(self._paced(), self._ceiling))

    @property
    def played(self) -> int:
        """Session time up to which everything has been played."""
        return self._floor

    @property
    def acked(self) -> bool:
        """Whether somebody acknowledges what is played."""
        return self._acked is not None

    def start(self) -> None:
        """Let the session begin; a second call changes nothing."""
        if self.state == "waiting":
            self.state = "running"
            self._hold()
            self._changed.set()
            self.on_change()

    def close(self) -> None:
        """The day is over; time stands."""
        self.state = "closed"
        self.on_change()

    def ack(self, session_ns: int) -> None:
        """The decisions have come this far. An older ack than the last changes nothing."""
        self._acked = max(session_ns, self._acked or 0)
        self._changed.set()

    def set_speed(self, speed: float | Literal["max"]) -> None:
        """Session seconds per second from now on. Raises ValueError outside (0, 100000]."""
        if speed != "max" and not 0 < speed <= MAX_SPEED:
            raise ValueError(f'speed {speed} must be "max" or above 0 and at most {MAX_SPEED:.0f}')
        self._floor = self.now()
        self.speed = speed
        self._hold()
        self._changed.set()
        self.on_change()

    def wake(self) -> None:
        """Something is waiting to happen: a held clock looks again."""
        self._changed.set()

    async def step(self, until: int, next_arrival: Callable[[], int | None]) -> int:
        """Wait until session time may be played further; returns how far: after `played`, at most `until`.

        While the clock is held for want of credit, an order that is on its way may still arrive (its time is
        milliseconds ahead), so that whoever holds the clock for that order does not wait for ever.
        """
        self._ceiling = until - 1
        while True:
            self._changed.clear()
            if self.state == "waiting" or not self._credited(until):
                due = next_arrival()
                if self.state == "running" and due is not None and self._floor <= due < until - 1:
                    self._floor = due + 1
                    return self._floor
                self._ceiling = self._floor
                await self._changed.wait()
                self._ceiling = until - 1
                self._hold()
                continue
            ahead = self._ahead_ns(until)
            if ahead <= 0:
                self._arrive(until, -ahead)
                await asyncio.sleep(0)
                return until
            await self._sleep(min(ahead, STEP_NS))
            if ahead > STEP_NS and self._floor < (reached := self.now()):
                self._floor = reached
                return reached

    def _arrive(self, until: int, lag_ns: int) -> None:
        self._floor = until
        if lag_ns > MAX_LAG_NS:
            self._hold()

    def _credited(self, until: int) -> bool:
        acked = self._acked
        if acked is None:
            if self.speed != "max":
                return True
            acked = self._start_at
        return until <= acked + self._lead_ns

    def _ahead_ns(self, until: int) -> int:
        """Machine time left before `until` is due; negative when late."""
        if self.speed == "max":
            return 0
        machine, session = self._anchor
        return machine + int((until - session) / self.speed) - self._machine_ns()

    def _paced(self) -> int:
        if self.speed == "max":
            return self._floor
        machine, session = self._anchor
        return session + int((self._machine_ns() - machine) * self.speed)

    def _hold(self) -> None:
        """Pace from here: no catching up for time that stood still."""
        self._anchor = (self._machine_ns(), self._floor)

    async def _sleep(self, ns: int) -> None:
        try:
            async with asyncio.timeout(ns / NS_PER_S):
                await self._changed.wait()
        except TimeoutError:
            return
