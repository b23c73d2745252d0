"""A sandbox playing in a thread of this process, at ten times the pace."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from lively_market import OPEN, LivelyMarket, S
from loopback_ports import free_port

from broker_adapter.sandbox.main import Venue, run_sandbox
from kitepilot.config import Config, override

SECRET = "contract"
SPEED = 10.0
PATIENCE_S = 30.0


def wait(condition: Callable[[], Any], what: str) -> Any:
    """Ask until the condition holds; returns what it gave."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not in {PATIENCE_S:g} s: {what}"
        time.sleep(0.02)
    return found


@dataclass
class Playing:
    """The sandbox's addresses, and its admin side."""

    config: Config
    admin: httpx.Client

    def fault(self, name: str, **more: object) -> None:
        reply = self.admin.post("/admin/faults", json={"fault": name, **more})
        assert reply.status_code == 200, reply.text

    def now(self) -> int:
        return int(self.admin.get("/admin/state").json()["session_time_ns"])

    def statuses(self, tag: str) -> list[str]:
        """What stands in the exchange's own book under a tag."""
        rows = self.admin.get("/admin/book").json()["orders"]
        return [row["status"] for row in rows if row["tag"] == tag]


@contextlib.contextmanager
def playing() -> Iterator[Playing]:
    """A session that has been open for a second."""
    config = override(
        Config(),
        **{
            "session.speed": SPEED,
            "broker.rest_url": f"http://127.0.0.1:{free_port()}",
            "broker.ticker_url": f"ws://127.0.0.1:{free_port()}",
            "broker.admin_url": f"http://127.0.0.1:{free_port()}",
            "broker.request_timeout_s": 2.0,
        },
    )
    ready, stop, loops = threading.Event(), asyncio.Event(), []
    failure: list[BaseException] = []

    async def body() -> None:
        loops.append(asyncio.get_running_loop())
        venue = Venue(SECRET, latency_mean_ms=0.0, start_at_once=True)
        await run_sandbox(config, venue, LivelyMarket(), ready.set, stop)

    def target() -> None:
        try:
            asyncio.run(body())
        except BaseException as err:
            failure.append(err)
        finally:
            ready.set()

    thread = threading.Thread(target=target, name="contract-sandbox")
    thread.start()
    assert ready.wait(PATIENCE_S) and not failure, failure
    try:
        with httpx.Client(base_url=config.broker.admin_url, timeout=10, trust_env=False) as admin:
            found = Playing(config, admin)
            wait(lambda: found.now() > OPEN + S, "the session opens")
            yield found
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(PATIENCE_S)
    assert not thread.is_alive() and not failure, failure
