"""A storm of orders, changes and reads against the sandbox: how many requests, how many 429s.

    python benchmarks/storm.py [--minutes 60] [--quick]

Workers of every kind (orders, quotes, candles, other reads) ask as fast as they are let, through the stock
REST client, for so many minutes of session time. The same storm blows three ways, each against a fresh
sandbox: through KitePilot's limits; counting calendar seconds of our own clock, as one would at first; and
without any limit (both for two minutes at most). Prints a table, then one JSON line. Exit code 1 when
KitePilot's limits met a 429.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import requests
from rich.console import Console
from rich.progress import Progress

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from loopback_ports import free_ports

from broker_adapter.kite import session
from broker_adapter.kite.allowances import SECOND_NS, Scope
from broker_adapter.kite.clock import VenueClock
from broker_adapter.kite.limits import DayCapError, RateLimits, shares_of
from broker_adapter.kite.ticker import Text, Ticker
from broker_adapter.kite.transport import stock_client
from broker_adapter.kite.wire import ClockSaid, read_text
from kitepilot.config import Config, override
from kitepilot.run import Run

SECRET = "storm"
OPEN_NS = 1_795_146_300_000_000_000  # 2026-11-20 09:15:00 IST
SPEED = 12.0  # session seconds per second: a request takes a tenth of a session second and more
BASELINE_MINUTES = 2.0
WORKERS: dict[Scope, int] = {"order": 6, "quote": 2, "candle": 3, "other": 6}
MOST_LIVE = 40
PLACE_EVERY = 7  # of the order requests
MOST_PLACED = 4_900  # the day's cap answers 429 as well, and is not what is measured here
TO_THE_OPEN = 600.0  # session seconds per second until 09:15

ALLOWED: dict[str, int] = {"order": 10, "change": 10, "quote": 1, "candle": 3, "other": 10}

Sending = Callable[[Scope, bool], AbstractAsyncContextManager[None]]


# --- three ways to hold back -------------------------------------------------------------------------------


class OwnSeconds:
    """The plain way: as many in each calendar second of our clock as the broker allows in one of its own."""

    def __init__(self, clock: VenueClock) -> None:
        self._clock = clock
        self._used: Counter[tuple[str, int]] = Counter()

    @asynccontextmanager
    async def sending(self, scope: Scope, exit: bool = False) -> AsyncIterator[None]:
        shared = "order" if scope == "change" else scope
        while self._used[shared, second := self._clock.now() // SECOND_NS] >= ALLOWED[scope]:
            await self._clock.reached((second + 1) * SECOND_NS, 1.0)
        self._used[shared, second] += 1
        yield


@asynccontextmanager
async def unlimited(scope: Scope, exit: bool = False) -> AsyncIterator[None]:
    yield


def ways(clock: VenueClock, config: Config) -> dict[str, Sending]:
    return {
        "KitePilot": RateLimits(clock, shares_of(config.broker)).sending,
        "own seconds": OwnSeconds(clock).sending,
        "none": unlimited,
    }


# --- the storm ---------------------------------------------------------------------------------------------


@dataclass
class Storm:
    """One account asking for everything at once until `until` (session ns)."""

    kite: Any
    clock: VenueClock
    sending: Sending
    until: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    live: list[str] = field(default_factory=list)
    turns: int = 0
    placed: int = 0
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(sum(WORKERS.values())))

    async def _choose(self) -> None:
        """What is traded, asked within the limits too: the broker counts these reads with the others."""
        async with self.sending("other"):
            rows = self.kite.instruments("NSE")
        self.share = next(row for row in rows if row["segment"] == "NSE" and "-" not in row["tradingsymbol"])
        self.name = f"NSE:{self.share['tradingsymbol']}"
        async with self.sending("quote"):
            self.floor = self.kite.quote([self.name])[self.name]["lower_circuit_limit"]
        self.kite.reqsession.hooks["response"].append(self._count)

    def _count(self, reply: Any, *_: object, **__: object) -> None:
        path = reply.request.path_url.split("/")[1].split("?")[0]
        kind = "other" if reply.request.method == "GET" and path != "quote" else path
        kind = "candle" if "historical" in reply.request.path_url else kind
        self.statuses[f"{kind} {'429' if reply.status_code == 429 else 'answered'}"] += 1

    async def blow(self, minutes: float, progress: Callable[[float], None]) -> None:
        await self._choose()
        begin = self.clock.now()
        self.until = begin + int(minutes * 60 * SECOND_NS)
        work = [self._work(scope) for scope, count in WORKERS.items() for _ in range(count)]
        tasks = [asyncio.create_task(one) for one in work]
        while self.clock.now() < self.until:
            done, _ = await asyncio.wait(tasks, timeout=0.5, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
            progress((self.clock.now() - begin) / 60 / SECOND_NS)
        await asyncio.gather(*tasks)
        self.pool.shutdown()

    async def _work(self, scope: Scope) -> None:
        while self.clock.now() < self.until:
            if scope == "order":
                await self._order()
            else:
                async with self.sending(scope, False):
                    await self._ask(self._read(scope))

    def _read(self, scope: Scope) -> Callable[[], object]:
        if scope == "quote":
            return lambda: self.kite.ltp([self.name])
        if scope == "candle":
            token, day = self.share["instrument_token"], "2026-11-20 09:15:00"
            return lambda: self.kite.historical_data(token, day, day, "minute")
        return self.kite.positions

    async def _order(self) -> None:
        self.turns += 1
        if (
            self.placed < MOST_PLACED
            and len(self.live) < MOST_LIVE
            and (self.turns % PLACE_EVERY == 0 or not self.live)
        ):
            self.placed += 1
            try:
                async with self.sending("order", self.turns % 3 == 0):
                    placed = await self._ask(self._place)
            except DayCapError:
                placed = None
            if placed is not None:
                self.live.append(str(placed))
        elif self.live:
            order_id = self.live.pop(0)
            async with self.sending("change", True):
                if self.turns % 2:
                    await self._ask(lambda: self.kite.cancel_order("regular", order_id))
                else:
                    await self._ask(lambda: self.kite.modify_order("regular", order_id, quantity=2))
                    self.live.append(order_id)
        else:
            await asyncio.sleep(0.01)

    def _place(self) -> object:
        name = self.share["tradingsymbol"]
        return self.kite.place_order("regular", "NSE", name, "BUY", 1, "MIS", "LIMIT", self.floor, "DAY")

    async def _ask(self, request: Callable[[], object]) -> object:
        from kiteconnect.exceptions import KiteException

        try:
            return await asyncio.get_running_loop().run_in_executor(self.pool, request)
        except KiteException:  # counted by its status: an order that has ended, a 429
            return None
        except requests.RequestException:  # no answer at all, in the time we give it
            self.statuses["any lost"] += 1
            return None


# --- a sandbox to blow against -----------------------------------------------------------------------------


@contextmanager
def sandbox(folder: Path) -> Iterator[Run]:
    """A playing sandbox and a run that is logged in to it."""
    port = free_ports(3)[0]
    words = [sys.executable, "-m", "broker_adapter.sandbox", "--port", str(port), "--instruments", "2"]
    child = subprocess.Popen(
        [*words, "--speed", str(TO_THE_OPEN), "--start", "--date", "2026-11-20"],
        env={**os.environ, "KITEPILOT_API_SECRET": SECRET, "KITEPILOT_HOME": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert child.stdout is not None
        while (line := child.stdout.readline()).strip() != "ready":
            if not line:
                raise RuntimeError(f"the sandbox ended with exit code {child.wait()}")
        addresses = {"rest": "http", "ticker": "ws", "admin": "http"}
        urls = {
            f"broker.{name}_url": f"{scheme}://127.0.0.1:{port + n}"
            for n, (name, scheme) in enumerate(addresses.items())
        }
        run = Run("storm", folder / "runs" / f"storm-{port}", override(Config(), **urls))
        run.folder.mkdir(parents=True)
        session.login_to_sandbox(run, SECRET)
        yield run
    finally:
        child.terminate()
        child.wait(20)


async def blow(
    run: Run, way: str, speed: float, minutes: float, progress: Callable[[float], None]
) -> Counter[str]:
    clock = VenueClock()

    async def heard(frame: object) -> None:
        if isinstance(frame, Text) and isinstance(said := read_text(frame.text), ClockSaid):
            clock.feed(said.session_ns)

    held, broker = session.load(run), run.config.broker
    ticker = Ticker(broker.ticker_url, broker.api_key, lambda: held.access_token)
    listening = asyncio.create_task(ticker.run(heard))
    try:
        while not await clock.reached(OPEN_NS + SECOND_NS, 1.0):
            pass
        httpx.post(
            f"{broker.admin_url}/admin/speed", json={"speed": speed}, trust_env=False
        ).raise_for_status()
        storm = Storm(stock_client(broker, held), clock, ways(clock, run.config)[way])
        await clock.reached(clock.now() + 10 * SECOND_NS, 5.0)  # what was asked so far is long past
        await storm.blow(minutes, progress)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    return storm.statuses


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="of session time; default 60")
    parser.add_argument("--speed", type=float, default=SPEED, help=f"session pace; default {SPEED:g}")
    parser.add_argument("--quick", action="store_true", help="two minutes")
    options = parser.parse_args()
    minutes = 2.0 if options.quick else options.minutes
    console = Console(stderr=True)
    figures: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory() as folder, Progress(console=console, transient=True) as bar:
        for way in ("KitePilot", "own seconds", "none"):
            length = minutes if way == "KitePilot" else min(minutes, BASELINE_MINUTES)
            line = bar.add_task(f"{way}: {length:g} minutes of session time", total=length)
            with sandbox(Path(folder)) as run:
                began = time.monotonic()
                counts = asyncio.run(
                    blow(run, way, options.speed, length, lambda m, line=line: bar.update(line, completed=m))
                )  # type: ignore[misc]
                figures[way] = {**counts, "minutes": int(length), "machine_s": int(time.monotonic() - began)}
    print(table(figures))
    print(json.dumps({"benchmark": "storm", "speed": options.speed, **figures}))
    return 1 if refused(figures["KitePilot"]) else 0


def refused(counts: dict[str, int]) -> int:
    return sum(count for what, count in counts.items() if what.endswith(" 429"))


def table(figures: dict[str, dict[str, int]]) -> str:
    lines = [f"{'limits':12} {'minutes':>7} {'requests':>9} {'429':>7}  by kind (answered/429)"]
    for way, counts in figures.items():
        kinds = sorted({what.split()[0] for what in counts if " " in what})
        kinds = [kind for kind in kinds if kind != "any"]
        by_kind = [f"{k} {counts.get(f'{k} answered', 0)}/{counts.get(f'{k} 429', 0)}" for k in kinds]
        total = sum(count for what, count in counts.items() if " " in what)
        lines.append(f"{way:12} {counts['minutes']:7} {total:9} {refused(counts):7}  {', '.join(by_kind)}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
