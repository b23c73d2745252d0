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
from asyncio import Event, Task
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import simulated_faults
from history import History
from invariants import Invariants, ViolationError
from simulated_market import S, SimulatedMarket
from simulated_stores import Effects, MemoryLog, MemoryPostgres, MemoryWriter
from simulated_venue import SimulatedEars, Venue, Wire
from virtual_loop import PROCESS, Process, VirtualLoop

from broker_adapter.gateway.findings import FindingsBook
from broker_adapter.gateway.journal import Journal, JournalError
from broker_adapter.gateway.main import Gateway
from broker_adapter.kite import session as kite_session
from broker_adapter.kite.client import KiteBroker
from broker_adapter.kite.transport import stock_client
from flows.connectors.lifecycle import Lifecycle
from flows.connectors.sink import LogSinkPart
from flows.connectors.source import LogSourcePart
from flows.decisions import DecisionLogic
from kitepilot import config as configuration
from kitepilot.config import Config
from kitepilot.events import (
    Commanded,
    DecisionParameters,
    FeedChanged,
    Marked,
    RunStarted,
    SessionEvent,
    Side,
    SignalRaised,
    encode,
)
from kitepilot.market import calendar
from kitepilot.market.instruments import Instrument
from kitepilot.orders.intents import signal_id
from kitepilot.ports import LogError
from kitepilot.run import Run
from kitepilot.topics import INTENTS, ORDERS, SESSION

DAY = date(2026, 11, 20)
RUN_ID = "paper-20261120-0001"
COARSE_S, FINE_S = 60, 1
EPOCH_S = 1.0
STRATEGIES = ("rule", "other")
EXPECTED = (JournalError, LogError, kite_session.SessionError, OSError, ValueError, psycopg.Error)


@dataclass(frozen=True)
class SimulatedRun(Run):
    """A run whose folder is nowhere."""

    def start_offsets(self) -> dict[str, int]:
        return dict.fromkeys((SESSION.name, INTENTS.name, ORDERS.name), 0)

    def mark_ready(self, process: str) -> None:
        """Nobody waits for it."""


@lru_cache
def config_of(kind: int) -> Config:
    """Small limits, so that they are met; three kinds of account."""
    return configuration.build(
        {
            "broker": {"slice_value_rupees": (20_000, 500_000, 12_000)[kind], "orders_per_second": 8},
            "risk": {
                "daily_loss_rupees": (1_500, 25_000, 600)[kind],
                "drawdown_rupees": 25_000,
                "trade_notional_rupees": (30_000, 45_000, 30_000)[kind],
                "order_value_rupees": 50_000,
                "instrument_exposure_rupees": 60_000,
                "gross_exposure_rupees": (150_000, 200_000, 90_000)[kind],
                "open_positions": (4, 5, 2)[kind],
            },
        }
    )


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
        config = config_of(seed % 3)
        self.run_facts = SimulatedRun(RUN_ID, Path("/nonexistent/runs") / RUN_ID, config)
        self.plan = simulated_faults.plan(seed, self.session)
        self.feed = SimulatedMarket(seed, self.session, self.plan.windows)
        self.venue = Venue(seed, self.session, self.feed, self.loop, self.effects)
        self.history = History(self.log)
        self.counts: Counter[str] = Counter()
        self.trace: deque[str] = deque(maxlen=None if trace else 400)
        self.tracing = trace
        self.market = MarketFlow(self)
        self.decisions = DecisionFlow(self)
        self.gateway = GatewayKeeper(self)
        self.token_held = self.venue.token
        self.venue.on_expiry = self._log_in_again
        self.quiet = False
        self.over = False
        self.log.heard = self._heard
        self.failure: BaseException | None = None
        self.step_until = self.session.pre_open_at

    # --- the world -----------------------------------------------------------------------------------------

    def parameters(self) -> DecisionParameters:
        rows = [
            Instrument(
                each.token, each.exchange_token, each.tradingsymbol, each.name, each.tick_size_paise, 1,
                "NSE", "EQ", each.closing_auction,
            )
            for each in self.feed.instruments
        ]  # fmt: skip
        return DecisionParameters(
            session_date=DAY.isoformat(),
            open_at=self.session.open_at,
            close_at=self.session.close_at,
            instruments=tuple(calendar.terms(self.session, row) for row in rows),
            profile=self.run_facts.config.risk.profile(),
            strategies=STRATEGIES,
        )

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
            config_hash=self.run_facts.config_hash, parameters=self.parameters(),
        )  # fmt: skip
        self.log.append(SESSION.name, [encode(started)])
        self.decisions.start()
        self.gateway.start()
        self.loop.at(0.05, self._begin_step)
        self.loop.run(lambda: self.over or self.failure is not None)
        if self.failure is not None:
            raise self.failure
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
        seconds = self.draws.uniform(0.1, 0.4) if step_s == FINE_S else self.draws.uniform(0.1, 0.25)
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
            self.gateway.finish(self._finished)
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


class MarketFlow:
    """Marks and signals onto the session topic, in order, each thing once or, after a crash, again."""

    def __init__(self, day: Day) -> None:
        self._day = day
        self._seqs: Counter[str] = Counter()
        self._last_at = 0.0
        self._waiting: deque[bytes] = deque()
        self._sent: deque[bytes] = deque(maxlen=6)
        self._quotes: dict[int, tuple[int, int, int, int]] = {}
        self._down = False
        self._asked: set[str] = set()

    def head(self, source: str, at: int) -> dict[str, Any]:
        seq = self._seqs[source]
        self._seqs[source] += 1
        return {"source": source, "seq": seq, "event_at": at}

    def say(self, event: SessionEvent) -> None:
        """On the log after a moment, behind what was said before."""
        raw = encode(event, emitted_at=self._day.loop.time_ns())
        loop = self._day.loop
        self._last_at = max(self._last_at + 1e-6, loop.now + self._day.draws.uniform(0.001, 0.01))
        self._waiting.append(raw)
        loop.at(self._last_at - loop.now, self._arrive)

    def _arrive(self) -> None:
        """The oldest that waits: each message brings one arrival, perhaps another's."""
        if self._day.log.down:  # it waits for the log, as a flow that is started again does
            self._day.loop.at(0.05, self._arrive)
            return
        raw = self._waiting.popleft()
        self._day.log.append(SESSION.name, [raw])
        self._sent.append(raw)

    def repeat(self) -> None:
        """The flow died and says its last messages again, under the same numbers."""
        if self._sent and not self._day.log.down:
            many = self._day.draws.randint(1, len(self._sent))
            self._day.log.append(SESSION.name, list(self._sent)[-many:])

    def feed_down(self, at: int) -> None:
        if not self._down:
            self._down = True
            self.say(FeedChanged(**self.head("market-0.feed", at), state="down", detail="simulated"))

    def feed_up(self) -> None:
        if self._down:
            self._down = False
            at = self._day.venue.exchange.played
            self.say(FeedChanged(**self.head("market-0.feed", at), state="up"))

    def played(self, piece: Any) -> None:
        """One step of the market: a mark, and perhaps wishes."""
        packets = piece.packets
        fresh: dict[int, tuple[int, int, int, int]] = {}
        if len(packets) and not self._down:
            columns = (
                packets["token"].tolist(), packets["last_price"].tolist(),
                packets["bids"]["price"][:, 0].tolist(), packets["asks"]["price"][:, 0].tolist(),
                packets["exchange_time"].tolist(),
            )  # fmt: skip
            for token, last, bid, ask, at in zip(*columns, strict=True):
                fresh[token] = (last, bid, ask, at * S)
        self._quotes |= fresh
        at = piece.until
        if at < self._day.session.open_at:
            return
        rows = list(fresh.values())
        self.say(
            Marked(
                **self.head("market-0", at),
                received_at=0,
                tokens=list(fresh),
                last_paise=[row[0] for row in rows],
                bid_paise=[row[1] for row in rows],
                ask_paise=[row[2] for row in rows],
                quoted_at=[row[3] for row in rows],
            )
        )
        for wish in self._day.plan.wishes_at(at):
            self._wish(wish, at)

    def _wish(self, wish: simulated_faults.Wish, at: int) -> None:
        instruments = self._day.feed.instruments
        instrument = instruments[wish.instrument % len(instruments)]
        quote = self._quotes.get(instrument.token)
        name = signal_id(wish.strategy, instrument.token, 1, at)
        if quote is None or name in self._asked:
            return
        self._asked.add(name)
        self.say(
            SignalRaised(
                **self.head("market-0.signals", at),
                signal_id=name,
                strategy=wish.strategy,
                token=instrument.token,
                tradingsymbol=instrument.tradingsymbol,
                side=None if wish.side is None else Side(wish.side),
                strength=1.0,
                interval_s=1,
                bar_close_at=at,
                horizon_s=wish.horizon_s,
                stop_bps=wish.stop_bps,
                take_profit_bps=wish.take_profit_bps,
                last_paise=quote[0],
                bid_paise=quote[1],
                ask_paise=quote[2],
                features={},
                scores={},
                received_at=0,
            )
        )

    def command(self, word: str) -> None:
        """The owner says something."""
        at = self._day.venue.exchange.played
        head = self.head("owner", at)
        self._day.say(f"the owner: {word}", count=f"owner {word}")
        self.say(Commanded(**head, command_id=f"c{head['seq']}", command=word, by="owner"))


class DecisionFlow:
    """The decision flow's process: the real source, logic and sink; epochs and recovery as Bytewax's."""

    def __init__(self, day: Day) -> None:
        self._day = day
        self.process = Process("decisions")
        self._saved: tuple[Any, bytes] | None = None
        self._woken = False
        self._dirty = False
        self._committed_at = 0.0

    def start(self) -> None:
        self.process = Process("decisions")
        self._woken = self._dirty = False
        self._day.enter(self.process, self._begin)

    def _begin(self) -> None:
        log = self._day.log
        start = {(SESSION.name, 0): 0}
        if self._saved is not None:
            start = dict(self._saved[0]["next_offsets"])
        self._source = LogSourcePart(log, log.reader(start), 1000, None, Lifecycle())
        self.logic = DecisionLogic(self._saved[1] if self._saved is not None else None)
        self._sink = LogSinkPart(log)
        self.wake()

    def wake(self) -> None:
        if not self._woken and self.process.alive:
            self._woken = True
            self._day.enter(self.process, self._poll, self._day.draws.uniform(0.0005, 0.003))

    def _poll(self) -> None:
        self._woken = False
        try:
            for records in self._source.next_batch():
                out, _ = self.logic.on_batch([records])
                self._dirty = True
                self._sink.write_batch(out)
            if self._dirty and self._day.loop.now - self._committed_at >= EPOCH_S:
                self._commit()
        except LogError as err:
            self._day.say(f"decisions: {err}", count="decisions without a log")
            self._day.kill(self.process)

    def _commit(self) -> None:
        """The end of an epoch: outputs are durable before the state that goes with them is."""
        self._sink.snapshot()
        state = (self._source.snapshot(), self.logic.snapshot())
        self._day.effects.point()
        self._saved = state
        self._committed_at, self._dirty = self._day.loop.now, False
        self._day.effects.point()

    def died(self) -> None:
        writer: MemoryWriter = self._sink._writer  # type: ignore[assignment]
        writer.lose(self._day.draws.randint(0, writer.on_their_way))
        self._day.loop.at(self._day.draws.uniform(0.1, 2.0), self.start)


class GatewayKeeper:
    """Starts gateways, one at a time, and what the supervisor does when one ends."""

    def __init__(self, day: Day) -> None:
        self._day = day
        self.process = Process("gateway")
        self.started_at = 0.0
        self._stopping: Event | None = None
        self._finished: Callable[[], None] | None = None

    def start(self) -> None:
        self.process = Process("gateway")
        self.started_at = self._day.loop.now
        self._day.enter(self.process, self._begin)

    def _begin(self) -> None:
        day = self._day
        try:
            journal = Journal("", RUN_ID, day.postgres.connect)
            changes: deque[Any] = deque(maxlen=1_000)
            broker = KiteBroker(
                day.run_facts,
                lambda *change: (changes.append(change), day.loop.changed())[0],  # type: ignore[func-returns-value]
                connect=self._connect,
                machine=day.loop,
                sleep=day.loop.spend,
            )
            broker.open()
            ears = SimulatedEars(day.venue, random.Random(f"{day.seed}:ears"), lambda: day.token_held)
            findings = FindingsBook("", RUN_ID, day.postgres.connect)
            self.gateway = Gateway(
                day.run_facts, day.log, journal, broker, changes,
                findings=findings, ears=ears, machine=day.loop,
            )  # fmt: skip
        except EXPECTED as err:
            self._ended_by(err)
            return
        self._stopping = Event()
        task = day.loop.create_task(self.gateway.serve(self._stopping))
        task.add_done_callback(self._ended)

    def _connect(self, run: Run) -> Any:
        """The stock client, with the simulated wire where its HTTP session was."""
        day = self._day
        held = kite_session.Session(
            api_key="k", access_token=day.token_held, user_id="KP0001", login_time="", rest_url=""
        )
        kite = stock_client(run.config.broker, held)
        kite.reqsession = Wire(day.venue, day.token_held)
        return kite

    def _ended(self, task: Task[None]) -> None:
        if not self.process.alive:
            return
        error = task.exception() if not task.cancelled() else None
        if error is None and self._finished is not None:
            self._day.say("the gateway has finished")
            self._day.loop.kill(self.process)
            self._day.loop.at(0.5, self._day._guarded, self._finished)
        elif isinstance(error, EXPECTED):
            self._ended_by(error)
        else:
            self._day.failure = self._day.failure or ViolationError(
                "the gateway ends for no reason", f"{type(error).__name__}: {error}"
            )

    def _ended_by(self, error: BaseException) -> None:
        """It exits with one line, and is started again."""
        self._day.say(f"gateway: {type(error).__name__}: {error}", count="gateway exits")
        self._day.kill(self.process)

    def died(self) -> None:
        self._day.loop.at(self._day.draws.uniform(0.1, 2.0), self._again)

    def _again(self) -> None:
        self.start()

    def finish(self, then: Callable[[], None]) -> None:
        """SIGTERM, once one is running."""
        self._finished = then
        if self._stopping is not None and self.process.alive:
            self._stopping.set()
            self._day.loop.changed()
        else:
            self._day.loop.at(1.0, self.finish, then)


def play(seed: int, *, trace: bool = False) -> Report:
    """One day of one seed."""
    return Day(seed, trace=trace).run()


def _words(event: Any) -> str:
    if isinstance(event, Marked):
        return f"marked {len(event.tokens)} quotes"
    hidden = ("source", "run_id", "config_hash", "checks", "emitted_at", "signal_emitted_at", "parameters")
    fields = {k: v for k, v in msgspec.structs.asdict(event).items() if k not in hidden and v not in ("", 0)}
    return f"{type(event).__name__} " + " ".join(f"{k}={v}" for k, v in fields.items() if k != "event_at")
