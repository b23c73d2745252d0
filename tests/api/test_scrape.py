"""A scrape delays nobody: its text is made beside the event loop, once for all who ask together."""

import asyncio
import threading
from collections.abc import Iterable

import httpx
import pytest
from litestar import Litestar
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from served import METRICS_TOKEN

from api.scrape import KEPT_S, Scrape
from infra.read_positions import Positions
from kitepilot.ports import EventLog
from kitepilot.run import Run

WITHIN_S = 120.0
COLLECTS = {"authorization": f"Bearer {METRICS_TOKEN}"}
AT_ONCE = 60  # more than there are threads for handlers


class Slow(Collector):
    """As `/proc` of a busy machine: goes on when `let_go` is set."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.entered = threading.Event()
        self.times = 0

    def collect(self) -> Iterable[Metric]:
        self.times += 1
        self.entered.set()
        assert self.let_go.wait(WITHIN_S), "nobody else got through"
        yield GaugeMetricFamily("slow", "A gauge", self.times)


class Now:
    """A clock that is set."""

    at = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def registry(slow: Slow) -> CollectorRegistry:
    made = CollectorRegistry()
    made.register(slow)
    return made


async def test_a_postback_is_answered_while_scrapes_are_being_made(
    app: Litestar, slow: Slow, registry: CollectorRegistry
) -> None:
    app.state.scrape = Scrape(registry)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        scrapes = [asyncio.create_task(client.get("/metrics", headers=COLLECTS)) for _ in range(AT_ONCE)]
        await asyncio.to_thread(slow.entered.wait, WITHIN_S)
        async with asyncio.timeout(WITHIN_S / 2):
            reply = await client.post("/broker/postbacks", content=b"{}")
        assert reply.status_code == 400
        assert not any(each.done() for each in scrapes)
        slow.let_go.set()
        texts = {each.text for each in await asyncio.gather(*scrapes)}
    assert len(texts) == slow.times == 1


async def test_a_text_is_shown_again_for_a_second_and_no_longer(
    slow: Slow, registry: CollectorRegistry
) -> None:
    clock = Now()
    scrape = Scrape(registry, clock)
    slow.let_go.set()
    first = await scrape.text()
    clock.at += KEPT_S - 0.001
    assert await scrape.text() is first
    clock.at += 0.001
    assert b"slow 2.0" in await scrape.text()


async def test_each_reader_lags_by_what_was_appended_since_its_last_commit(
    app: Litestar, run: Run, log: EventLog
) -> None:
    market, decisions = Positions(run, "market"), Positions(run, "decisions")
    log.append("ticks", [b"x"] * 5)
    market.note({("ticks", 0): 5})
    decisions.note({("session", 0): 0})
    log.append("ticks", [b"x"] * 3)
    log.append("intents", [b"x"])
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        lines = (await client.get("/metrics", headers=COLLECTS)).text.splitlines()
    assert 'kitepilot_lag_records{consumer="market",topic="ticks"} 3.0' in lines
    assert 'kitepilot_consumer_position{consumer="market",topic="ticks"} 5.0' in lines
    assert 'kitepilot_lag_records{consumer="decisions",topic="session"} 0.0' in lines
    assert not any('consumer="gateway"' in line for line in lines), "it has not read yet"
