"""From the owner's `flatten` to the last exit request, with every process running under a flood of ticks.

    python benchmarks/flatten.py [--quick] [--ticks 10000] [--positions 20]

The desk trades until that many positions are open, the session then runs at its own pace with 10,000 ticks a
second, and `flatten` is said on the log. Each exit's moment is the journal's `submitted_at`, taken on the
sending thread right before the request. The gateway goes by the machine's clock, as live: on paper at this
pace the limiter must not trust a second it cannot see.

The floor, in the same run, is the broker's limit: so many orders at ten a second. Prints a table, then one
JSON line; the aim is a second past the floor. `--quick` is one round, the full form three.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import live_stack
import psycopg
import sqlalchemy as sa
from order_path import GATEWAY

from broker_adapter.kite.allowances import ORDERS_PER_SECOND
from infra.postgres.embedded import database_url
from kitepilot import config as configuration
from kitepilot import events as e
from kitepilot.cli import opening, owner
from kitepilot.cli import processes as table
from kitepilot.cli.seed import seed
from kitepilot.cli.supervise import Supervisor
from kitepilot.config import Config
from kitepilot.ports import EventLog
from kitepilot.run import RUN_FOLDER_VARIABLE, Run
from kitepilot.topics import DECISIONS, INTENTS, ORDERS

AIM_PAST_FLOOR_S = 1.0
POSITIONS_WITHIN_S = 600.0
FLAT_WITHIN_S = 120.0
SETTLE_S = 10.0


def bench_config(ticks: int, positions: int) -> Config:
    """The live benchmark's desk at the session's own pace; positions stay until they are told to leave."""
    calm = {
        "depth_imbalance": 0.2, "trade_imbalance": 0.2, "trade_imbalance_60s": 0.0, "max_move_vols": 20,
        "volume_ratio": 0.0, "max_spread_bps": 100, "from_minute": 5, "cooldown_s": 5, "horizon_s": 20_000,
        "stop_bps": 1_000, "take_profit_bps": 1_000,
    }  # fmt: skip
    return configuration.override(
        live_stack.stack_config(),
        **{
            "market.updates_per_s": ticks / live_stack.INSTRUMENTS,
            "strategies.enabled": ["micro_momentum"],
            "strategies.parameters": {"micro_momentum": calm},
            "risk.open_positions": positions,
        },
    )


@contextmanager
def trading(home: Path, config: Config) -> Iterator[tuple[Run, EventLog, live_stack.Stack]]:
    """Every process; the gateway is ours to start, because it goes by another clock."""
    opening.ensure_api_secret()
    seed(home, 2, config.market.seed, lambda what, _: print(f"  {what}", file=sys.stderr), config=Config())
    run, supervisor = opening.create_run(config, home), Supervisor(home)
    others = tuple(each for each in table.TRADING if each is not table.GATEWAY)
    supervisor.start(run, (*table.stores(config), table.SANDBOX, *others))
    gateway = None
    try:
        log = opening.start_stores(run, supervisor)
        exchange = opening.open_exchange(run, supervisor)
        opening.announce(run, log, opening.plan(run, opening.auction_stocks(exchange)))
        environment = {**os.environ, RUN_FOLDER_VARIABLE: str(run.folder), "OMP_NUM_THREADS": "1"}
        gateway = subprocess.Popen([sys.executable, "-c", GATEWAY], env=environment)
        for process in others:
            supervisor.launch(process)
        supervisor.await_ready(run, others, timeout_s=240)
        opening.await_subscribed(run, exchange)
        stack = live_stack.Stack(run, supervisor, log, exchange)
        exchange.post("/admin/start")
        yield run, log, stack
        stack.close()
    finally:
        if gateway is not None:
            gateway.terminate()
            gateway.wait(60)
        supervisor.shutdown()


def open_positions(run: Run, log: EventLog, stack: live_stack.Stack, wanted: int) -> int:
    """Trade at full speed until `wanted` are open, then slow down to the session's own pace."""
    stack.set_speed(60.0)
    reader = log.reader({(DECISIONS.name, 0): log.end_offset(DECISIONS.name)})
    deadline, held = time.monotonic() + POSITIONS_WITHIN_S, 0
    while held < wanted:
        stack.follow(0.5)
        for record in reader.poll(5_000):
            event = e.decode(record.value)
            if isinstance(event, e.AccountMarked):
                held = event.open_positions
        if time.monotonic() > deadline:
            raise TimeoutError(f"{held} of {wanted} positions after {POSITIONS_WITHIN_S:.0f} s")
    reader.close()
    stack.set_speed(1.0)
    stack.follow(SETTLE_S)
    return held


def one_round(run: Run, log: EventLog, stack: live_stack.Stack, positions: int) -> dict[str, float | int]:
    held = open_positions(run, log, stack, positions)
    sent_before, began = stack.progress()[0], time.monotonic()
    starts = {(topic.name, 0): log.end_offset(topic.name) for topic in (INTENTS, ORDERS)}
    said_at = owner.say(log, "flatten")
    first: dict[int, str] = {}
    deadline = time.monotonic() + FLAT_WITHIN_S
    while len(first) < held:
        stack.follow(0.2)
        for event in stack.events_since(starts):
            if isinstance(event, e.ApprovedIntent) and event.purpose is e.Purpose.SQUARE_OFF:
                first.setdefault(event.token, event.intent_id)
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(first)} of {held} exits after {FLAT_WITHIN_S:.0f} s")
    stack.follow(5.0)
    ticks = (stack.progress()[0] - sent_before) / (time.monotonic() - began)
    left = [(at - said_at) / 1e9 for at in submitted(run, list(first.values()))]
    owner.say(log, "resume")
    floor = held / ORDERS_PER_SECOND
    return {
        "positions": held,
        "ticks_per_s": round(ticks),
        "first_s": round(min(left), 3),
        "last_s": round(max(left), 3),
        "floor_s": floor,
        "ratio": round(max(left) / floor, 2),
        "within_aim": max(left) <= floor + AIM_PAST_FLOOR_S,
    }


def submitted(run: Run, names: list[str]) -> list[int]:
    """When each intent's request left (machine clock, ns)."""
    url = sa.make_url(database_url(run)).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as database:
        query = "SELECT submitted_at FROM orders WHERE run_id = %s AND intent_id = ANY(%s)"
        rows = database.execute(query, (run.run_id, names)).fetchall()
    return [_ns(at) for (at,) in rows if at is not None]


def _ns(at: datetime) -> int:
    return round(at.timestamp() * 1e6) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--ticks", type=int, default=10_000, help="ticks a second")
    parser.add_argument("--positions", type=int, default=20)
    asked = parser.parse_args()
    load = "/".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores, load {load}, aim the limit's floor and {AIM_PAST_FLOOR_S:.0f} s")
    rows = []
    with tempfile.TemporaryDirectory(prefix="kitepilot-flatten-") as home:
        config = bench_config(asked.ticks, asked.positions)
        with trading(Path(home), config) as (run, log, stack):
            for _ in range(1 if asked.quick else 3):
                rows.append(one_round(run, log, stack, asked.positions))
                print("  ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    print(json.dumps({"benchmark": "flatten", "cores": os.cpu_count(), "load": load, "rounds": rows}))


if __name__ == "__main__":
    main()
