"""The ticker client against a real WebSocket server that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from broker_adapter.kite.session import SessionError
from broker_adapter.kite.ticker import MAX_INSTRUMENTS, Binary, Down, Frame, Text, Ticker, Up

Handler = Callable[[ServerConnection], Awaitable[None]]


@contextlib.asynccontextmanager
async def exchange(handler: Handler, good_token: str = "good") -> AsyncIterator[str]:
    def check(connection: ServerConnection, request: Request) -> Response | None:
        query = parse_qs(urlsplit(request.path).query)
        return None if query["access_token"] == [good_token] else connection.respond(403, "no\n")

    server: Server
    async with serve(handler, "127.0.0.1", 0, process_request=check) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class Heard:
    """Frames as they came, and a way to wait for enough of them."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self._more = asyncio.Event()

    async def put(self, frame: Frame) -> None:
        self.frames.append(frame)
        self._more.set()

    async def until(self, enough: Callable[[list[Frame]], bool], timeout_s: float = 10.0) -> list[Frame]:
        async with asyncio.timeout(timeout_s):
            while not enough(self.frames):
                self._more.clear()
                await self._more.wait()
        return self.frames

    def of(self, kind: type) -> list[Frame]:
        return [frame for frame in self.frames if isinstance(frame, kind)]


@contextlib.asynccontextmanager
async def listening(ticker: Ticker, heard: Heard) -> AsyncIterator[None]:
    task = asyncio.create_task(ticker.run(heard.put))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def client(url: str, token: Callable[[], str] = lambda: "good", **settings: object) -> Ticker:
    return Ticker(url, "key", token, max_delay_s=0.05, **settings)  # type: ignore[arg-type]


async def test_frames_arrive_in_order_after_the_subscription() -> None:
    asked: list[object] = []

    async def handler(socket: ServerConnection) -> None:
        asked.extend([json.loads(await socket.recv()), json.loads(await socket.recv())])
        await socket.send(b"\0\1xy")
        await socket.send('{"type":"message","data":"clock 5"}')
        await socket.wait_closed()

    heard = Heard()
    async with exchange(handler) as url, listening(client(url, tokens=[408065, 256265]), heard):
        await heard.until(lambda frames: len(frames) >= 3)
    assert asked == [
        {"a": "subscribe", "v": [408065, 256265]},
        {"a": "mode", "v": ["full", [408065, 256265]]},
    ]
    up, first, second = heard.frames[:3]
    assert isinstance(up, Up)
    assert isinstance(first, Binary) and first.raw == b"\0\1xy"
    assert isinstance(second, Text) and second.received_at >= first.received_at >= up.received_at


async def test_a_dropped_connection_comes_back_with_its_subscriptions() -> None:
    subscriptions: list[str] = []

    async def handler(socket: ServerConnection) -> None:
        subscriptions.append(str(await socket.recv()))
        await socket.send(b"\0")
        await socket.close()

    heard = Heard()
    async with exchange(handler) as url, listening(client(url, tokens=[1]), heard):
        await heard.until(lambda _: len(subscriptions) >= 3)
    assert len(set(subscriptions)) == 1
    assert len(heard.of(Down)) >= 2


async def test_a_silent_connection_is_given_up() -> None:
    async def handler(socket: ServerConnection) -> None:
        await socket.wait_closed()

    heard = Heard()
    async with exchange(handler) as url, listening(client(url, idle_timeout_s=0.1), heard):
        await heard.until(lambda _: len(heard.of(Up)) >= 2)
    down = heard.of(Down)[0]
    assert isinstance(down, Down) and down.reason.startswith("silent for 0.1 s")


async def test_a_refused_token_asks_for_a_login_and_a_new_token_is_picked_up() -> None:
    tokens = iter(["stale", "stale", "good"])
    last = "good"

    async def handler(socket: ServerConnection) -> None:
        await socket.wait_closed()

    heard = Heard()
    async with exchange(handler) as url, listening(client(url, lambda: next(tokens, last)), heard):
        await heard.until(lambda _: bool(heard.of(Up)))
    assert [str(down.reason) for down in heard.of(Down)] == ["login needed: handshake refused"] * 2  # type: ignore[union-attr]


async def test_no_session_at_all_is_a_login_that_is_needed() -> None:
    def nobody() -> str:
        raise SessionError("no session")

    heard = Heard()
    async with listening(client("ws://127.0.0.1:9", nobody), heard):
        await heard.until(lambda _: bool(heard.of(Down)))
    assert heard.frames[0].reason == "login needed: no session"  # type: ignore[union-attr]


async def test_nobody_listening_is_tried_again() -> None:
    heard = Heard()
    async with exchange(lambda socket: socket.wait_closed()) as url:
        gone = url
    async with listening(client(gone), heard):
        await heard.until(lambda _: len(heard.of(Down)) >= 2)


async def test_a_slow_reader_slows_the_sender_and_loses_nothing() -> None:
    count = 3_000
    sent = 0

    async def handler(socket: ServerConnection) -> None:
        nonlocal sent
        for number in range(count):
            await socket.send(number.to_bytes(4, "big") + bytes(4_096))
            sent += 1
        await socket.wait_closed()

    gate = asyncio.Event()
    heard = Heard()

    async def put(frame: Frame) -> None:
        await gate.wait()
        await heard.put(frame)

    async with exchange(handler) as url:
        task = asyncio.create_task(client(url, idle_timeout_s=0.2).run(put))
        await asyncio.sleep(0.6)  # three idle timeouts long: waiting for us is not silence
        held_back = sent
        gate.set()
        await heard.until(lambda _: len(heard.of(Binary)) >= count)
        task.cancel()
    assert held_back < count, "the sender was never slowed down"
    assert [int.from_bytes(f.raw[:4], "big") for f in heard.of(Binary)] == list(range(count))  # type: ignore[union-attr]
    assert len(heard.of(Up)) == 1


def test_more_instruments_than_a_connection_takes_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 3000"):
        Ticker("ws://x", "k", lambda: "t", tokens=range(1, MAX_INSTRUMENTS + 2))
