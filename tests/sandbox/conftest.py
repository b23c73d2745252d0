"""A sandbox in a thread, spoken to by the unmodified kiteconnect client."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from loopback_ports import free_port

sys.path.insert(0, str(Path(__file__).parent))

from small_market import SECRET, SmallMarket

from broker_adapter.sandbox.main import Venue, run_sandbox
from kitepilot.config import Config, override


@dataclass
class RunningSandbox:
    config: Config
    admin: httpx.Client

    def login(self) -> Any:
        """A KiteConnect that went through the login redirect and the token exchange."""
        from kiteconnect import KiteConnect

        broker = self.config.broker
        reply = httpx.get(f"{broker.rest_url}/connect/login", params={"v": 3, "api_key": broker.api_key})
        assert reply.status_code in (302, 303, 307), reply.text
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(reply.headers["location"]).query))
        assert query["status"] == "success"
        kite = KiteConnect(broker.api_key, root=broker.rest_url)
        kite.generate_session(query["request_token"], SECRET)
        return kite

    def start(self) -> None:
        assert self.admin.post("/admin/start").status_code == 200

    def state(self) -> dict[str, Any]:
        return self.admin.get("/admin/state").json()

    def ack(self, session_ns: int) -> None:
        assert self.admin.post("/admin/ack", json={"session_time_ns": session_ns}).status_code == 200

    def until(self, condition: Callable[[dict[str, Any]], bool], timeout_s: float = 10.0) -> dict[str, Any]:
        """Ask for the state until the condition holds."""
        give_up = threading.Event()
        for _ in range(int(timeout_s / 0.01)):
            state = self.state()
            if condition(state):
                return state
            give_up.wait(0.01)
        raise AssertionError(f"not reached in {timeout_s} s; last state {state}")

    def ticker_url(self, kite: Any) -> str:
        broker = self.config.broker
        return f"{broker.ticker_url}/?api_key={broker.api_key}&access_token={kite.access_token}"


@contextlib.contextmanager
def running_sandbox(
    market: SmallMarket, *, speed: float | str = "max", latency_ms: float = 0.0, venue: Venue | None = None
):
    addresses = {
        "session.speed": speed,
        "session.max_lead_s": 20.0,
        "broker.rest_url": f"http://127.0.0.1:{free_port()}",
        "broker.ticker_url": f"ws://127.0.0.1:{free_port()}",
        "broker.admin_url": f"http://127.0.0.1:{free_port()}",
    }
    config = override(Config(), **addresses)
    settings = venue or Venue(SECRET, latency_mean_ms=latency_ms)
    ready, loop_box, failure = threading.Event(), [], []

    async def body() -> None:
        stop = asyncio.Event()
        loop_box.extend((asyncio.get_running_loop(), stop))
        await run_sandbox(config, settings, market, ready.set, stop)

    def target() -> None:
        try:
            asyncio.run(body())
        except BaseException as err:
            failure.append(err)
        finally:
            ready.set()

    thread = threading.Thread(target=target, name="sandbox")
    thread.start()
    assert ready.wait(20), "the sandbox did not come up"
    if failure:
        raise failure[0]
    with httpx.Client(base_url=config.broker.admin_url, timeout=10) as admin:
        try:
            yield RunningSandbox(config, admin)
        finally:
            loop, stop = loop_box
            loop.call_soon_threadsafe(stop.set)
            thread.join(15)
    assert not thread.is_alive()
    if failure:
        raise failure[0]


@pytest.fixture
def sandbox() -> Iterator[Any]:
    """`sandbox(market, speed=..., latency_ms=...)` starts one; all are stopped at the end of the test."""
    with contextlib.ExitStack() as stack:
        yield lambda market, **options: stack.enter_context(running_sandbox(market, **options))


@pytest.fixture
def life_of_sandbox() -> Callable[..., AbstractContextManager[RunningSandbox]]:
    """The same for the length of a `with`, so that another may follow it."""
    return running_sandbox
