"""The whole path under load: sandbox exchange to order journal, every process and store running.

The sandbox is the producer. 300 instruments get `BASE_PER_S` ticks/s of session time; a rate is reached by
the session's speed (10,000 ticks/s is ten session seconds a second), so bars close, models score and the
account is marked that many times more often than at speed 1: harder than a live day at the same rate.
The session's first minutes are played at full speed, until every feature has its look-back.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import NamedTuple

import live_figures as figures
import psutil

from infra.clickhouse.book import next_offsets
from kitepilot import config as configuration
from kitepilot import events as e
from kitepilot.cli import opening
from kitepilot.cli import processes as table
from kitepilot.cli.opening import Exchange
from kitepilot.cli.seed import seed
from kitepilot.cli.supervise import Supervisor
from kitepilot.config import Config
from kitepilot.market import calendar
from kitepilot.ports import EventLog
from kitepilot.run import Run
from kitepilot.topics import DECISIONS, INTENTS, ORDERS, SESSION, TICKS, TOPICS

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from loopback_ports import free_port

INSTRUMENTS = 300
BASE_PER_S = 1_000
S = 1_000_000_000
WARM_S = 330  # of session time after the open: the longest look-back and the models' horizon
SETTLE_S = 5.0
PACE_S = 5.0
MAX_BEHIND_S = 3.0  # the archive flushes every two seconds; falling behind by more than this is a queue
FOLLOWED = (SESSION.name, DECISIONS.name, INTENTS.name, ORDERS.name)


def stack_config() -> Config:
    """The default desk on ports of its own, with strategies and limits that let it speak often."""
    at = "127.0.0.1"
    return configuration.build(
        {
            "session": {"speed": "max", "max_lead_s": 60.0},
            "daily_pack": {"enabled": False},  # the machine is measured to the end
            "market": {"instruments": INSTRUMENTS, "updates_per_s": BASE_PER_S / INSTRUMENTS},
            "strategies": {
                "parameters": {
                    "micro_momentum": {
                        "depth_imbalance": 0.3,
                        "trade_imbalance": 0.3,
                        "trade_imbalance_60s": 0.0,
                        "max_move_vols": 20,
                        "volume_ratio": 0.0,
                        "max_spread_bps": 100,
                        "from_minute": 5,
                        "cooldown_s": 120,
                        "horizon_s": 30,
                    }
                }
            },
            "risk": {
                "open_positions": 60,
                "daily_loss_rupees": 10_000_000,
                "drawdown_rupees": 10_000_000,
                "loss_streak": 1_000_000,  # else its pause of 300 session seconds may cover a whole step
                "trades_per_day": 1_000_000,
                "trades_per_instrument": 100_000,
                "trade_notional_rupees": 10_000,
                "orders_per_minute": 60_000,
                "orders_per_day": 1_000_000,
            },
            "broker": {
                "rest_url": f"http://{at}:{free_port()}",
                "ticker_url": f"ws://{at}:{free_port()}",
                "admin_url": f"http://{at}:{free_port()}",
            },
            "storage": {"clickhouse_url": f"http://{at}:{free_port()}"},
            "api": {"port": free_port()},
        }
    )


class Point(NamedTuple):
    """Where everything stood at one moment."""

    machine_at: int
    session_at: int
    ticks_sent: int
    cpu_s: dict[str, float]
    busy_s: float  # of the whole machine, all cores
    behind: dict[str, int]  # messages the archive has yet to store
    ticks_messages: int


class Stack:
    """One running system, watched from outside with as little work as possible."""

    def __init__(self, run: Run, supervisor: Supervisor, log: EventLog, exchange: Exchange) -> None:
        self._run = run
        self._supervisor = supervisor
        self._log = log
        self._exchange = exchange
        self._account_reader = log.reader({(DECISIONS.name, 0): run.start_offsets()[DECISIONS.name]})
        self._acked = 0

    @property
    def api_port(self) -> int:
        return self._run.config.api.port

    @property
    def api_token(self) -> str:
        return (self._run.home / "api.token").read_text()

    def follow(self, seconds: float, until_session: int = 0) -> None:
        """Acknowledge session time for `seconds`, or until it reaches `until_session`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not (until_session and self._acked >= until_session):
            newest = 0
            for record in self._account_reader.poll(2_000):
                event = e.decode(record.value)
                if isinstance(event, e.AccountMarked):
                    newest = event.event_at
            if newest > self._acked:
                self._acked = newest
                self._exchange.post("/admin/ack", {"session_time_ns": newest})
            time.sleep(0.05)
        if until_session and self._acked < until_session:
            raise TimeoutError(f"session time is {(until_session - self._acked) / S:.0f} s short")

    def start(self) -> None:
        """Let the session begin."""
        self._exchange.post("/admin/start")

    def set_speed(self, speed: float) -> None:
        self._exchange.post("/admin/speed", {"speed": round(speed, 3)})

    def progress(self) -> tuple[int, int]:
        """(ticks sent so far, session time)."""
        state = self._exchange.get("/admin/state")
        return state["ticks_sent"], state["session_time_ns"]

    def point(self) -> Point:
        ticks_sent, session_at = self.progress()
        busy = psutil.cpu_times()
        return Point(
            time.time_ns(),
            session_at,
            ticks_sent,
            self._cpu_s(),
            sum(busy) - busy.idle - busy.iowait - busy.guest - busy.guest_nice,
            self._behind(),
            self._log.end_offset(TICKS.name),
        )

    def offsets(self) -> dict[tuple[str, int], int]:
        return {(topic, 0): self._log.end_offset(topic) for topic in FOLLOWED}

    def events_since(self, offsets: dict[tuple[str, int], int]) -> Iterator[e.AnyEvent]:
        """Session first, so that marks are known before their accounts."""
        for where, offset in offsets.items():
            reader = self._log.reader({where: offset})
            while records := reader.poll(2_000):
                yield from (e.decode(record.value) for record in records)
            reader.close()

    def pause(self, name: str) -> None:
        """Freeze a process where it stands; `resume` lets it go on."""
        self._signal(name, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self._signal(name, signal.SIGCONT)

    def _signal(self, name: str, number: signal.Signals) -> None:
        for state in self._supervisor.states():
            if state.name == name and state.pid:
                os.kill(state.pid, number)

    def close(self) -> None:
        self._account_reader.close()
        self._exchange.close()
        self._log.close()

    def _cpu_s(self) -> dict[str, float]:
        used = {"benchmark": sum(psutil.Process().cpu_times()[:2])}
        for state in self._supervisor.states():
            if state.pid:
                top = psutil.Process(state.pid)
                used[state.name] = sum(sum(p.cpu_times()[:2]) for p in (top, *top.children(recursive=True)))
        return used

    def _behind(self) -> dict[str, int]:
        reached, starts = next_offsets(self._run), self._run.start_offsets()
        return {t.name: self._log.end_offset(t.name) - reached.get(t.name, starts[t.name]) for t in TOPICS}


def paced(stack: Stack, rate: int, density: float, seconds: float) -> float:
    """Follow for `seconds` while the speed is set anew for `rate`; returns the newest density.

    Density is ticks per session second: highest at the open and falling for hours, so a speed that was right
    a minute ago sends too little. It never hides a slow system: that does not reach the speed asked.
    """
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        stack.set_speed(rate / density)
        sent, session_at = stack.progress()
        stack.follow(min(PACE_S, left))
        sent_now, session_now = stack.progress()
        if left >= PACE_S and session_now > session_at:
            density = (sent_now - sent) * S / (session_now - session_at)
    return density


def step(stack: Stack, rate: int, seconds: float, density: float) -> dict[str, object]:
    """One rate for `seconds`, after a settling time."""
    density = paced(stack, rate, density, SETTLE_S + 0.5)
    offsets, begin = stack.offsets(), stack.point()
    density = paced(stack, rate, density, seconds / 2)
    middle = stack.point()
    density = paced(stack, rate, density, seconds / 2)
    end = stack.point()
    sample = figures.Sample()
    sample.take_all(stack.events_since(offsets))
    took = (end.machine_at - begin.machine_at) / S
    reached = (end.ticks_sent - begin.ticks_sent) / took
    growth = figures.growth_ms(sample.tick_to_mark, begin.machine_at, end.machine_at)
    behind, behind_before = end.behind[TICKS.name], middle.behind[TICKS.name]
    messages_per_s = (end.ticks_messages - begin.ticks_messages) / took
    cpu = {name: round(100 * (used - begin.cpu_s.get(name, 0)) / took) for name, used in end.cpu_s.items()}
    cpu["machine"] = round(100 * (end.busy_s - begin.busy_s) / took)
    return {
        "asked_per_s": rate,
        "ticks_per_s": round(reached),
        "session_speed_asked": round(rate / density, 2),
        "session_speed": round((end.session_at - begin.session_at) / S / took, 2),
        **figures.legs(sample, begin.machine_at, end.machine_at),
        "mark_growth_ms": round(growth, 1),
        "denials": dict(sample.denials.most_common(3)),
        "behind": {"ticks messages, middle": behind_before, "end": behind},
        "ticks_messages_per_s": round(messages_per_s),
        "cpu_percent": dict(sorted(cpu.items(), key=lambda item: -item[1])),
        "sustained": bool(
            reached >= 0.95 * rate
            and growth <= figures.MAX_GROWTH_MS
            and behind - behind_before <= MAX_BEHIND_S * messages_per_s
        ),
    }


def measure(home: Path, rates: list[int], seconds: float, climb: tuple[int, ...]) -> dict[str, object]:
    """Bring a system up in `home`, run every rate, then climb until one is not sustained; stop it all."""
    with warm(home) as (stack, density):
        rows = _steps(stack, [(rate, seconds) for rate in rates], climb, density)
    kept = [int(str(row["ticks_per_s"])) for row in rows if row["sustained"]]
    return {"steps": rows, "highest_sustained_per_s": max(kept, default=0)}


@contextmanager
def warm(home: Path, changes: Mapping[str, object] | None = None) -> Iterator[tuple[Stack, float]]:
    """A whole system in `home`, its first minutes played, and its ticks per session second; stopped after."""
    config = configuration.override(stack_config(), **(changes or {}))
    opening.ensure_api_secret()
    seed(home, 2, config.market.seed, lambda what, _: print(f"  {what}", file=sys.stderr), config=Config())
    run, supervisor = opening.create_run(config, home), Supervisor(home)
    supervisor.start(run, (*table.stores(config), table.SANDBOX, *table.TRADING))
    try:
        log = opening.start_stores(run, supervisor)
        exchange = opening.open_exchange(run, supervisor)
        opening.announce(run, log, opening.plan(run, opening.auction_stocks(exchange)))
        opening.start_trading(run, supervisor)
        stack = Stack(run, supervisor, log, exchange)
        yield stack, _warmed(stack, run, exchange)
        stack.close()
    finally:
        supervisor.shutdown()


def _warmed(stack: Stack, run: Run, exchange: Exchange) -> float:
    """Play the session's first minutes; ticks per session second then."""
    session = calendar.session(date.fromisoformat(run.config.session.date))
    stack.start()
    warm_from = session.open_at + (WARM_S - 60) * S
    stack.follow(300, until_session=warm_from)
    before = exchange.get("/admin/state")
    stack.follow(120, until_session=session.open_at + WARM_S * S)
    after = exchange.get("/admin/state")
    session_s = (after["session_time_ns"] - before["session_time_ns"]) / S
    return float((after["ticks_sent"] - before["ticks_sent"]) / session_s)


def _steps(
    stack: Stack, steps: list[tuple[int, float]], climb: tuple[int, ...], density: float
) -> list[dict[str, object]]:
    rows = []
    for rate, seconds in (*steps, *((rate, 15.0) for rate in climb)):
        row = step(stack, rate, seconds, density)
        rows.append(row)
        figures.show(row)
        if rate in climb and not row["sustained"]:
            break
    return rows
