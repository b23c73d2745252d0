"""One paper day from start to proof: bring everything up, trade, drain, reconcile, report, stop."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from kitepilot.cli import after_close, opening, outcome
from kitepilot.cli import processes as table
from kitepilot.cli.background import refuse_second, require_clean
from kitepilot.cli.guard import DiskFullError, Guard, no_guard, require_room
from kitepilot.cli.opening import Exchange
from kitepilot.cli.strategy_words import HotReload
from kitepilot.cli.supervise import SupervisionError, Supervisor
from kitepilot.cli.venue import SandboxVenue
from kitepilot.cli.watch import Bar, Follower, StalledError, command, speaker, stderr_console
from kitepilot.config import Config, ConfigError
from kitepilot.ports import EventLog, LogError
from kitepilot.run import Run
from kitepilot.topics import TOPICS

FLATTEN_WITHIN_S = 60.0
FLATTEN_FULL_DISK_WITHIN_S = 15.0
SETTLE_WITHIN_S = 30.0
ARCHIVE_WITHIN_S = 120.0
PRODUCERS = (table.GATEWAY, table.DECISIONS, table.MARKET, table.INGEST, table.WATCHDOG)  # it stops first


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


def trade(
    config: Config, home: Path, *, as_json: bool = False, came_from: Path | None = None
) -> dict[str, Any]:
    """Trade one session; returns the result object of `kitepilot paper --json`.

    Raises:
        ConfigError, SupervisionError, LogError, StalledError: cannot start or cannot go on; all is stopped.
    """
    if config.mode == "live":
        raise ConfigError(
            "the configuration says `mode: live`: `kitepilot up` trades live, `paper` never does"
        )
    console = stderr_console()
    say = speaker(console)
    interrupt = Interrupt(say)
    supervisor = Supervisor(home)
    refuse_second(supervisor)
    require_clean(config, home)
    opening.ensure_api_secret()
    run = opening.create_run(config, home, came_from)
    opening.forget_old_runs(home)
    say(f"{run.run_id}: starting {len(table.stores(config))} stores, the exchange and the trading processes")
    supervisor.start(run, (*table.stores(config), table.SANDBOX, *table.TRADING))
    try:
        result = _trade_day(run, supervisor, console, interrupt)
    finally:
        say("stopping everything")
        supervisor.shutdown()
    after_close.start(run, result, say)
    if not as_json:
        outcome.show(Console(), result)
    return result


def _trade_day(run: Run, supervisor: Supervisor, console: Console, interrupt: Interrupt) -> dict[str, Any]:
    """Between the supervisor's start and its shutdown."""
    log = opening.start_stores(run, supervisor)
    exchange = opening.open_exchange(run, supervisor)
    opening.announce(run, log, opening.plan(run, opening.auction_stocks(exchange)))
    opening.start_trading(run, supervisor)
    opening.await_subscribed(run, exchange)
    day = Day(run, console, interrupt, Guard(run, supervisor), HotReload(run, speaker(console)))
    interrupted, traded_s = day.follow(log, exchange)
    supervisor.stop_processes(PRODUCERS)
    outcome.await_archive(run, {t.name: log.end_offset(t.name) for t in TOPICS}, ARCHIVE_WITHIN_S)
    result = outcome.conclude(run, log, SandboxVenue(exchange), interrupted=interrupted, traded_s=traded_s)
    exchange.close()
    log.close()
    return result


class Day:
    """One run while its processes are up: follow it to the close, or flatten it when asked."""

    def __init__(
        self,
        run: Run,
        console: Console,
        interrupt: Interrupt,
        guard: Callable[[], None] = no_guard,
        reload: Callable[[EventLog], None] = lambda _: None,
    ) -> None:
        self.run = run
        self.console = console
        self.interrupt = interrupt
        self._guard = guard
        self._reload = reload
        self._commands = 0

    def follow(self, log: EventLog, exchange: Exchange) -> tuple[bool, float]:
        """Open the market and follow it; (interrupted by a person, seconds traded)."""
        parameters = self.run.parameters()
        opened = time.monotonic()
        exchange.post("/admin/start")
        with Bar(self.console, parameters.open_at, parameters.close_at) as bar:
            follower = Follower(self.run, log, exchange, bar)
            interrupted = self._until_over(follower, log, parameters.close_at)
            self._settle(follower, log)
        follower.close()
        return interrupted, time.monotonic() - opened

    def _until_over(self, follower: Follower, log: EventLog, close_at: int) -> bool:
        """Until the session is over (False) or a person has had it flattened (True).

        Raises:
            DiskFullError: flattened first, if there was still room for that.
        """
        while not self.interrupt.asked.is_set():
            try:
                self._step(follower)
                self._reload(log)
                self._guard()
            except DiskFullError:
                with contextlib.suppress(SupervisionError, StalledError, LogError, OSError):
                    self._flatten(follower, log, FLATTEN_FULL_DISK_WITHIN_S)
                raise
            if follower.watch.state == "closed" and follower.watch.session_time >= close_at:
                return False
        self._flatten(follower, log)
        return True

    def _step(self, follower: Follower) -> None:
        """A full disk brings down whatever writes first: it is named before what it did."""
        try:
            follower.step()
        except (SupervisionError, StalledError, LogError, OSError):
            require_room(self.run.home)
            raise

    def _flatten(self, follower: Follower, log: EventLog, within_s: float = FLATTEN_WITHIN_S) -> None:
        asked_at = follower.watch.session_time
        self._say(log, asked_at, "flatten")
        self._say(log, asked_at, "halt")
        deadline = time.monotonic() + within_s
        while not (follower.watch.flat and follower.watch.session_time > asked_at):
            follower.step()
            if time.monotonic() > deadline:
                raise StalledError(f"not flat {within_s:.0f} s after it was asked for: see `kitepilot logs`")
        self.console.print("flat: no position, no working order", highlight=False)

    def _settle(self, follower: Follower, log: EventLog) -> None:
        """The end-of-day word, then wait until no order is without a final state."""
        self._say(log, follower.watch.session_time, "end_of_day")
        deadline = time.monotonic() + SETTLE_WITHIN_S
        while (
            follower.watch.account and follower.watch.account.working_orders and time.monotonic() < deadline
        ):
            follower.step()

    def _say(self, log: EventLog, at: int, name: str) -> None:
        self._commands += 1
        command(log, self._commands, at, name)
