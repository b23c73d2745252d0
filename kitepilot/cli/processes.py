"""The processes of KitePilot, in the order in which they start; they stop in the reverse order."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from kitepilot.config import Config
from kitepilot.run import Run


@dataclass(frozen=True)
class Process:
    """One supervised process. `target` is `module:function(run) -> exit code`.

    `yields` is its niceness: what no order waits for gives way when the processors are busy, and what yields
    takes a processor from nobody when it wakes (Linux's SCHED_BATCH).
    """

    name: str
    target: str
    does: str
    stop_wait_s: int = 15
    yields: int = 0


POSTGRES = Process("postgres", "infra.postgres.embedded:main", "book of record")
CLICKHOUSE = Process("clickhouse", "infra.clickhouse.server:main", "memory for analysis", yields=10)
KAFKA = Process("kafka", "infra.kafka.server:main", "event log (Kafka protocol)", 40)
SANDBOX = Process("sandbox", "broker_adapter.sandbox.main:main", "local exchange that speaks Kite")
API = Process("api", "api.main:main", "health, status, metrics", yields=5)
ARCHIVE = Process("archive", "flows.archive:main", "topics to ClickHouse", 30, yields=10)
AUDIT = Process("audit", "flows.audit:main", "what was said and done, as a chain", 30, yields=5)
ALERTS = Process("alerts", "flows.alerts:main", "tells people what they must know", yields=5)
GATEWAY = Process("gateway", "broker_adapter.gateway.main:main", "journal, then the broker", 20)
DECISIONS = Process("decisions", "flows.decisions:main", "positions, risk, intents")
MARKET = Process("market", "flows.market:main", "ticks to bars, features, scores, signals")
INGEST = Process("ingest", "broker_adapter.ingest:main", "ticker frames to the log")
WATCHDOG = Process("watchdog", "broker_adapter.watchdog.main:main", "flattens when the others are silent")

#: Trading processes, in start order: consumers before producers, so nothing waits unread. The watchdog begins
#: last and ends first: it must not take a beginning or an end for silence.
TRADING = (API, ARCHIVE, AUDIT, ALERTS, GATEWAY, DECISIONS, MARKET, INGEST, WATCHDOG)
ALL = (POSTGRES, CLICKHOUSE, KAFKA, SANDBOX, *TRADING)
RESEARCH = Process("research", "kitepilot.cli.research_answers:main", "previews and checks", yields=5)
BACKTESTS = Process("backtests", "kitepilot.cli.backtest_queue:main", "backtests, one by one", yields=10)
#: What the API starts when somebody asks for it: nobody supervises them, and no order waits for them.
ON_DEMAND = (RESEARCH, BACKTESTS)


def stores(config: Config) -> tuple[Process, ...]:
    """The embedded servers this configuration needs: none for a database or broker given by address."""
    chosen: list[Process] = []
    if not config.storage.database_url:
        chosen.append(POSTGRES)
    if not config.storage.clickhouse_url or _local(config.storage.clickhouse_url):
        chosen.append(CLICKHOUSE)
    if config.log.kind == "kafka" and _local(config.log.bootstrap_servers):
        chosen.append(KAFKA)
    return tuple(chosen)


def _local(address: str) -> bool:
    return "127.0.0.1" in address or "localhost" in address


def by_name(name: str) -> Process:
    """The process called `name`. Raises KeyError naming the valid ones."""
    for process in (*ALL, *ON_DEMAND):
        if process.name == name:
            return process
    raise KeyError(f"no process {name!r}; there are: {', '.join(p.name for p in ALL)}")


def main_of(process: Process) -> Callable[[Run], int]:
    """Import the process's entry point: only when it is started, each process pays for its own imports."""
    module, _, function = process.target.partition(":")
    return cast(Callable[[Run], int], getattr(importlib.import_module(module), function))


def run_process(name: str, run: Run) -> int:
    """Body of one supervised process."""
    from infra.telemetry.process_log import install

    process = by_name(name)
    settle_in(process)
    install(run, name)
    return main_of(process)(run)


def settle_in(process: Process) -> None:
    """Ctrl-C in the terminal is for the command line alone; and who yields, yields from the start."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(process.yields)
    if process.yields and sys.platform == "linux":
        with suppress(OSError):  # some containers forbid it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
