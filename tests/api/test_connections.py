"""Slow and many connections, over real sockets: the slow ones are cut, and a whole request is served."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st

from api.connections import Bounds, Door, guests_of

QUICK = Bounds(request_s=4, stalled_s=4, most=12, per_address=8)
LARGE = 16 * 1024 * 1024
WHOLE = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
WITHIN_S = 60.0


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """/ at once, /large more than any buffer takes, /body when it has come, /wait until the peer goes."""
    if scope["path"] == "/body":
        while (await receive()).get("more_body"):
            pass
    if scope["path"] == "/wait":
        await receive()
        await receive()
    size = LARGE if scope["path"] == "/large" else 2
    head = [(b"content-length", str(size).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": b"k" * size})


@dataclass
class House:
    port: int
    door: Door

    @contextmanager
    def peer(self, said: bytes = b"") -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=WITHIN_S) as peer:
            peer.sendall(said)
            yield peer

    def get(self, path: str = "/") -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=WITHIN_S, trust_env=False)


@contextmanager
def served(bounds: Bounds) -> Iterator[House]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        door = Door(bounds)
        server = uvicorn.Server(
            uvicorn.Config(
                answer, http=guests_of(door), lifespan="off", log_level="error", timeout_graceful_shutdown=1
            )
        )
        thread = threading.Thread(target=asyncio.run, args=(server.serve([listening]),))
        thread.start()
        try:
            yield House(listening.getsockname()[1], door)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with served(QUICK) as made:
        yield made


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ends(peer: socket.socket) -> bytes:
    """What came until the other side cut it."""
    whole = b""
    try:
        while part := peer.recv(65_536):
            whole += part
    except ConnectionResetError:
        pass
    return whole


UNFINISHED = {
    "nothing": b"",
    "half a header": b"GET / HTTP/1.1\r\nhost: x\r\nx-slow:",
    "half of a second request": WHOLE + b"GET / HTTP/1.1\r\nhos",
    "half a body that nobody reads": b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf",
}


def test_who_does_not_finish_what_he_asks_is_cut(house: House) -> None:
    with ExitStack() as held:
        peers = {name: held.enter_context(house.peer(said)) for name, said in UNFINISHED.items()}
        came = {name: ends(peer) for name, peer in peers.items()}
    assert {name for name, answer in came.items() if answer.startswith(b"HTTP/1.1 200")} == {
        "half of a second request",
        "half a body that nobody reads",
    }


def test_who_does_not_read_what_is_sent_to_him_is_cut(house: House) -> None:
    with house.peer() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)
        peer.sendall(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        assert peer.recv(1) == b"H", "it is being served"
        until(lambda: len(house.door) == 0)
        assert len(ends(peer)) < LARGE


def test_who_asks_whole_and_reads_is_answered_whole_again_and_again() -> None:
    with served(Bounds()) as house:
        assert len(house.get("/large").content) == LARGE
        url = f"http://127.0.0.1:{house.port}"
        with httpx.Client(base_url=url, timeout=WITHIN_S, trust_env=False) as client:
            assert {client.get("/").status_code for _ in range(50)} == {200}


def test_however_many_are_slow_who_asks_whole_is_served() -> None:
    """With no deadline that would help: room is made by whoever has waited longest."""
    with served(Bounds(request_s=1_000, stalled_s=1_000, most=12, per_address=8)) as house:
        body = b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nha"
        with ExitStack() as held:
            for said in (b"", b"GET / HT", body) * 10:
                held.enter_context(house.peer(said))
            for _ in range(20):
                assert house.get().status_code == 200
                assert len(house.door) <= 8


def test_who_is_being_served_is_not_put_out_for_another() -> None:
    bounds = Bounds(request_s=1_000, stalled_s=1_000, most=12, per_address=4)
    with served(bounds) as house, ExitStack() as held:
        for _ in range(4):
            held.enter_context(house.peer(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n"))
        until(lambda: len(house.door) == 4 and not house.door._waiting)
        assert ends(held.enter_context(house.peer())) == b"", "the fifth is not let in"
        assert len(house.door) == 4


@dataclass(eq=False)
class Walker:
    address: str
    out: bool = False

    def leave(self) -> None:
        self.out = True


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["enter", "serve", "wait", "left"])), max_size=200
    )
)
def test_no_history_overfills_the_house(history: list[tuple[str, str]]) -> None:
    door, all_of = Door(Bounds(most=5, per_address=3)), list[Walker]()
    for address, deed in history:
        if deed == "enter":
            all_of.append(Walker(address))
            door.enter(all_of[-1])
        elif known := [each for each in all_of if each.address == address]:
            does = {"serve": door.is_served, "wait": door.waits, "left": door.left}[deed]
            does(known[len(history) % len(known)])
        inside = door._in
        assert len(inside) <= 5 and all(sum(each.address == a for each in inside) <= 3 for a in "abc")
        assert not any(each.out for each in inside) and set(door._waiting) <= inside
        assert sum(door._of.values()) == len(inside)
