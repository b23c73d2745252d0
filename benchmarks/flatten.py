"""From the owner's `flatten` to the last exit request, with every process running under a flood of ticks.

    python benchmarks/flatten.py [--quick] [--ticks 10000] [--positions 20]

Everything runs: sandbox, stores, ingester, market, decisions, gateway, archive, audit, API, watchdog.
From the open on the session goes at its own pace with 10,000 ticks a second. The desk's strategy keeps silent
and only the wishes come from here: signals on the log, sized, judged and sent as any other, until that many
positions are open. Then `flatten` is said on the log. An exit's moment is the journal's `submitted_at`, taken
on the sending thread right before the request; the last of the first exits of all positions counts. The
gateway goes by the machine's clock, as live: on paper at this pace the limiter must not trust a second it
cannot see.

The floor is the broker's limit, ten orders in a calendar second: the twentieth can leave one second after the
first at the earliest. The aim is a second past the floor. Prints a line a round, then JSON; `--quick`
is one round, the full form five.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
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
from kitepilot.market import calendar
from kitepilot.ports import EventLog
from kitepilot.run import RUN_FOLDER_VARIABLE, Run
from kitepilot.topics import DECISIONS, INTENTS, SESSION

AIM_PAST_FLOOR_S = 1.0
ROUNDS = 5
STRATEGY = "micro_momentum"
OPEN_DENSITY = 1.25  # ticks in a second after the open, in those of a usual second of the day
QUIET_S = 15  # session seconds from the open to the first wish
GATEWAY_WITHIN_S = 120.0
OPEN_WITHIN_S = 300.0
HELD_WITHIN_S = 120.0
FLAT_WITHIN_S = 120.0
FLOOD_S = 5.0  # the ticks are counted for so long before the word, and until the last exit has left
S = 1_000_000_000


def bench_config(ticks: int, positions: int) -> Config:
    """The live benchmark's desk at the session's own pace, whose strategy sees nothing it would like."""
    silent = {"depth_imbalance": 1.0, "trade_imbalance": 1.0, "max_move_vols": -20, "volume_ratio": 100}
    return configuration.override(
        live_stack.stack_config(),
        **{
            "session.speed": 60.0,
            "session.max_lead_s": 5.0,
            "market.updates_per_s": ticks / live_stack.INSTRUMENTS / OPEN_DENSITY,
            "strategies.enabled": [STRATEGY],
            "strategies.parameters": {STRATEGY: silent},
            "risk.open_positions": positions,
            "risk.loss_streak": 100_000,  # each round ends with twenty trades that lost their costs
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
        await_gateway(run, gateway)
        opening.await_subscribed(run, exchange)
        stack = live_stack.Stack(run, supervisor, log, exchange)
        to_the_open(run, stack)
        yield run, log, stack
        stack.close()
    finally:
        if gateway is not None:
            gateway.terminate()
            gateway.wait(60)
        supervisor.shutdown()


def await_gateway(run: Run, gateway: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + GATEWAY_WITHIN_S
    while not run.ready_file("gateway").exists():
        if gateway.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the gateway did not begin its work (exit code {gateway.poll()})")
        time.sleep(0.05)


def to_the_open(run: Run, stack: live_stack.Stack) -> None:
    """Through the auction of the morning in a hurry, into continuous trading at the session's own pace."""
    open_at = calendar.session(date.fromisoformat(run.config.session.date)).open_at
    stack.start()
    stack.follow(OPEN_WITHIN_S, until_session=open_at - 2 * S)
    stack.set_speed(1.0)
    stack.follow(OPEN_WITHIN_S, until_session=open_at + QUIET_S * S)


class Hand:
    """Wishes on the session log until enough is held. What became of them is read from the decisions."""

    def __init__(self, run: Run, log: EventLog) -> None:
        self._run, self._log = run, log
        self._instruments = [one for one in run.parameters().instruments if one.segment == "NSE"]
        self._decided = log.reader({(DECISIONS.name, 0): log.end_offset(DECISIONS.name)})
        self._wished = 0
        self._account: e.AccountMarked | None = None
        self.denied: Counter[str] = Counter()

    def look(self) -> tuple[int, int]:
        """(positions open, orders working) at the newest mark."""
        while records := self._decided.poll(5_000):
            for record in records:
                event = e.decode(record.value)
                if isinstance(event, e.AccountMarked):
                    self._account = event
                elif isinstance(event, e.Verdict) and event.denial:
                    self.denied[event.denial] += 1
        account = self._account
        return (account.open_positions, account.working_orders) if account else (0, 0)

    def wish(self, count: int) -> None:
        """`count` more instruments, in turn."""
        at = self._account.event_at if self._account else 0
        wishes = [self._signal(self._wished + number, at) for number in range(count)]
        self._wished += count
        self._log.append(SESSION.name, [e.encode(each, emitted_at=time.time_ns()) for each in wishes])

    def _signal(self, number: int, at: int) -> e.SignalRaised:
        terms = self._instruments[number % len(self._instruments)]
        return e.SignalRaised(
            source="benchmark", seq=number, event_at=at, signal_id=f"benchmark-{number}", strategy=STRATEGY,
            token=terms.token, tradingsymbol=terms.tradingsymbol, side=(e.Side.BUY, e.Side.SELL)[number % 2],
            strength=1.0, interval_s=1, bar_close_at=at, horizon_s=20_000, stop_bps=1_000,
            take_profit_bps=1_000, last_paise=0, bid_paise=0, ask_paise=0, features={}, scores={},
            received_at=time.time_ns(),
        )  # fmt: skip


def open_positions(stack: live_stack.Stack, hand: Hand, wanted: int) -> None:
    """A wish for each position that is missing, again each second, until `wanted` are open and settled."""
    deadline = time.monotonic() + HELD_WITHIN_S
    while (found := hand.look()) != (wanted, 0):
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"{found[0]} of {wanted} positions after {HELD_WITHIN_S:.0f} s; refused: {hand.denied}"
            )
        if not found[1]:
            hand.wish(wanted - found[0])
        stack.follow(1.5)


def one_round(
    run: Run, log: EventLog, stack: live_stack.Stack, hand: Hand, positions: int
) -> dict[str, object]:
    open_positions(stack, hand, positions)
    ticks_before, began = stack.progress()[0], time.monotonic()
    stack.follow(FLOOD_S)
    starts = {(INTENTS.name, 0): log.end_offset(INTENTS.name)}
    said_at = owner.say(log, "flatten")
    deadline = time.monotonic() + FLAT_WITHIN_S
    left: dict[str, float] = {}
    sent: dict[str, tuple[int, str]] = {}
    while len(left) < positions:
        stack.follow(0.5)
        first: dict[int, str] = {}
        for event in stack.events_since(starts):
            if isinstance(event, e.ApprovedIntent) and event.purpose is e.Purpose.SQUARE_OFF:
                first.setdefault(event.token, event.intent_id)
        sent = submitted(run, list(first.values()))
        left = {name: (at - said_at) / S for name, (at, _) in sent.items()}
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(left)} of {positions} exits left within {FLAT_WITHIN_S:.0f} s")
    ticks = (stack.progress()[0] - ticks_before) / (time.monotonic() - began)
    while hand.look() != (0, 0):
        stack.follow(0.5)
        if time.monotonic() > deadline:
            raise TimeoutError(f"{hand.look()} positions, orders {FLAT_WITHIN_S:.0f} s after the word")
    owner.say(log, "resume")
    floor = float(-(-positions // ORDERS_PER_SECOND) - 1)
    last = max(left.values())
    return {
        "positions": positions,
        "ticks_per_s": round(ticks),
        "not_accepted": sum(outcome != "accepted" for _, outcome in sent.values()),
        "first_s": round(min(left.values()), 3),
        "measured_s": round(last, 3),
        "floor_s": floor,
        "difference_s": round(last - floor, 3),
        "ratio": round(last / floor, 2) if floor else 0.0,
        "within_aim": last <= floor + AIM_PAST_FLOOR_S,
    }


def submitted(run: Run, names: list[str]) -> dict[str, tuple[int, str]]:
    """When the request of each intent left (machine clock, ns) and what came of it, of those that did."""
    url = sa.make_url(database_url(run)).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as database:
        query = (
            "SELECT intent_id, submitted_at, outcome FROM orders WHERE run_id = %s AND intent_id = ANY(%s)"
        )
        rows = database.execute(query, (run.run_id, names)).fetchall()
    return {name: (_ns(at), outcome) for name, at, outcome in rows if at is not None}


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
            hand = Hand(run, log)
            for _ in range(1 if asked.quick else ROUNDS):
                rows.append(one_round(run, log, stack, hand, asked.positions))
                print("  ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    print(json.dumps({"benchmark": "flatten", "cores": os.cpu_count(), "load": load, "rounds": rows}))


if __name__ == "__main__":
    main()
