"""One paper day from start to proof: bring everything up, trade, drain, reconcile, report, stop."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from kitepilot.cli import opening, outcome
from kitepilot.cli import processes as table
from kitepilot.cli.background import refuse_second, require_clean
from kitepilot.cli.seeding import ensure_models
from kitepilot.cli.supervise import Supervisor
from kitepilot.cli.watch import Bar, Follower, StalledError, command, stderr_console
from kitepilot.config import Config
from kitepilot.ports import EventLog
from kitepilot.run import Run
from kitepilot.topics import TOPICS

FLATTEN_WITHIN_S = 60.0
SETTLE_WITHIN_S = 30.0
ARCHIVE_WITHIN_S = 120.0
PRODUCERS = (table.GATEWAY, table.DECISIONS, table.MARKET, table.INGEST)


class Interrupt:
    """Ctrl-C (or SIGTERM) once asks for flat and stop; twice stops at once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.asked = threading.Event()
        self._say = say
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked.is_set():
            raise KeyboardInterrupt
        self.asked.set()
        self._say("flattening, then stopping (again to stop at once) ...")


def trade(config: Config, home: Path, *, as_json: bool = False) -> dict[str, Any]:
    """Trade one session; returns the result object of `kitepilot paper --json`.

    Raises:
        ConfigError, SupervisionError, LogError, StalledError: cannot start or cannot go on; all is stopped.
    """
    console = stderr_console()
    say = _speaker(console)
    interrupt = Interrupt(say)
    supervisor = Supervisor(home)
    refuse_second(supervisor)
    require_clean(config, home)
    ensure_models(config, home, say)
    opening.ensure_api_secret()
    run = opening.create_run(config, home)
    opening.forget_old_runs(home)
    say(f"{run.run_id}: starting {len(table.stores(config))} stores, the exchange and the trading processes")
    supervisor.start(run, (*table.stores(config), table.SANDBOX, *table.TRADING))
    try:
        day = Day(run, supervisor, console, interrupt)
        result = day.trade()
    finally:
        say("stopping everything")
        supervisor.shutdown()
    if not as_json:
        outcome.show(Console(), result)
    return result


def _speaker(console: Console) -> Callable[[str], None]:
    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True)

    return say


class Day:
    """One run while its processes are up."""

    def __init__(self, run: Run, supervisor: Supervisor, console: Console, interrupt: Interrupt) -> None:
        self.run = run
        self.supervisor = supervisor
        self.console = console
        self.interrupt = interrupt
        self._commands = 0

    def trade(self) -> dict[str, Any]:
        began = time.monotonic()
        log = opening.start_stores(self.run, self.supervisor)
        exchange = opening.open_exchange(self.run, self.supervisor)
        parameters = opening.decision_parameters(self.run, exchange)
        opening.record_run(self.run)
        opening.announce(self.run, log, parameters)
        opening.start_trading(self.run, self.supervisor, exchange)
        opened = time.monotonic()
        exchange.post("/admin/start")
        with Bar(self.console, parameters.open_at, parameters.close_at) as bar:
            follower = Follower(self.run, log, exchange, bar)
            interrupted = self._follow(follower, log, parameters.close_at)
            self._settle(follower, log)
        follower.close()
        traded_s = time.monotonic() - opened
        self._drain(log)
        result = outcome.conclude(
            self.run, log, exchange, parameters, follower.watch, interrupted=interrupted, traded_s=traded_s
        )
        result["started_in_s"] = round(opened - began, 1)
        exchange.close()
        log.close()
        return result

    def _follow(self, follower: Follower, log: EventLog, close_at: int) -> bool:
        """Until the session is over (False) or a person has had it flattened (True)."""
        deadline, asked_at = 0.0, 0
        while True:
            follower.step()
            watch = follower.watch
            if self.interrupt.asked.is_set():
                if not deadline:
                    self._say(log, watch.session_time, "flatten")
                    self._say(log, watch.session_time, "halt")
                    deadline = time.monotonic() + FLATTEN_WITHIN_S
                    asked_at = watch.session_time
                if watch.flat and watch.session_time > asked_at:
                    self.console.print("flat: no position, no working order", highlight=False)
                    return True
                if time.monotonic() > deadline:
                    raise StalledError(f"not flat {FLATTEN_WITHIN_S:.0f} s after Ctrl-C: see `kitepilot logs`")
            elif watch.state == "closed" and watch.session_time >= close_at:
                return False

    def _settle(self, follower: Follower, log: EventLog) -> None:
        """The end-of-day word, then wait until no order is without a final state."""
        self._say(log, follower.watch.session_time, "end_of_day")
        deadline = time.monotonic() + SETTLE_WITHIN_S
        while follower.watch.account and follower.watch.account.working_orders and time.monotonic() < deadline:
            follower.step()

    def _say(self, log: EventLog, at: int, name: str) -> None:
        self._commands += 1
        command(log, self._commands, at, name)

    def _drain(self, log: EventLog) -> None:
        """Stop the producers, each with time to finish, then wait for the archive to have it all."""
        self.supervisor.stop_processes(PRODUCERS)
        ends = {topic.name: log.end_offset(topic.name) for topic in TOPICS}
        outcome.await_archive(self.run, ends, ARCHIVE_WITHIN_S)
