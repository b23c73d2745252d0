"""The live streams over a real log and a real server: what is decided there is told here, in order, once."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
import websockets
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar
from served import AT, TOKEN

from api.live import stream
from api.live.hub import HEARTBEAT_S, Hub, quiet_after_s
from kitepilot import events as e
from kitepilot.ports import EventLog
from kitepilot.run import Run

OWNER = {"x-test-principal": "owner"}
WITHIN_S = 30.0


@pytest.fixture
def url(app: Litestar) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()


def line(seq: int, kind: str = "accepted") -> e.OrderJournaled:
    return e.OrderJournaled(
        source="gateway",
        seq=seq,
        event_at=AT + seq,
        run_id="paper-20261120-0001",
        intent_id="AAAAAAAAAAAAAAAAAA",
        order_id=f"26112000000{seq:04}",
        token=256,
        tradingsymbol="INFY",
        side=e.Side.BUY,
        purpose=e.Purpose.ENTRY,
        strategy="ma_cross",
        kind=kind,
        status=e.OrderStatus.WORKING,
        quantity=10,
        filled_quantity=0,
        price_paise=150_000,
    )


def account(seq: int, realised_paise: int) -> e.AccountMarked:
    return e.AccountMarked(
        source="decisions",
        seq=seq,
        event_at=AT + seq * 10**9,
        run_id="paper-20261120-0001",
        state=e.TradingState.ACTIVE,
        realised_paise=realised_paise,
        unrealised_paise=-500,
        charges_paise=1602,
        open_positions=0,
        gross_exposure_paise=0,
        working_orders=0,
        oldest_working_at=0,
        orders=4,
        fills=3,
    )


@asynccontextmanager
async def reading(url: str, last_id: str = "") -> AsyncIterator[AsyncIterator[tuple[str, str, dict]]]:
    """(id, event, data) of a stream."""
    headers = OWNER | ({"Last-Event-ID": last_id} if last_id else {})
    async with (
        httpx.AsyncClient(trust_env=False, timeout=WITHIN_S) as client,
        client.stream("GET", f"{url}/api/v1/live", headers=headers) as reply,
    ):
        assert reply.status_code == 200
        assert reply.headers["content-type"].startswith("text/event-stream")

        async def events() -> AsyncIterator[tuple[str, str, dict]]:
            told: dict[str, str] = {}
            async for text in reply.aiter_lines():
                if text:
                    name, _, value = text.partition(": ")
                    told[name] = value
                elif "event" in told:
                    yield told.get("id", ""), told["event"], json.loads(told["data"])
                    told = {}

        yield events()


async def orders(events: AsyncIterator[tuple[str, str, dict]], count: int) -> list[tuple[str, str]]:
    """(id, order id) of the next orders."""
    found: list[tuple[str, str]] = []
    async with asyncio.timeout(WITHIN_S):
        async for name, kind, body in events:
            if kind == "order":
                found.append((name, body["order_id"]))
            if len(found) == count:
                return found
    raise AssertionError(found)


def ids(*numbers: int) -> list[str]:
    return [f"26112000000{number:04}" for number in numbers]


async def test_a_page_that_opens_sees_what_was_and_then_what_is(url: str, log: EventLog) -> None:
    log.append("orders", [e.encode(line(0))])
    async with httpx.AsyncClient(trust_env=False) as client:
        while True:
            now = (await client.get(f"{url}/api/v1/live/snapshot", headers=OWNER)).json()
            if now["recent"]["order"]:
                break
    async with reading(url) as events:
        _, kind, first = await anext(events)
        assert kind == "snapshot"
        assert [each["order_id"] for each in first["recent"]["order"]] == ids(0)
        log.append("orders", [e.encode(line(1)), e.encode(line(2))])
        assert [order for _, order in await orders(events, 2)] == ids(1, 2)


async def test_whoever_comes_back_misses_no_order_and_sees_none_twice(url: str, log: EventLog) -> None:
    async with reading(url) as events:
        assert (await anext(events))[1] == "snapshot"
        log.append("orders", [e.encode(line(each)) for each in range(6)])
        had = await orders(events, 3)
    async with reading(url, last_id=had[-1][0]) as events:
        assert [order for _, order in await orders(events, 3)] == ids(3, 4, 5)


async def test_an_id_of_another_run_begins_anew_and_says_so(url: str) -> None:
    async with reading(url, last_id="paper-20261119-0001@0-0-0-0") as events:
        assert (await anext(events))[1:] == ("reset", {"reason": "another run"})
        assert (await anext(events))[1] == "snapshot"


async def test_the_socket_tells_the_same_in_frames(url: str, log: EventLog) -> None:
    address = f"{url.replace('http', 'ws')}/api/v1/live/ws"
    async with websockets.connect(address, additional_headers=OWNER, origin=url, proxy=None) as frames:
        first = json.loads(await frames.recv())
        assert first["event"] == "snapshot"
        log.append("orders", [e.encode(line(0))])
        async with asyncio.timeout(WITHIN_S):
            while (told := json.loads(await frames.recv()))["event"] != "order":
                pass
    assert (told["id"].partition("@")[0], told["data"]["order_id"]) == ("paper-20261120-0001", ids(0)[0])


async def test_a_stranger_hears_nothing(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{url}/api/v1/live")).status_code == 401
        assert (await client.get(f"{url}/api/v1/live/snapshot")).status_code == 401
    with pytest.raises(websockets.WebSocketException):
        async with websockets.connect(f"{url.replace('http', 'ws')}/api/v1/live/ws", proxy=None) as frames:
            await frames.recv()


async def test_the_holder_of_the_homes_token_may_read(url: str) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{url}/api/v1/live/snapshot", headers=headers)).status_code == 200


async def test_a_stream_that_has_nothing_to_say_says_how_old_it_is(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.05)
    async with reading(url) as events, asyncio.timeout(WITHIN_S):
        async for _, kind, body in events:
            if kind == "heartbeat":
                assert set(body) == {"at_ms", "log_age_s", "account_age_s", "quiet_after_s"}
                return


def test_a_heartbeat_is_made_once_for_all_readers_and_again_for_the_next_beat(run: Run) -> None:
    now = 100.0
    hub = Hub(run, {}, lambda: now)
    first = hub.heartbeat()
    assert hub.heartbeat() is first
    now += HEARTBEAT_S
    told = json.loads(hub.heartbeat().body)
    assert told["account_age_s"] == HEARTBEAT_S
    assert told["quiet_after_s"] == quiet_after_s(run.config.session.speed)


@given(st.floats(0.01, 100_000))
def test_the_decisions_are_not_called_silent_before_five_of_their_marks_are_missed(speed: float) -> None:
    mark_s = 1 / speed  # of the machine's time: one a session second
    assert quiet_after_s(speed) >= 5 * mark_s * (1 - 1e-9)
    assert quiet_after_s(speed) == quiet_after_s("max") or speed < 1


async def test_whoever_is_signed_out_hears_no_more(
    url: str, app: Litestar, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "LOOK_S", 0.0)
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.05)
    allowed = True
    gate = app.state.services.gate
    proves = gate.principal_of

    async def principal_of(connection: object) -> object:
        return await proves(connection) if allowed else None

    monkeypatch.setattr(gate, "principal_of", principal_of)
    async with reading(url) as events, asyncio.timeout(WITHIN_S):
        assert (await anext(events))[1] == "snapshot"
        allowed = False
        log.append("orders", [e.encode(line(0))])
        told = [(kind, body) async for _, kind, body in events]
    assert told[-1] == ("cut", {"reason": "signed out"})
