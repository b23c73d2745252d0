"""The ticker client against a real WebSocket server that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from broker_adapter.kite import ticker as ticker_module
from broker_adapter.kite.session import SessionError
from broker_adapter.kite.subscriptions import MAX_INSTRUMENTS
from broker_adapter.kite.ticker import MAX_FRAME_BYTES, Binary, Down, Frame, Text, Ticker, Up

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


async def test_a_refused_token_is_not_asked_again_until_a_person_has_logged_in() -> None:
    asked: list[str] = []
    token = "stale"

    def current() -> str:
        asked.append(token)
        return token

    heard = Heard()
    handler = ServerConnection.wait_closed
    async with (
        exchange(handler) as url,
        listening(client(url, current, login_look_s=0.005, login_retry_s=60.0), heard),
    ):
        await heard.until(lambda _: bool(heard.of(Down)))
        looks = len(asked)
        async with asyncio.timeout(10):
            while len(asked) < looks + 5:  # the file is looked at, the server is left alone
                await asyncio.sleep(0.005)
        token = "good"
        await heard.until(lambda _: bool(heard.of(Up)))
    assert [type(frame) for frame in heard.frames[:2]] == [Down, Up]
    assert heard.frames[0].reason == "login needed: handshake refused"  # type: ignore[union-attr]


async def test_a_refusal_of_a_good_token_passes_without_a_new_login() -> None:
    refusals = iter([True, True, False])

    def check(connection: ServerConnection, _: Request) -> Response | None:
        return connection.respond(403, "no\n") if next(refusals, False) else None

    heard = Heard()
    async with serve(ServerConnection.wait_closed, "127.0.0.1", 0, process_request=check) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with listening(client(url, login_retry_s=0.005), heard):
            await heard.until(lambda _: bool(heard.of(Up)))
    assert len(heard.of(Down)) == 2


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
    Ticker("ws://x", "k", lambda: "t", tokens=range(1, MAX_INSTRUMENTS + 1))
    with pytest.raises(ValueError, match="at most 3000"):
        Ticker("ws://x", "k", lambda: "t", tokens=range(1, MAX_INSTRUMENTS + 2))


def test_an_address_that_is_no_websocket_is_refused_before_a_token_is_sent_there() -> None:
    with pytest.raises(ValueError, match="expected one like wss://"):
        Ticker("https://api.kite.trade", "k", lambda: "t")


async def test_changes_of_subscription_are_sent_at_once_and_restored_by_mode_after_a_gap() -> None:
    told: list[list[object]] = []

    async def handler(socket: ServerConnection) -> None:
        commands: list[object] = []
        told.append(commands)
        async for message in socket:
            commands.append(json.loads(message))
            await socket.send(b"\0")
            if len(told) == 1 and len(commands) == 8:
                return

    heard = Heard()
    async with exchange(handler) as url:
        ticker = client(url, tokens=[10, 20, 30])
        async with listening(ticker, heard):
            await heard.until(lambda _: bool(heard.of(Up)))
            await ticker.subscribe([40, 50], "quote")
            await ticker.subscribe([20], "ltp")
            await ticker.unsubscribe([30, 99])
            await ticker.subscribe([60])
            await heard.until(lambda _: len(heard.of(Up)) == 2)
            await heard.until(lambda _: len(told) == 2 and len(told[1]) == 4)
    assert told[0] == [
        {"a": "subscribe", "v": [10, 20, 30]}, {"a": "mode", "v": ["full", [10, 20, 30]]},
        {"a": "subscribe", "v": [40, 50]}, {"a": "mode", "v": ["quote", [40, 50]]},
        {"a": "mode", "v": ["ltp", [20]]}, {"a": "unsubscribe", "v": [30]},
        {"a": "subscribe", "v": [60]}, {"a": "mode", "v": ["full", [60]]},
    ]  # fmt: skip
    assert told[1] == [
        {"a": "subscribe", "v": [10, 20, 40, 50, 60]}, {"a": "mode", "v": ["full", [10, 60]]},
        {"a": "mode", "v": ["ltp", [20]]}, {"a": "mode", "v": ["quote", [40, 50]]},
    ]  # fmt: skip


async def test_what_is_subscribed_while_the_feed_is_down_is_asked_for_when_it_is_back() -> None:
    asked: list[object] = []

    async def handler(socket: ServerConnection) -> None:
        async for message in socket:
            asked.append(json.loads(message))
            await socket.send(b"\0")

    heard = Heard()
    async with exchange(handler) as url:
        ticker = client(url)
        await ticker.subscribe([7], "quote")
        async with listening(ticker, heard):
            await heard.until(lambda _: len(asked) == 2)
    assert asked == [{"a": "subscribe", "v": [7]}, {"a": "mode", "v": ["quote", [7]]}]


async def test_text_that_is_no_utf8_is_handed_on_and_the_connection_stays() -> None:
    async def handler(socket: ServerConnection) -> None:
        await socket.send(b'{"type": "\xff"}', text=True)
        await socket.send(b"\0\1xy")
        await socket.wait_closed()

    heard = Heard()
    async with exchange(handler) as url, listening(client(url), heard):
        await heard.until(lambda _: bool(heard.of(Binary)))
    assert [frame.text for frame in heard.of(Text)] == [b'{"type": "\xff"}']  # type: ignore[union-attr]
    assert not heard.of(Down)


async def test_a_server_that_drops_every_connection_after_a_frame_is_asked_ever_more_slowly() -> None:
    async def handler(socket: ServerConnection) -> None:
        await socket.send(bytes(MAX_FRAME_BYTES + 1))  # the poison no client can read
        await socket.wait_closed()

    heard = Heard()
    async with exchange(handler) as url:
        ticker = client(url)
        async with listening(ticker, heard):
            await heard.until(lambda _: len(heard.of(Down)) >= 5)
        assert ticker.failures >= 5, "a frame in each connection is not enough to be forgiven"
    assert all("1009" in down.reason for down in heard.of(Down))  # type: ignore[union-attr]


async def test_data_for_a_while_forgives_earlier_failures() -> None:
    async def handler(socket: ServerConnection) -> None:
        await socket.send(b"\0")
        await socket.wait_closed()

    heard = Heard()
    async with exchange(handler) as url:
        ticker = client(url, steady_s=0.0)
        async with listening(ticker, heard):
            await heard.until(lambda _: bool(heard.of(Binary)))
            assert ticker.failures == 0


async def test_a_reason_never_tells_the_token() -> None:
    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: gopher://x/?access_token=good\r\n\r\n")
        writer.close()

    heard = Heard()
    async with await asyncio.start_server(redirect, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with listening(client(f"ws://127.0.0.1:{port}"), heard):
            await heard.until(lambda _: bool(heard.of(Down)))
    reason = heard.frames[0].reason  # type: ignore[union-attr]
    assert "access_token=..." in reason and "good" not in reason


TICKS_OF_A_STORM = 10  # one in each of eight connections, one after the garbage, one at the end


class Storm:
    """A server whose every connection goes wrong in another way, until it has gone wrong in all of them."""

    def __init__(self, seed: int) -> None:
        self._troubles = [
            self.closes, self.resets, self.is_silent, self.tears_a_frame, self.is_too_big,
            self.speaks_garbage, self.breaks_the_protocol,
        ]  # fmt: skip
        random.Random(seed).shuffle(self._troubles)
        self._troubles.append(self.behaves)
        self.sent = 0
        self.subscribed: list[object] = []

    async def handler(self, socket: ServerConnection) -> None:
        self.subscribed = [json.loads(await socket.recv()), json.loads(await socket.recv())]
        await self._tick(socket)
        trouble = self._troubles.pop(0)
        await trouble(socket)

    async def _tick(self, socket: ServerConnection) -> None:
        self.sent += 1
        await socket.send(struct.pack(">HI", 1, self.sent))

    async def closes(self, socket: ServerConnection) -> None:
        await socket.close(1001, "going away")

    async def resets(self, socket: ServerConnection) -> None:
        socket.transport.abort()

    async def is_silent(self, socket: ServerConnection) -> None:
        await socket.wait_closed()

    async def tears_a_frame(self, socket: ServerConnection) -> None:
        socket.transport.write(b"\x82\x7e\x40\x00" + bytes(100))  # 16 kB announced, 100 bytes sent
        socket.transport.close()

    async def is_too_big(self, socket: ServerConnection) -> None:
        await socket.send(bytes(MAX_FRAME_BYTES + 1))
        await socket.wait_closed()

    async def speaks_garbage(self, socket: ServerConnection) -> None:
        for poison in (b"", b"\xff" * 50, b"\0\1", b"\x10" * 2_000):
            await socket.send(poison)
            await socket.send(poison, text=True)
        await self._tick(socket)
        await socket.close()

    async def breaks_the_protocol(self, socket: ServerConnection) -> None:
        socket.transport.write(b"\x8f\x00")  # an opcode that does not exist
        await socket.wait_closed()

    async def behaves(self, socket: ServerConnection) -> None:
        self._troubles.append(self.behaves)
        await self._tick(socket)
        await socket.wait_closed()


@pytest.mark.parametrize("seed", range(4))
async def test_after_any_series_of_troubles_the_feed_is_back_with_all_it_had(seed: int) -> None:
    storm, heard = Storm(seed), Heard()

    def numbers() -> list[int]:
        return [int.from_bytes(f.raw[2:]) for f in heard.of(Binary) if len(f.raw) == 6]  # type: ignore[union-attr]

    async with (
        exchange(storm.handler) as url,
        listening(client(url, tokens=[1, 2], idle_timeout_s=0.3), heard),
    ):
        await heard.until(lambda _: TICKS_OF_A_STORM in numbers())
        assert storm.subscribed == [{"a": "subscribe", "v": [1, 2]}, {"a": "mode", "v": ["full", [1, 2]]}]
    told = numbers()
    assert told == sorted(set(told)), "no frame twice, none out of order"
    lost = set(range(1, storm.sent + 1)) - set(told)
    assert len(lost) <= 1, "only a reset may take a frame with it that was on its way"
    states = [type(frame) for frame in heard.frames if isinstance(frame, Up | Down)]
    assert states == [Up, Down] * 7 + [Up], "up and down take turns"


async def test_a_peer_that_never_finishes_the_handshake_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticker_module, "HANDSHAKE_TIMEOUT_S", 0.05)
    silent = asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.close()

    heard = Heard()
    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with listening(client(f"ws://127.0.0.1:{port}"), heard):
            await heard.until(lambda _: len(heard.of(Down)) >= 2)
        silent.set()
