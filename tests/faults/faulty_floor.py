"""A real exchange, a real gateway and a real PostgreSQL, each a process of its own, for bad days."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
from loopback_ports import free_ports

sys.path.insert(0, str(Path(__file__).parents[1] / "gateway"))

from trading_floor import SECRET, Exchange, Floor

from broker_adapter.kite.client import KiteBroker
from broker_adapter.kite.session import login_to_sandbox
from infra.eventlog import open_log
from infra.postgres import book
from infra.postgres.embedded import Server
from kitepilot import config as configuration
from kitepilot.market.instruments import parse_instruments
from kitepilot.run import RUN_FOLDER_VARIABLE, Run
from kitepilot.topics import TOPICS

ROOT = Path(__file__).parents[2]
SPEED = 20  # session seconds per second: eight seconds of silence at the broker are not waited for in full
INSTRUMENTS = 40
NS_PER_S = 1_000_000_000


class FaultyFloor(Floor):
    """The floor of the gateway's tests, with prices asked once a while and faults to be armed."""

    process: subprocess.Popen[bytes]

    def quotes(self) -> dict[str, Any]:
        """Asked at most every five seconds: the broker allows one request a second."""
        asked_at, held = getattr(self, "_asked", (0.0, {}))
        if time.monotonic() - asked_at > 5:
            held = super().quotes()
            self._asked = (time.monotonic(), held)
        return held

    def arm(self, fault: str, **more: Any) -> int:
        """Arm one fault; returns its number."""
        body = {"fault": fault, **more}
        reply = httpx.post(f"{self.exchange.admin}/admin/faults", json=body, timeout=10, trust_env=False)
        assert reply.status_code == 200, reply.text
        return int(reply.json()["number"])

    def struck(self) -> dict[int, int]:
        """How often each armed fault has struck, by number."""
        return {row["number"]: row["hits"] for row in self.exchange.get("/admin/faults")["armed"]}

    def clear(self) -> None:
        url = f"{self.exchange.admin}/admin/faults"
        httpx.delete(url, timeout=10, trust_env=False).raise_for_status()

    def session_s(self) -> float:
        return float(self.exchange.get("/admin/state")["session_time_ns"]) / NS_PER_S

    def pass_time(self, seconds: float) -> None:
        """Let so much session time go by."""
        until = self.session_s() + seconds
        assert waited(lambda: self.session_s() >= until, 60), "session time stands still"

    def log_in(self) -> None:
        login_to_sandbox(self.run, SECRET)


def waited(condition: Callable[[], Any], timeout_s: float) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


@contextlib.contextmanager
def faulty_floor(folder: Path, seed: int) -> Iterator[FaultyFloor]:
    """Everything started and in continuous trading; stopped at the end."""
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(Server(folder / "postgres"))
        exchange = stack.enter_context(_exchange(seed))
        floor = stack.enter_context(_floor(folder, exchange, postgres.url, seed))
        stack.enter_context(_gateway(floor))
        yield floor


@contextlib.contextmanager
def _exchange(seed: int) -> Iterator[Exchange]:
    port = free_ports(3)[0]
    words = [
        sys.executable, "-m", "kitepilot", "sandbox", "--port", str(port), "--session", "2026-11-20",
        "--instruments", str(INSTRUMENTS), "--seed", str(seed), "--from", "09:20", "--speed", str(SPEED),
        "--cash-rupees", "50000000",
    ]  # fmt: skip
    environment = {**os.environ, "KITEPILOT_API_SECRET": SECRET}
    child = subprocess.Popen(words, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        told = [child.stdout.readline(), child.stdout.readline().strip()]
        assert told[1] == "ready", told
        yield Exchange(*(f"{kind}://127.0.0.1:{port + n}" for n, kind in enumerate(("http", "ws", "http"))))
    finally:
        child.terminate()
        child.wait(30)


@contextlib.contextmanager
def _floor(folder: Path, exchange: Exchange, database_url: str, seed: int) -> Iterator[FaultyFloor]:
    config = configuration.build(
        {
            "broker": {
                "rest_url": exchange.rest,
                "ticker_url": exchange.ticker,
                "admin_url": exchange.admin,
                "request_timeout_s": 2.0,
                "idle_timeout_s": 3.0,
            },
            "storage": {"database_url": database_url},
        }
    )
    name = f"paper-20261120-{os.getpid()}{seed % 1000:03d}"
    run = Run(name, folder / "runs" / name, config)
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").write_text(configuration.dump(config))
    login_to_sandbox(run, SECRET)
    (run.folder / "instruments.csv").write_bytes(KiteBroker(run).instruments())
    log = open_log(run)
    log.create_topics(TOPICS)
    offsets = {topic.name: log.end_offset(topic.name) for topic in TOPICS}
    (run.folder / "start_offsets.json").write_text(json.dumps(offsets))
    listed = parse_instruments((run.folder / "instruments.csv").read_bytes())
    try:
        yield FaultyFloor(run, exchange, log, tuple(i for i in listed if i.tradable))
    finally:
        log.close()


@contextlib.contextmanager
def _gateway(floor: FaultyFloor) -> Iterator[None]:
    environment = {**os.environ, RUN_FOLDER_VARIABLE: str(floor.run.folder)}
    engine = book.engine_of(floor.run.config.storage.database_url)
    book.begin_run(engine, floor.run)
    engine.dispose()
    with (floor.run.folder / "gateway.log").open("wb") as said:
        words = [sys.executable, "-m", "kitepilot", "run", "gateway"]
        floor.process = subprocess.Popen(words, env=environment, cwd=ROOT, stderr=said)
        try:
            up = waited(lambda: floor.run.ready_file("gateway").exists(), 60)
            assert up, (floor.run.folder / "gateway.log").read_text()
            yield
        finally:
            floor.process.terminate()
            floor.process.wait(60)
