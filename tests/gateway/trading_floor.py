"""Real parts: an embedded PostgreSQL and a sandbox exchange, one of each for the session."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from loopback_ports import free_ports

from broker_adapter.kite.session import KITE_VERSION, load, login_to_sandbox
from infra.eventlog import open_log
from infra.postgres.embedded import Server
from kitepilot import config as configuration
from kitepilot.events import AnyEvent, ApprovedIntent, Filled, OrderUpdated, Purpose, Side, decode, encode
from kitepilot.market.instruments import Instrument, parse_instruments, round_to_tick
from kitepilot.orders.intents import intent_id
from kitepilot.ports import EventLog
from kitepilot.run import Run
from kitepilot.topics import INTENTS, SESSION, TOPICS

SECRET = "sandbox"
OPEN_NS = 1_795_146_300_000_000_000  # 2026-11-20 09:15:00 IST
_names = itertools.count()


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Server(tmp_path_factory.mktemp("gateway-postgres")) as server:
        yield server.url


@dataclass
class Exchange:
    """A running sandbox, in continuous trading at real pace."""

    rest: str
    ticker: str
    admin: str

    def get(self, path: str) -> Any:
        return httpx.get(f"{self.admin}{path}", timeout=10, trust_env=False).raise_for_status().json()

    def post(self, path: str, body: object) -> None:
        httpx.post(f"{self.admin}{path}", json=body, timeout=10, trust_env=False).raise_for_status()

    def orders_of(self, intents: list[ApprovedIntent]) -> list[dict[str, Any]]:
        names = {intent.intent_id for intent in intents}
        return [row for row in self.get("/admin/book")["orders"] if (row["tag"] or "")[:18] in names]


def await_true(condition: Any, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        time.sleep(0.02)


def untraced() -> dict[str, str]:
    """The environment of a child that does not count for the coverage, which makes it five times slower."""
    return {k: v for k, v in os.environ.items() if k != "COVERAGE_PROCESS_CONFIG"}


@pytest.fixture(scope="session")
def exchange() -> Iterator[Exchange]:
    with venue_at_leisure() as venue:
        yield venue


@contextmanager
def venue_at_leisure() -> Iterator[Exchange]:
    """A sandbox a minute into its session, which then goes on at five seconds a second."""
    with sandbox(OPEN_NS + 60_000_000_000, "--speed", "600") as venue:
        venue.post("/admin/speed", {"speed": 5})
        yield venue


@contextmanager
def sandbox(since_ns: int, *words: str) -> Iterator[Exchange]:
    """An exchange with six instruments, once session time has passed `since_ns`; `words`: more options."""
    port = free_ports(3)[0]
    common = [sys.executable, "-m", "broker_adapter.sandbox", "--port", str(port), "--instruments", "6"]
    child = subprocess.Popen(
        [*common, "--start", "--date", "2026-11-20", *words],
        env={**untraced(), "KITEPILOT_API_SECRET": SECRET},
    )
    venue = Exchange(f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port + 1}", f"http://127.0.0.1:{port + 2}")

    def in_session() -> bool:
        assert child.poll() is None, "the sandbox ended"
        try:
            return bool(venue.get("/admin/state")["session_time_ns"] >= since_ns)
        except httpx.TransportError:
            return False

    try:
        await_true(in_session, 180)
        yield venue
    finally:
        child.terminate()
        child.wait(20)


@dataclass
class Floor:
    """One run against the sandbox: its log, and intents priced off the sandbox's book."""

    run: Run
    exchange: Exchange
    log: EventLog
    instruments: tuple[Instrument, ...]
    sent: int = 0

    def quotes(self) -> dict[str, Any]:
        names = [("i", f"NSE:{i.tradingsymbol}") for i in self.instruments]
        held = load(self.run)
        headers = {**KITE_VERSION, "Authorization": f"token {held.api_key}:{held.access_token}"}
        deadline = time.monotonic() + 20
        while True:
            reply = httpx.get(f"{self.exchange.rest}/quote", params=names, headers=headers, trust_env=False)
            if reply.status_code == 200:
                return dict(reply.json()["data"])
            assert time.monotonic() < deadline, reply.text
            time.sleep(0.2)

    def intent(
        self,
        number: int = 0,
        *,
        side: Side = Side.BUY,
        quantity: int = 3,
        prices: dict[str, Any] | None = None,
        **change: Any,
    ) -> ApprovedIntent:
        """An IOC limit order well through the touch, so that it fills at once; `prices`: quotes read."""
        instrument = self.instruments[number % len(self.instruments)]
        last = round((prices or self.quotes())[f"NSE:{instrument.tradingsymbol}"]["last_price"] * 100)
        through = last * 101 // 100 if side is Side.BUY else last * 99 // 100
        self.sent += 1
        fields = {
            "source": "decisions", "seq": self.sent - 1, "event_at": OPEN_NS, "run_id": self.run.run_id,
            "intent_id": intent_id(self.run.run_id, "test", instrument.token, 0, self.sent, Purpose.ENTRY),
            "config_hash": self.run.config_hash, "signal_id": "s", "verdict_id": "v",
            "strategy": "vwap_reversion",
            "purpose": Purpose.ENTRY, "token": instrument.token, "tradingsymbol": instrument.tradingsymbol,
            "side": side, "quantity": quantity, "order_type": "LIMIT", "validity": "IOC",
            "limit_price_paise": round_to_tick(through, instrument.tick_size_paise, "nearest"),
            "decision_price_paise": last, "received_at": 0, "signal_emitted_at": 0,
        }  # fmt: skip
        return ApprovedIntent(**{**fields, **change})

    def send(self, *intents: ApprovedIntent) -> None:
        self.log.append(INTENTS.name, [encode(i, emitted_at=time.time_ns()) for i in intents])

    def session(self) -> list[OrderUpdated | Filled]:
        """What the gateway told on `session`, repetitions included, without the machine's clock."""
        told = [e for e in self.read(SESSION.name) if isinstance(e, OrderUpdated | Filled)]
        return [msgspec.structs.replace(event, emitted_at=0) for event in told]

    def read(self, topic: str) -> list[AnyEvent]:
        """Everything of this run on `topic`, repetitions included."""
        reader = self.log.reader({(topic, 0): self.run.start_offsets()[topic]})
        try:
            return [decode(record.value) for record in reader.poll(100_000)]
        finally:
            reader.close()


@pytest.fixture
def floor(exchange: Exchange, postgres_url: str, tmp_path: Path) -> Iterator[Floor]:
    with opened(exchange, postgres_url, tmp_path) as trading:
        yield trading


@contextmanager
def opened(
    exchange: Exchange,
    database_url: str,
    folder: Path,
    sections: dict[str, Any] | None = None,
    **broker: Any,
) -> Iterator[Floor]:
    """A new run in `folder`, logged in; `broker`: keys of that section of the configuration."""
    addresses = {"rest_url": exchange.rest, "ticker_url": exchange.ticker, "admin_url": exchange.admin}
    config = configuration.build(
        {
            "broker": {**addresses, **broker},
            "storage": {"database_url": database_url},
            **(sections or {}),
        }
    )
    name = f"paper-20261120-{os.getpid()}-{next(_names)}"
    run = Run(name, folder / "runs" / name, config)
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").write_text(configuration.dump(config))
    login_to_sandbox(run, SECRET)
    from broker_adapter.kite.client import KiteBroker

    (run.folder / "instruments.csv").write_bytes(KiteBroker(run).instruments())
    log = open_log(run)
    log.create_topics(TOPICS)
    (run.folder / "start_offsets.json").write_text(
        json.dumps({t.name: log.end_offset(t.name) for t in TOPICS})
    )
    listed = parse_instruments((run.folder / "instruments.csv").read_bytes())
    instruments = tuple(instrument for instrument in listed if instrument.tradable)
    yield Floor(run, exchange, log, instruments)
    log.close()
