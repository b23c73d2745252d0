"""Bytes that no client library would send, over real sockets, to what is really served."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from litestar import Litestar
from served import TOKEN

from api.main import settings
from kitepilot.ports import EventLog
from kitepilot.run import Run
from kitepilot.topics import SESSION

WITHIN_S = 60.0
HALT = (
    b"POST /control/halt HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer %b\r\n" % TOKEN.encode()
    + b'content-length: 18\r\n\r\n{"command_id":"a"}'
)
#: Two readings of where a body ends: what one of them takes for a body is a command to the other.
AMBIGUOUS = {
    "a length and chunks": b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and a length": b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": b"content-length: 5\r\ncontent-length: 0\r\n\r\n",
    "chunks by another name": b"transfer-encoding: xchunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"content-length : 5\r\n\r\n0\r\n\r\n",
    "a folded header": b"x-one: 1\r\n transfer-encoding: chunked\r\ncontent-length : 0\r\n\r\n",
    "a second host": b"host: other.test\r\ncontent-length: 0\r\n\r\n",
    "a bare line feed in a value": b"x-one: 1\ntransfer-encoding: xchunked\r\ncontent-length: 0\r\n\r\n",
}


@pytest.fixture
def port(run: Run, app: Litestar) -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = uvicorn.Server(settings(run, app))
        thread = threading.Thread(target=asyncio.run, args=(server.serve([listening]),))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def said(port: int, request: bytes) -> bytes:
    """All that came back until the other side ended it."""
    with socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S) as peer:
        peer.sendall(request)
        came = b""
        while part := peer.recv(65_536):
            came += part
        return came


def test_no_second_request_hides_behind_a_body_of_two_lengths(port: int, log: EventLog) -> None:
    for name, rest in AMBIGUOUS.items():
        came = said(port, b"POST /api/v1/session HTTP/1.1\r\nhost: localhost\r\n" + rest + HALT)
        assert came.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 ")), (name, came)
        assert came.count(b"HTTP/1.1 ") == 1, (name, "what came behind was answered", came)
    assert log.end_offset(SESSION.name) == 0
    came = said(port, HALT.replace(b"\r\nhost", b"\r\nconnection: close\r\nhost"))
    assert came.startswith(b"HTTP/1.1 200 "), "by itself it is a command"
    assert log.end_offset(SESSION.name) == 1
