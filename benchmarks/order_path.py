"""From an approved intent on the log to its order request on the wire, durable journal included.

    python benchmarks/order_path.py [--quick] [--seconds 40] [--beside RATE]

The gateway process, a PostgreSQL and a sandbox without latency of its own; a relay in front of the sandbox
stamps the moment an order request arrives. At 1, 5 and 8 orders a second, all of them exits. The gateway goes
by the machine's clock, as live: the sandbox's comes in frames a second apart at this speed, and the limiter,
which must not trust a second it cannot see, would let only five orders a second through.
Percentiles need some hundred orders: p99 at one a second is the worst of a few dozen.

The baseline, in the same run and just before each rate: one row inserted and committed in the same
PostgreSQL, and the same form posted through the same relay by a plain HTTP client, one after the other.
Prints a table, then one JSON line.

`--beside RATE` measures the same leg in the whole stack while RATE ticks/s flow through it: from the intent
handed to the log until its row is written (`journaled_at`, before the commit) and until the request leaves
(`submitted_at`), the orders being the desk's own. The session then runs many times faster than the machine's
clock and its intents come in bursts, so the second leg is mostly waiting for leave to send.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec
import psycopg
import sqlalchemy as sa
from live_figures import percentiles

from broker_adapter.kite import session
from broker_adapter.kite.client import KiteBroker
from broker_adapter.kite.render import place_parameters
from infra.eventlog import open_log
from infra.postgres.embedded import Server
from kitepilot import config as configuration
from kitepilot.config import Config
from kitepilot.events import ApprovedIntent, Purpose, Side, encode
from kitepilot.market.instruments import Instrument, parse_instruments, round_to_tick
from kitepilot.orders.intents import intent_id
from kitepilot.run import RUN_FOLDER_VARIABLE, Run
from kitepilot.topics import INTENTS, TOPICS

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from loopback_ports import free_port

RATES = (1, 5, 8)
AIM_MS = 20.0
BASELINES = 40
SECRET = "bench"
OPEN_NS = 1_795_146_300_000_000_000  # 2026-11-20 09:15:00 IST
TAG = re.compile(rb"tag=([A-Z2-7]{18}[0-9]{2})")
GATEWAY = """
import sys
from broker_adapter.gateway import main
from kitepilot import run
main.VenueClock = lambda _monotonic: main.WallClock()
sys.exit(main.main(run.current()))
"""
spawn = multiprocessing.get_context("spawn")


class Wire:
    """A relay of bytes to the sandbox that notes when the request of each tag arrived (machine clock, ns)."""

    def __init__(self, port: int, target: int) -> None:
        self.arrived: dict[str, int] = {}
        self._target = target
        self._up = threading.Event()
        threading.Thread(target=asyncio.run, args=(self._serve(port),), daemon=True).start()
        self._up.wait(10)

    async def _serve(self, port: int) -> None:
        server = await asyncio.start_server(self._relay, "127.0.0.1", port)
        self._up.set()
        await server.serve_forever()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        their_reader, their_writer = await asyncio.open_connection("127.0.0.1", self._target)
        await asyncio.gather(
            self._pump(reader, their_writer), self._pump(their_reader, writer), return_exceptions=True
        )

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            at = time.time_ns()
            for tag in TAG.findall(data):
                self.arrived.setdefault(tag.decode(), at)
            writer.write(data)
            await writer.drain()
        writer.close()


def sandbox(config: Config, ports: tuple[int, int, int]) -> None:
    """A child process: the exchange at real pace, without latency of its own."""
    from broker_adapter.sandbox.main import serve
    from broker_adapter.sandbox.venue import Venue

    rest, ticker, admin = (
        f"{scheme}://127.0.0.1:{port}" for scheme, port in zip(("http", "ws", "http"), ports, strict=True)
    )
    own = configuration.override(
        config, **{"broker.rest_url": rest, "broker.ticker_url": ticker, "broker.admin_url": admin}
    )
    venue = Venue(SECRET, latency_mean_ms=0.0, start_at_once=True, start_from="09:16")
    sys.exit(serve(own, venue, lambda: None))


class Floor:
    """A run, its log and the prices of the morning; intents are made from them."""

    def __init__(self, run: Run, wire: Wire) -> None:
        self.run, self.wire = run, wire
        self.log = open_log(run)
        self.log.create_topics(TOPICS)
        (run.folder / "start_offsets.json").write_text(
            json.dumps({t.name: self.log.end_offset(t.name) for t in TOPICS})
        )
        broker = KiteBroker(run)
        raw = broker.instruments()
        (run.folder / "instruments.csv").write_bytes(raw)
        self._instruments = [i for i in parse_instruments(raw) if i.tradable]
        self._prices = self._quotes()
        self._made = 0

    def _quotes(self) -> dict[str, int]:
        held = session.load(self.run)
        headers = {**session.KITE_VERSION, "Authorization": f"token {held.api_key}:{held.access_token}"}
        names = {"i": [f"NSE:{i.tradingsymbol}" for i in self._instruments]}
        url = f"{self.run.config.broker.rest_url}/quote"
        data = (
            httpx.get(url, params=names, headers=headers, trust_env=False).raise_for_status().json()["data"]
        )
        return {name.removeprefix("NSE:"): round(row["last_price"] * 100) for name, row in data.items()}

    def intent(self) -> ApprovedIntent:
        """An exit that fills at once, buying and selling in turn."""
        number, self._made = self._made, self._made + 1
        instrument: Instrument = self._instruments[number % len(self._instruments)]
        purpose = Purpose.EXIT
        side = Side.BUY if (number // len(self._instruments)) % 2 else Side.SELL
        last = self._prices[instrument.tradingsymbol]
        limit = round_to_tick(
            last * (101 if side is Side.BUY else 99) // 100, instrument.tick_size_paise, "nearest"
        )
        return ApprovedIntent(
            source="decisions", seq=number, event_at=OPEN_NS, run_id=self.run.run_id, signal_id="s",
            intent_id=intent_id(self.run.run_id, "bench", instrument.token, 0, number, purpose),
            config_hash=self.run.config_hash, verdict_id="v", strategy="bench", purpose=purpose,
            token=instrument.token, tradingsymbol=instrument.tradingsymbol, side=side, quantity=1,
            order_type="LIMIT", limit_price_paise=limit, validity="IOC", decision_price_paise=last,
            received_at=0, signal_emitted_at=0,
        )  # fmt: skip


@contextmanager
def opened(home: Path) -> Iterator[Floor]:
    """PostgreSQL, sandbox, relay and a gateway that is ready."""
    with ExitStack() as stack:
        database = stack.enter_context(Server(home / "postgres"))
        relay, rest, ticker, admin = (free_port() for _ in range(4))
        at = "127.0.0.1"
        config = configuration.build(
            {
                "market": {"instruments": 20},
                "session": {"speed": 1.0, "max_lead_s": 1e6},
                "broker": {
                    "rest_url": f"http://{at}:{relay}",
                    "ticker_url": f"ws://{at}:{ticker}",
                    "admin_url": f"http://{at}:{admin}",
                },
                "storage": {"database_url": database.url},
            }
        )
        child = spawn.Process(target=sandbox, args=(config, (rest, ticker, admin)))
        child.start()
        stack.callback(child.join, 20)
        stack.callback(child.terminate)
        _await(lambda: _in_session(config), 90)
        run = Run("paper-20261120-0001", home / "runs" / "paper-20261120-0001", config)
        run.folder.mkdir(parents=True)
        (run.folder / "config.yaml").write_text(configuration.dump(config))
        wire = Wire(relay, rest)
        session.login_to_sandbox(run, SECRET)
        floor = Floor(run, wire)
        gateway = subprocess.Popen(
            [sys.executable, "-c", GATEWAY], env={**os.environ, RUN_FOLDER_VARIABLE: str(run.folder)}
        )
        stack.callback(gateway.wait, 30)
        stack.callback(gateway.terminate)
        _await(run.ready_file("gateway").exists, 60)
        yield floor


def _in_session(config: Config) -> bool:
    try:
        state = httpx.get(f"{config.broker.admin_url}/admin/state", trust_env=False).json()
    except httpx.TransportError:
        return False
    return bool(state["session_time_ns"] > OPEN_NS + 60_000_000_000)


def _await(condition: Any, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the stack did not come up")
        time.sleep(0.02)


def path(floor: Floor, rate: int, count: int) -> list[float]:
    """`count` intents at `rate` a second: ms from the intent readable on the log to its request's arrival."""
    appended: dict[str, int] = {}
    began = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        intent = floor.intent()
        floor.log.append(INTENTS.name, [encode(intent, emitted_at=time.time_ns())])
        appended[f"{intent.intent_id}00"] = time.time_ns()
    _await(lambda: appended.keys() <= floor.wire.arrived.keys(), 30)
    return [(floor.wire.arrived[tag] - at) / 1e6 for tag, at in appended.items()]


def baseline(floor: Floor, rate: int, count: int) -> list[float]:
    """Insert and commit one row, then post the form: ms until it arrived; at the same pace."""
    held = session.load(floor.run)
    url = urlsplit(floor.run.config.broker.rest_url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port)
    headers = {
        **session.KITE_VERSION,
        "Authorization": f"token {held.api_key}:{held.access_token}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    took = []
    with psycopg.connect(_dsn(floor.run), autocommit=True) as database:
        database.execute("SET synchronous_commit = on")
        database.execute("CREATE TABLE IF NOT EXISTS plain (id text PRIMARY KEY, body text NOT NULL)")
        began = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            intent = floor.intent()
            tag = f"{intent.intent_id}00"
            form, body = urlencode(place_parameters(intent, tag, 1)), msgspec.json.encode(intent).decode()
            at = time.time_ns()
            database.execute("INSERT INTO plain VALUES (%s, %s)", (tag, body))
            connection.request("POST", "/orders/regular", form, headers)
            connection.getresponse().read()
            took.append((floor.wire.arrived[tag] - at) / 1e6)
    connection.close()
    return took


def _dsn(run: Run) -> str:
    url = sa.make_url(run.config.storage.database_url).set(drivername="postgresql")
    return url.render_as_string(hide_password=False)


def idle(seconds: float) -> dict[str, object]:
    rows: dict[str, object] = {}
    heads = f"{'orders/s':>8} {'path p50':>9} {'p95':>7} {'p99':>7} {'n':>4}"
    print(f"{heads}   {'baseline p50':>12} {'p95':>7}   p95 ratio")
    with tempfile.TemporaryDirectory(prefix="kitepilot-orders-") as home, opened(Path(home)) as floor:
        path(floor, 5, 10)  # first requests open connections
        for rate in RATES:
            plain = percentiles(baseline(floor, 8, BASELINES))
            found = percentiles(path(floor, rate, max(round(rate * seconds), 10)))
            ratio = round(found["p95"] / plain["p95"], 1)
            rows[str(rate)] = {"path_ms": found, "baseline_ms": plain, "p95_ratio": ratio}
            print(
                f"{rate:>8} {found['p50']:>9} {found['p95']:>7} {found['p99']:>7} {found['n']:>4}   "
                f"{plain['p50']:>12} {plain['p95']:>7}   {ratio}",
                flush=True,
            )
    return rows


def beside(rate: int, seconds: float) -> dict[str, object]:
    """The leg inside the whole stack: intents of the desk against `submitted_at` in the journal."""
    import live_stack

    emitted: dict[str, int] = {}
    stamps: dict[str, tuple[int, int]] = {}  # intent -> row written, request leaving
    measured = live_stack.Stack.close

    def read_before_close(stack: live_stack.Stack) -> None:
        starts = {("intents", 0): stack._run.start_offsets()["intents"]}
        emitted.update(
            {e.intent_id: e.emitted_at for e in stack.events_since(starts) if isinstance(e, ApprovedIntent)}
        )
        from infra.postgres.embedded import database_url

        dsn = sa.make_url(database_url(stack._run)).set(drivername="postgresql")
        with psycopg.connect(dsn.render_as_string(hide_password=False)) as database:
            query = """SELECT intent_id, journaled_at, submitted_at FROM orders JOIN intents
                USING (run_id, intent_id) WHERE submitted_at IS NOT NULL"""
            stamps.update({name: (_ns(row), _ns(left)) for name, row, left in database.execute(query)})
        measured(stack)

    live_stack.Stack.close = read_before_close  # type: ignore[method-assign, assignment]
    with tempfile.TemporaryDirectory(prefix="kitepilot-orders-") as home:
        found = live_stack.measure(Path(home), [rate], seconds, ())
    legs = [((row - emitted[n]) / 1e6, (left - emitted[n]) / 1e6) for n, (row, left) in stamps.items()]
    journaled, sent = zip(*legs, strict=True)
    return {
        "intent_to_row_ms": percentiles(journaled),
        "intent_to_request_ms": percentiles(sent),
        "steps": found["steps"],
    }


def _ns(at: datetime) -> int:
    return round(at.timestamp() * 1e6) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="8 s per rate")
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument(
        "--beside", type=int, metavar="RATE", help="ticks/s through the whole stack meanwhile"
    )
    asked = parser.parse_args()
    seconds = 8.0 if asked.quick else asked.seconds
    load = "/".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores, load {load}, aim p95 below {AIM_MS} ms")
    found = beside(asked.beside, seconds) if asked.beside else idle(seconds)
    print(json.dumps({"benchmark": "order_path", "cores": os.cpu_count(), "load": load, "found": found}))


if __name__ == "__main__":
    main()
