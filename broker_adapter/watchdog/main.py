"""The watchdog process: listens for the others, and trades only when somebody must and they do not.

It needs the run's folder, the login and the broker. The log, PostgreSQL and every other process may be gone.
While the fence stands it keeps the account flat; it never lowers it.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from typing import Protocol

import uvloop

from broker_adapter.kite import session
from broker_adapter.kite.client import KiteBroker
from broker_adapter.kite.clock import SECOND_NS, VenueClock, WallClock
from broker_adapter.kite.limits import RateLimits, shares_of
from broker_adapter.kite.ticker import Frame, Put, Text, Ticker
from broker_adapter.kite.wire import ClockSaid, read_text
from broker_adapter.watchdog.journal import Journal
from broker_adapter.watchdog.liquidator import UNREADABLE, Liquidator
from broker_adapter.watchdog.mirror import Mirror
from broker_adapter.watchdog.reserve import Reserve
from broker_adapter.watchdog.words import DecisionsEar, Words
from infra.fence import Fence, Raised, asked, granted
from kitepilot.ports import Broker
from kitepilot.risk.deadman import Act, Heard, Held, Hours, Patience, judge, suspicion
from kitepilot.risk.liquidation import Mandate
from kitepilot.run import Run

NAME = "watchdog"
LOOK_NS = 5 * SECOND_NS  # of session time, or a quarter of a machine second if that is longer away
LOOK_S = 0.25
ROUND_S = 0.5  # between rounds behind the fence: three reads each, and the gateway may read as well
LEAST_S = 0.05
GUARD_S = 1.0  # and once it was seen flat
ASK_AGAIN_S = 1.0  # machine time between looks at the broker while something is suspected


class Ears(Protocol):
    """Where the session's clock comes from on paper."""

    async def run(self, put: Put) -> None: ...


class Watchdog:
    """One run's dead man's switch. `serve` is its whole life."""

    def __init__(
        self, run: Run, broker: Broker, *, ears: Ears | None = None, ear: DecisionsEar | None = None
    ) -> None:
        self._run = run
        parameters, config = run.parameters(), run.config
        self._terms = {each.token: each for each in parameters.instruments}
        self._hours = Hours(
            parameters.open_at,
            max((each.continuous_close_at for each in parameters.instruments), default=parameters.close_at),
        )
        self._patience = Patience(
            silence=int(config.watchdog.silence_s * SECOND_NS),
            behind=int(min(config.session.max_lead_s / 2, config.watchdog.silence_s) * SECOND_NS),
            late=int(config.watchdog.late_s * SECOND_NS),
        )
        self.clock: VenueClock | WallClock = VenueClock() if config.mode == "paper" else WallClock()
        self.fence = Fence(run.folder)
        self._reserve = Reserve(run.folder)
        self.journal = Journal(run.folder, run.run_id, self._reserve)
        self._mirror = Mirror(run, self.journal.path)
        self._ear = ear or DecisionsEar(run)
        self._words = Words(self.fence, self._ear)
        limits = RateLimits(self.clock, shares_of(config.broker))
        self.liquidator = Liquidator(broker, limits, self.clock, self.journal, config.broker)
        self._ears = ears or Ticker(
            config.broker.ticker_url,
            config.broker.api_key,
            lambda: session.load(run).access_token,
            idle_timeout_s=config.broker.idle_timeout_s,
        )
        self._said = ""
        self._asked_at = 0.0
        self._late: tuple[str, ...] = ()
        self._flat = False

    async def serve(self, stopping: asyncio.Event) -> None:
        """Until `stopping`. Raises OSError when the run's folder cannot be written."""
        hearing = (
            asyncio.create_task(self._ears.run(self._on_frame)) if self._run.config.mode == "paper" else None
        )
        self._ear.start()
        self._mirror.start()
        self._run.mark_ready(NAME)
        try:
            while not stopping.is_set():
                await self.step()
                await self._rest(stopping)
        finally:
            self._ear.stop()
            self._mirror.stop()
            if hearing is not None:
                hearing.cancel()
                await asyncio.gather(hearing, return_exceptions=True)
            self.liquidator.close()
            self.journal.close()

    async def step(self) -> None:
        """One look at everything, and what follows from it."""
        raised = self.fence.raised()
        if raised is not None:
            await self._keep_flat(raised)
            return
        self._flat = False
        heard = self._hear()
        why = suspicion(heard, self._hours, self._patience)
        if not why and not self._any_late(heard.session_at):
            self._late = ()
            self._say("")
            return
        if not heard.asked and time.monotonic() - self._asked_at < self._gap_s():
            return
        self._asked_at = time.monotonic()
        trouble, held = "", None
        if not heard.asked:
            try:
                held = await self._held(heard.session_at)
            except UNREADABLE as err:
                trouble = f": {err}"
        found = judge(heard, why, held)
        if found.act is Act.FLATTEN:
            self._raise(found.reason, by="owner" if heard.asked else NAME)
        self._say(f"{found.reason}{trouble}" if found.act is Act.ALARM else "")

    def _hear(self) -> Heard:
        now = self.clock.now()
        if self._ear.heard is not None:
            now = max(now, self._ear.heard[1])  # our own connection may be the one that is behind
        wish = asked(self._run.folder)
        why = f"asked by {wish.by}: {wish.reason}" if wish else ""
        return Heard(now, self._words.decisions(now), self._words.gateway(), why)

    def _any_late(self, now: int) -> bool:
        """Whether some instrument should be flat by now, so that the broker is asked whether it is."""
        due = min((each.force_flat_at for each in self._terms.values()), default=self._hours.close_at)
        return due + self._patience.late <= now < self._hours.close_at

    async def _held(self, now: int) -> Held:
        """What is ours at the broker; late only what was so at the last look too. Raises `UNREADABLE`."""
        account = await self.liquidator.look()
        late = tuple(stake.tradingsymbol for stake in account.held if self._is_late(stake.token, now))
        before, self._late = self._late, late
        return Held(account.instruments, tuple(name for name in late if name in before))

    def _is_late(self, token: int, now: int) -> bool:
        terms = self._terms.get(token)
        due = terms.force_flat_at if terms else self._hours.close_at
        return due + self._patience.late <= now

    def _raise(self, reason: str, by: str) -> None:
        """The fence first, then the wish that asked for it, then the record."""
        wanted = Raised(at=time.time_ns(), reason=reason, by=by)
        raised = self._reserve.write(lambda: self.fence.up(wanted))
        granted(self._run.folder)
        self.journal.write("fence", time.time_ns(), self.clock.now(), raised.reason)
        sys.stderr.write(f"watchdog: flattening: {raised.reason}\n")

    async def _keep_flat(self, raised: Raised) -> None:
        granted(self._run.folder)
        mandate = Mandate(
            self._run.run_id, self._run.config_hash, raised.at, self._run.config.risk.limits(), self._terms
        )
        try:
            flat = await self.liquidator.round(mandate, raised.reason)
        except UNREADABLE as err:
            self._say(f"the broker's books: {err}")
            self._flat = False
            return
        self._say("" if flat else self.liquidator.troubles())
        if flat and not self._flat:
            self.journal.write("flat", time.time_ns(), self.clock.now())
            sys.stderr.write("watchdog: flat: nothing of ours is held at the broker\n")
        self._flat = flat

    def _say(self, alarm: str) -> None:
        """Each alarm once: a line of the process's log and of the journal."""
        shown = alarm.split(" silent for ", maxsplit=1)[0]
        if alarm and shown != self._said:
            sys.stderr.write(f"watchdog: {alarm}\n")
            self.journal.write("alarm", time.time_ns(), self.clock.now(), alarm)
        self._said = shown

    def _gap_s(self) -> float:
        """Between looks at the broker. A paper session may run through hours in a second."""
        return ASK_AGAIN_S if isinstance(self.clock, WallClock) else LOOK_S

    async def _rest(self, stopping: asyncio.Event) -> None:
        if self.fence.stands():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), GUARD_S if self._flat else ROUND_S)
            return
        await asyncio.sleep(LEAST_S)
        stop = asyncio.create_task(stopping.wait())
        reached = asyncio.create_task(self.clock.reached(self.clock.now() + LOOK_NS, LOOK_S))
        try:
            await asyncio.wait([stop, reached], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            reached.cancel()
            await asyncio.gather(stop, reached, return_exceptions=True)

    async def _on_frame(self, frame: Frame) -> None:
        if isinstance(frame, Text):
            said = read_text(frame.text)
            if isinstance(said, ClockSaid):
                self.clock.feed(said.session_ns)


async def serve(run: Run, broker: Broker) -> None:
    """The watchdog until SIGTERM."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await Watchdog(run, broker).serve(stopping)


def main(run: Run) -> int:
    """Exit 0 after SIGTERM; 1 with one line when the login or the run's folder cannot be used."""
    try:
        broker = KiteBroker(run)
        broker.open()
        uvloop.run(serve(run, broker))
    except (session.SessionError, OSError, ValueError) as err:
        sys.stderr.write(f"watchdog: {err}\n")
        return 1
    return 0
