"""One seed -> one trading day of the real core, gateway and exchange, with everything that goes wrong in it.

Safety phase: faults, crashes, partitions, clock jumps, from before the open to an instant the seed decides.
Liveness phase: nothing fails any more, and the system has to come to rest: flat, nothing unknown, all books
equal. Invariants are asked after every step of session time.
"""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
import io
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import msgspec
import simulated_faults
from history import History
from invariants import Invariants, ViolationError
from simulated_market import S, SimulatedMarket
from simulated_market_flow import MarketFlow
from simulated_processes import (
    RUN_ID,
    DecisionFlow,
    GatewayKeeper,
    MemoryFence,
    SimulatedRun,
    config_of,
    folder,
)
from simulated_stores import Effects, MemoryLog, MemoryPostgres
from simulated_venue import Venue
from virtual_loop import PROCESS, Process, VirtualLoop

from kitepilot.config import Config
from kitepilot.events import (
    DecisionParameters,
    Marked,
    RunStarted,
    encode,
)
from kitepilot.market import calendar
from kitepilot.market.calendar import Session
from kitepilot.market.instruments import Instrument
from kitepilot.topics import INTENTS, ORDERS, SESSION

DAY = date(2026, 11, 20)
MOST_TURNS = 300_000  # a day has some ten thousand
COARSE_S, FINE_S = 180, 1
AFTERWARDS_S = 12.0  # of machine time, from the close to the end of the gateway
STRATEGIES = ("rule", "other")


@dataclass
class Report:
    """What became of one day."""

    seed: int
    violation: str = ""
    digest: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    trace: list[str] = field(default_factory=list)


class Day:
    """Everything of one seed. `run` is its whole life."""

    def __init__(self, seed: int, *, trace: bool = False) -> None:
        self.seed = seed
        self.draws = random.Random(f"{seed}:day")
        self.session = calendar.session(DAY)
        self.loop = VirtualLoop(str(seed))
        self.effects = Effects(self.kill)
        self.log = MemoryLog(self.effects, self.loop.time_ns, self._later)
        self.postgres = MemoryPostgres(self.effects)
        self.postgres.sql.execute(
            "INSERT INTO runs (run_id, mode, session_date, seed, feed, config_hash, config, code_version) "
            f"VALUES ('{RUN_ID}', 'paper', '{DAY}', 0, '', '', '', '')"
        )
        config = config_of(3 if seed % 12 == 5 else seed % 3)
        self.plan = simulated_faults.plan(seed, self.session)
        self.feed = SimulatedMarket(seed, self.session, self.plan.windows)
        told = parameters(self.session, self.feed, config)
        self.run_facts = SimulatedRun(RUN_ID, folder()[0], config, told)
        self.venue = Venue(seed, self.session, self.feed, self.loop, self.effects)
        self.fence = MemoryFence()
        self.fence.changed = self.loop.changed
        self.history = History(self.log)
        self.counts: Counter[str] = Counter()
        self.trace: deque[str] = deque(maxlen=None if trace else 400)
        self.tracing = trace
        self.market = MarketFlow(self)
        self.decisions = DecisionFlow(self)
        self.gateway = GatewayKeeper(self)
        self.token_held = self.venue.token
        self.venue.fenced = self.fence.stands
        self.venue.on_expiry = self._log_in_again
        self.quiet = False
        self.over = False
        self.log.heard = self._heard
        self.failure: BaseException | None = None
        self.step_until = self.session.pre_open_at

    # --- the world -----------------------------------------------------------------------------------------

    def say(self, what: str, *, count: str = "") -> None:
        """One line of the history as a person reads it."""
        if count:
            self.counts[count] += 1
        at = calendar.to_ist(max(self.venue.exchange.played, self.session.pre_open_at))
        self.trace.append(f"{self.loop.now:9.3f}s {at:%H:%M:%S} {what}")

    def kill(self, process: Process) -> None:
        """A process dies here and now; its keeper starts another."""
        if not process.alive:
            return
        self.say(f"{process.name} dies", count=f"crash {process.name}")
        self.loop.kill(process)
        keeper = {"gateway": self.gateway, "decisions": self.decisions}[process.name]
        keeper.died()

    def enter(self, process: Process, work: Callable[[], None], delay: float = 0.0) -> None:
        """`work` runs as that process."""
        context = contextvars.Context()
        context.run(PROCESS.set, process)
        self.loop.at(delay, self._guarded, work, context=context)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except ViolationError as err:
            self.failure = self.failure or err

    def _later(self, work: Callable[..., None], *given: Any) -> None:
        self.loop.at(self.draws.uniform(0.0002, 0.004), work, *given)

    def _heard(self, topic: str) -> None:
        if topic == SESSION.name:
            self.decisions.wake()
        if topic in (INTENTS.name, ORDERS.name):
            self.loop.changed()

    # --- the day -------------------------------------------------------------------------------------------

    def run(self) -> Report:
        """Play it. Violations are in the report, not raised."""
        random.seed(self.seed)  # the jitter of retries
        said = _Said(self)
        report = Report(self.seed)
        try:
            with contextlib.redirect_stderr(said):
                self._play()
        except ViolationError as err:
            report.violation = str(err)
            self.say(f"VIOLATION {err}")
        finally:
            self.loop.closed = True
            for process in (self.gateway.process, self.decisions.process):
                self.loop._bury(process)
        report.counts = self.counts + self.venue.hits + self.history.kinds
        report.counts["steps"] = self.counts["steps"]
        report.digest = self._digest()
        report.trace = list(self.trace)
        return report

    def _play(self) -> None:
        self.checks = Invariants(self)
        started = RunStarted(
            source="runner", seq=0, event_at=calendar.ist_ns(DAY, "08:45"), run_id=RUN_ID, mode="paper",
            config_hash=self.run_facts.config_hash, parameters=self.run_facts.told,
        )  # fmt: skip
        self.log.append(SESSION.name, [encode(started)])
        self.decisions.start()
        self.gateway.start()
        self.loop.at(0.05, self._begin_step)
        self.loop.run(lambda: self.over or self.failure is not None or self.loop.turns > MOST_TURNS)
        if self.failure is not None:
            raise self.failure
        if not self.over:
            raise ViolationError("the day comes to an end", f"not after {MOST_TURNS} turns of the loop")
        self.checks.at_the_end()

    def _begin_step(self) -> None:
        """One step of session time begins: requests that come now come within it."""
        if not self.venue.up:
            self.loop.at(0.1, self._begin_step)
            return
        played = max(self.venue.exchange.played, self.session.pre_open_at)
        if not self.quiet and played >= self.plan.quiet_from:
            self._calm()
        step_s = FINE_S if self._fine(played) else COARSE_S
        if step_s == COARSE_S:
            starts = [w.start for w in self.plan.windows if w.start > played]
            step = min([COARSE_S * S, *(start - played for start in starts)])
        else:
            step = FINE_S * S
        until = (played + step) // S * S
        self.step_until = until if until > played else played + S
        seconds = self.draws.uniform(0.1, 0.4) if step_s == FINE_S else self.draws.uniform(0.2, 0.5)
        self.venue.pace(self.step_until, seconds)
        simulated_faults.strike(self, played)
        self.loop.at(seconds, self._guarded, self._end_step)

    def _fine(self, at: int) -> bool:
        if any(window.holds(at) for window in self.plan.windows):
            return True
        account = self.history.account
        if account is None or at >= self.session.alarm_at + 600 * S:
            return False
        leaving = at >= self.session.square_off_at - 30 * S and account.open_positions > 0
        return account.working_orders > 0 or leaving

    def _end_step(self) -> None:
        if not self.venue.up:
            self.loop.at(0.1, self._begin_step)
            return
        self.counts["steps"] += 1
        self.market.played(self.venue.step(self.step_until))
        self._look()
        if self.step_until >= self.session.close_at:
            self.say("the session is over")
            # breakers rest for five seconds: what was mended last has to be noticed
            self.loop.at(AFTERWARDS_S, self.gateway.finish, self._finished)
        else:
            self._begin_step()

    def _look(self) -> None:
        for event in self.history.catch_up():
            if self.tracing:
                self.say(_words(event))
        self.checks.after_a_step()

    def _finished(self) -> None:
        self._look()
        self.over = True

    def _calm(self) -> None:
        """The safety phase is over: what is broken is mended, and nothing breaks any more."""
        self.quiet = True
        self.say("from here on nothing fails")
        self.venue.board.clear()
        self.venue.reachable = "yes"
        self.log.down = False
        self.log.twice = lambda: False
        self.fence.down()
        self.market.feed_up()
        for process in (self.gateway.process, self.decisions.process):
            process.doom = None

    def _log_in_again(self) -> None:
        """A person notices, and logs in."""
        self.loop.at(self.draws.uniform(1.0, 8.0), lambda: setattr(self, "token_held", self.venue.token))

    def _digest(self) -> str:
        """Of everything that happened: the log without the machine's clock, and the exchange's book."""
        digest = hashlib.sha256()
        self.history.catch_up()
        for key in sorted(self.history.said):
            for seq in sorted(self.history.said[key]):
                digest.update(repr(self.history.said[key][seq]).encode())
        for trade in self.venue.exchange.book.trades:
            digest.update(repr(trade).encode())
        digest.update(f"{self.loop.turns} {self.loop.now!r} {self.effects.count}".encode())
        return digest.hexdigest()[:16]


class _Said(io.StringIO):
    """Standard error of the processes: lines of the history."""

    def __init__(self, day: Day) -> None:
        super().__init__()
        self._day = day

    def write(self, text: str) -> int:
        if text.strip():
            self._day.say(text.strip())
        return len(text)


def parameters(session: Session, feed: SimulatedMarket, config: Config) -> DecisionParameters:
    """What the run's `RunStarted` carries."""
    rows = [
        Instrument(
            each.token, each.exchange_token, each.tradingsymbol, each.name, each.tick_size_paise, 1,
            "NSE", "EQ", each.closing_auction,
        )
        for each in feed.instruments
    ]  # fmt: skip
    return DecisionParameters(
        session_date=DAY.isoformat(),
        open_at=session.open_at,
        close_at=session.close_at,
        instruments=tuple(calendar.terms(session, row) for row in rows),
        profile=config.risk.profile(),
        strategies=STRATEGIES,
    )


def play(seed: int, *, trace: bool = False) -> Report:
    """One day of one seed."""
    return Day(seed, trace=trace).run()


def _words(event: Any) -> str:
    if isinstance(event, Marked):
        return f"marked {len(event.tokens)} quotes"
    hidden = ("source", "run_id", "config_hash", "checks", "emitted_at", "signal_emitted_at", "parameters")
    fields = {k: v for k, v in msgspec.structs.asdict(event).items() if k not in hidden and v not in ("", 0)}
    return f"{type(event).__name__} " + " ".join(f"{k}={v}" for k, v in fields.items() if k != "event_at")
