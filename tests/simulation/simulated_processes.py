"""The processes that die and are started again: the decision flow and the gateway."""

from __future__ import annotations

import random
from asyncio import Event, Task
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import psycopg
from invariants import ViolationError
from simulated_market import NAMES, listed
from simulated_stores import MemoryWriter
from simulated_venue import SimulatedEars, Wire
from virtual_loop import Process

from broker_adapter.gateway.findings import FindingsBook
from broker_adapter.gateway.journal import Journal, JournalError
from broker_adapter.gateway.main import Gateway
from broker_adapter.kite import session as kite_session
from broker_adapter.kite.client import KiteBroker
from broker_adapter.kite.transport import stock_client
from broker_adapter.sandbox.instruments_file import instruments_csv
from flows.connectors.lifecycle import Lifecycle
from flows.connectors.sink import LogSinkPart
from flows.connectors.source import LogSourcePart
from flows.decisions import DecisionLogic
from infra.fence import Fence, Raised
from kitepilot import config as configuration
from kitepilot.config import Config
from kitepilot.events import DecisionParameters
from kitepilot.ports import LogError
from kitepilot.run import Run
from kitepilot.topics import INTENTS, ORDERS, SESSION

if TYPE_CHECKING:
    from simulated_day import Day

RUN_ID = "paper-20261120-0001"
EPOCH_S = 1.0
EXPECTED = (JournalError, LogError, kite_session.SessionError, OSError, ValueError, psycopg.Error)


@dataclass(frozen=True)
class SimulatedRun(Run):
    """The one run of a simulated day; `told` is what its `parameters.json` would hold."""

    told: DecisionParameters

    def start_offsets(self) -> dict[str, int]:
        return dict.fromkeys((SESSION.name, INTENTS.name, ORDERS.name), 0)

    def parameters(self) -> DecisionParameters:
        return self.told

    def mark_ready(self, process: str) -> None:
        """Nobody waits for it."""


@lru_cache
def config_of(kind: int) -> Config:
    """Small limits, so that they are met; four kinds of account, the last with many slices."""
    return configuration.build(
        {
            "broker": {"slice_value_rupees": (20_000, 500_000, 6_000, 1_700)[kind], "orders_per_second": 8},
            "risk": {
                "daily_loss_rupees": (300, 25_000, 150, 5_000)[kind],
                "drawdown_rupees": 25_000,
                "trade_notional_rupees": (30_000, 45_000, 30_000, 30_000)[kind],
                "order_value_rupees": 50_000,
                "instrument_exposure_rupees": 60_000,
                "gross_exposure_rupees": (150_000, 200_000, 90_000, 90_000)[kind],
                "open_positions": (4, 5, 3, 3)[kind],
            },
        }
    )


@lru_cache
def folder() -> tuple[Path, TemporaryDirectory[str]]:
    """A run's folder with the instruments file, which is all that is read from it; gone with this process."""
    holder = TemporaryDirectory(prefix="kitepilot-simulation-")
    path = Path(holder.name) / "runs" / RUN_ID
    path.mkdir(parents=True)
    rows = [listed(number, 100_00) for number in range(len(NAMES))]
    (path / "instruments.csv").write_bytes(instruments_csv(rows, date(2026, 11, 20), "NSE"))
    return path, holder


class MemoryFence(Fence):
    """The watchdog's fence without a folder."""

    def __init__(self) -> None:
        self._raised: Raised | None = None
        self.changed: Callable[[], None] = lambda: None

    def raised(self) -> Raised | None:
        return self._raised

    def stands(self) -> bool:
        return self._raised is not None

    def up(self, raised: Raised) -> Raised:
        self._raised = self._raised or raised
        self.changed()
        return self._raised

    def down(self) -> bool:
        stood, self._raised = self._raised is not None, None
        self.changed()
        return stood

    def beat(self, process: str) -> None:
        """There is no watchdog to hear it."""


class DecisionFlow:
    """The decision flow's process: the real source, logic and sink; epochs and recovery as Bytewax's."""

    def __init__(self, day: Day) -> None:
        self._day = day
        self.process = Process("decisions")
        self._saved: tuple[Any, bytes] | None = None
        self._woken = False
        self._dirty = False
        self._committed_at = 0.0
        self._sink: LogSinkPart | None = None

    def start(self) -> None:
        self.process = Process("decisions")
        self._woken = self._dirty = False
        self._sink = None
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
        if self._sink is None:
            return  # it has not begun
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
        assert self._sink is not None
        self._sink.snapshot()
        state = (self._source.snapshot(), self.logic.snapshot())
        self._day.effects.point()
        self._saved = state
        self._committed_at, self._dirty = self._day.loop.now, False
        self._day.effects.point()

    def died(self) -> None:
        writer = self._sink._writer if self._sink else None
        if isinstance(writer, MemoryWriter):
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
                findings=findings, ears=ears, fence=day.fence, machine=day.loop,
                facts=broker if day.seed % 4 == 0 else None,
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
