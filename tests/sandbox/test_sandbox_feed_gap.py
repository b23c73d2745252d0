"""The ingester on the sandbox while the feed breaks: what was missed comes back as candles, marked."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from small_market import DAY, OPEN, SECRET, S

from broker_adapter import backfill
from broker_adapter.ingest import Ingester
from broker_adapter.kite.session import login_to_sandbox
from broker_adapter.sandbox.feed.synthetic import SyntheticMarket
from infra.eventlog import open_log
from kitepilot.config import override
from kitepilot.events import BarsClosed, decode
from kitepilot.market.ticks import KIND_CLOCK, KIND_FEED, RECORD_BYTES, read_own_record, records
from kitepilot.ports import EventLog
from kitepilot.run import Run
from kitepilot.topics import BARS, DEAD_LETTER, SESSION, TICKS, TOPICS

MINUTE = 60
SPEED = 600.0  # a minute in a tenth of a second
Bar = tuple[int, int, int, int, int]


def minutes_of(market: SyntheticMarket, until: int) -> dict[tuple[int, int], Bar]:
    """(token, minute) -> open, high, low, close, volume of its trades, by a plain loop over the packets."""
    volume: dict[int, int] = defaultdict(int)
    bars: dict[tuple[int, int], Bar] = {}
    for piece in market.slices():
        if piece.until > until:
            return bars
        for packet in piece.packets:
            token, price = int(packet["token"]), int(packet["last_price"])
            grown = int(packet["volume"]) - volume[token]
            if grown <= 0:
                continue
            volume[token] += grown
            key = (token, max(int(packet["last_trade_time"]), OPEN // S) // MINUTE * MINUTE)
            opened, high, low, _, traded = bars.get(key, (price, price, price, price, 0))
            bars[key] = (opened, max(high, price), min(low, price), price, traded + grown)
    return bars


def messages(log: EventLog, topic: str) -> list[bytes]:
    reader = log.reader({(topic, 0): 0})
    try:
        return [record.value for record in reader.poll(1_000_000)]
    finally:
        reader.close()


def silence(log: EventLog) -> tuple[int, int]:
    """The last clock record before the feed went down, the first after it."""
    before, down = 0, False
    for message in messages(log, TICKS.name):
        if len(message) != RECORD_BYTES or message[8:12].strip(b"\0"):
            continue
        kind, at, _, text = read_own_record(message)
        if kind == KIND_CLOCK and down:
            return before, at
        before = at if kind == KIND_CLOCK else before
        down = down or (kind == KIND_FEED and text.startswith("down"))
    raise AssertionError("the feed was never down, or never came back")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


def a_run(house: Any, folder: Path) -> Run:
    run = Run("r", folder / "runs" / "r", override(house.config, **{"broker.idle_timeout_s": 1.5}))
    run.folder.mkdir(parents=True, exist_ok=True)
    return run


@contextlib.asynccontextmanager
async def ingesting(house: Any, tokens: list[int], folder: Path) -> AsyncIterator[tuple[Ingester, EventLog]]:
    run = a_run(house, folder)
    await asyncio.to_thread(login_to_sandbox, run, SECRET)
    log = open_log(run)
    log.create_topics(TOPICS)
    ingester, stopping = Ingester(run, log, tokens), asyncio.Event()
    serving = asyncio.create_task(ingester.serve(stopping))
    try:
        yield ingester, log
    finally:
        stopping.set()
        await asyncio.wait_for(serving, 30)
        log.close()


def backfilled(log: EventLog) -> dict[tuple[int, int], Bar]:
    bars = {}
    for event in map(decode, messages(log, BARS.name)):
        assert isinstance(event, BarsClosed) and event.backfilled
        columns = (event.open_paise, event.high_paise, event.low_paise, event.close_paise, event.volume)
        for token, *bar in zip(event.tokens, *columns, strict=True):
            key = (token, event.close_at // S - MINUTE)
            assert key not in bars, "a minute is told once"
            bars[key] = tuple(bar)
    return bars


@pytest.mark.parametrize(("fault", "speed"), [("silent_socket", 120.0), ("abrupt_close", 1_200.0)])
async def test_minutes_the_feed_was_cut_in_come_back_as_the_market_made_them(
    sandbox: Callable[..., Any], tmp_path: Path, fault: str, speed: float
) -> None:
    market = SyntheticMarket(DAY, seed=5, instruments=3)
    tokens = [row.token for row in market.instruments]
    house = sandbox(market, speed=SPEED)
    async with ingesting(house, tokens, tmp_path) as (ingester, log):
        await until(lambda: ingester.counts.feed == "up")
        await asyncio.to_thread(house.start)
        await until(lambda: ingester.counts.session_at > OPEN + 150 * S)
        house.admin.post("/admin/speed", json={"speed": speed}).raise_for_status()
        house.admin.post("/admin/faults", json={"fault": fault}).raise_for_status()
        await until(lambda: ingester.counts.reconnects == 1)
        await until((tmp_path / "runs" / "r" / backfill.FILE).exists)
        house.admin.post("/admin/speed", json={"speed": SPEED}).raise_for_status()
        await until(lambda: ingester.minutes_to_backfill == 0)
        found, (since, back) = backfilled(log), silence(log)
        letters, late = messages(log, DEAD_LETTER.name), ingester.counts.session_at
        ticks = [record for message in messages(log, TICKS.name) for record in records(message)]
    assert back - since > 2 * MINUTE * S, "the cut was long enough to lose whole minutes"
    missed = range(since // S // MINUTE * MINUTE, back // S + 1, MINUTE)
    truth = minutes_of(SyntheticMarket(DAY, seed=5, instruments=3), late)
    assert found == {key: bar for key, bar in truth.items() if key[1] in missed}
    assert len({minute for _, minute in found}) == len(missed)
    assert letters == []
    assert any(int(tick["packet"]["exchange_time"]) * S > back for tick in ticks), "and the ticks went on"


async def test_a_session_that_ends_asks_for_a_login_and_goes_on_after_it(
    sandbox: Callable[..., Any], tmp_path: Path
) -> None:
    market = SyntheticMarket(DAY, seed=5, instruments=2)
    house = sandbox(market, speed=60.0)
    async with ingesting(house, [row.token for row in market.instruments], tmp_path) as (ingester, log):
        await until(lambda: ingester.counts.feed == "up")
        house.admin.post("/admin/faults", json={"fault": "token_expired"}).raise_for_status()
        httpx.get(f"{house.config.broker.rest_url}/user/profile")  # a request is when the venue notices
        house.admin.post("/admin/faults", json={"fault": "abrupt_close"}).raise_for_status()
        await until(lambda: ingester.counts.feed.startswith("down: login needed"))
        await until(lambda: log.end_offset(SESSION.name) == 1)  # the alarm
        await asyncio.to_thread(login_to_sandbox, a_run(house, tmp_path), SECRET)
        await until(lambda: ingester.counts.feed == "up")
