"""The HTTP protocol as bytes on the wire: answers compressed as asked, sessions, bodies that break off.

Runs against `$CLICKHOUSE_URL` if that is set, else against the embedded server.
"""

from __future__ import annotations

import gzip
import os
import socket
import uuid
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import httpx
import lz4.frame
import pytest
import zstandard
from clickhouse_process import new_run, wait_until

from infra.clickhouse.client import connect, password
from kitepilot.run import Run

pytestmark = pytest.mark.stack

DATABASE = "kitepilot_wire"
ACCOUNT = os.environ.get("KITEPILOT_CLICKHOUSE_USER_OWNER", "owner")
ROWS = "SELECT number, repeat('x', 20) FROM numbers(200000)"
#: More rows than one block, then an error: the status line has long been sent.
BREAKS = "SELECT throwIf(number = 900000, 'boom') FROM numbers(1000000)"


def unpacked_zstd(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(data)


UNPACKED: dict[str, Callable[[bytes], bytes]] = {
    "zstd": unpacked_zstd,
    "lz4": lz4.frame.decompress,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}


@pytest.fixture(scope="module")
def owner(server_home: tuple[Path, str]) -> Run:
    run = new_run(*server_home, f"paper-wire-{uuid.uuid4().hex[:6]}")
    with connect(run, "owner", database="default") as client:
        client.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE} ENGINE = Atomic")
        client.command(
            f"CREATE OR REPLACE TABLE {DATABASE}.t (a Int64, s String) ENGINE = MergeTree ORDER BY a"
        )
    return run


@pytest.fixture
def http(owner: Run) -> Iterator[httpx.Client]:
    url, auth = owner.config.storage.clickhouse_url, (ACCOUNT, password(owner, "owner"))
    with httpx.Client(base_url=url, auth=auth, timeout=60) as client:
        client.headers["Accept-Encoding"] = "identity"
        yield client


def ask(http: httpx.Client, query: str, accept: str = "identity", **parameters: str) -> tuple[str, bytes]:
    """(Content-Encoding, the body as it came)."""
    with http.stream(
        "POST", "/", params=parameters, content=query, headers={"Accept-Encoding": accept}
    ) as reply:
        return reply.headers.get("Content-Encoding", ""), b"".join(reply.iter_raw())


def code(reply: httpx.Response) -> str | None:
    return reply.headers.get("X-ClickHouse-Exception-Code")


@pytest.mark.parametrize("encoding", UNPACKED)
@pytest.mark.parametrize("whole", ["0", "1"])
def test_an_answer_comes_compressed_as_asked_streamed_and_whole(
    http: httpx.Client, encoding: str, whole: str
) -> None:
    _, plain = ask(http, ROWS)
    said, packed = ask(http, ROWS, encoding, enable_http_compression="1", wait_end_of_query=whole)
    assert said == encoding
    assert UNPACKED[encoding](packed) == plain
    assert len(packed) < len(plain) / 3


def test_an_answer_is_plain_unless_the_client_both_accepts_and_enables_compression(
    http: httpx.Client,
) -> None:
    assert ask(http, "SELECT 1", "gzip") == ("", b"1\n")
    assert ask(http, "SELECT 1", "identity", enable_http_compression="1") == ("", b"1\n")
    assert ask(http, "SELECT 1", "br;q=1, unheard-of", enable_http_compression="0") == ("", b"1\n")
    said, packed = ask(http, "SELECT 1", "deflate, gzip", enable_http_compression="1")
    assert (said, gzip.decompress(packed)) == ("gzip", b"1\n")


def test_an_error_is_readable_whatever_encoding_was_asked(http: httpx.Client) -> None:
    reply = http.post(
        "/", params={"enable_http_compression": "1"}, content="SELEC", headers={"Accept-Encoding": "gzip"}
    )
    assert (reply.status_code, code(reply)) == (400, "62")
    assert "Code: 62" in reply.text


@pytest.mark.parametrize("encoding", ["identity", "zstd", "gzip"])
def test_a_stream_that_breaks_ends_in_an_error_and_never_in_the_last_chunk(
    http: httpx.Client, encoding: str
) -> None:
    parameters = {"max_block_size": "10000", "max_threads": "1", "enable_http_compression": "1"}
    got = b""
    with (
        http.stream(
            "POST", "/", params=parameters, content=BREAKS, headers={"Accept-Encoding": encoding}
        ) as reply,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        for piece in reply.iter_raw():
            got += piece
    assert reply.status_code == 200
    plain = got if encoding == "identity" else _unfinished(encoding, got)
    tag = reply.headers["X-ClickHouse-Exception-Tag"].encode()
    assert b"boom" in plain[-2000:] and plain.rstrip().endswith(tag + b"\r\n__exception__")


def _unfinished(encoding: str, data: bytes) -> bytes:
    """All that can be read of a frame without an end."""
    if encoding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data)


def test_a_session_is_found_again_is_not_shared_and_ends_when_told(http: httpx.Client) -> None:
    session = uuid.uuid4().hex
    missing = http.post("/", params={"session_id": session, "session_check": "1"}, content="SELECT 1")
    assert (missing.status_code, code(missing)) == (404, "372")
    http.post(
        "/", params={"session_id": session}, content="CREATE TEMPORARY TABLE kept (x Int8)"
    ).raise_for_status()
    again = {"session_id": session, "session_check": "1"}
    assert http.post("/", params=again, content="SELECT count() FROM kept").text == "0\n"
    assert code(http.post("/", params={"database": DATABASE}, content="SELECT count() FROM kept")) == "60"
    http.post("/", params=again | {"close_session": "1"}, content="SELECT 1").raise_for_status()
    assert code(http.post("/", params=again, content="SELECT 1")) == "372"


def test_a_session_serves_one_query_at_a_time(http: httpx.Client) -> None:
    session = {"session_id": uuid.uuid4().hex}
    slow = session | {"query_id": uuid.uuid4().hex}
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(http.post, "/", params=slow, content="SELECT sleep(3)")
        wait_until(lambda: running(http, slow["query_id"]) or busy.done(), 30)
        assert code(http.post("/", params=session, content="SELECT 1")) == "373"
        assert busy.result().status_code == 200
    assert http.post("/", params=session, content="SELECT 1").text == "1\n"


def running(http: httpx.Client, query_id: str) -> bool:
    """By the client's own id, wherever the server keeps it."""
    mine = f"'{query_id}' IN (query_id, Settings['log_comment']) AND query NOT LIKE '%system.processes%'"
    return http.post("/", content=f"SELECT count() FROM system.processes WHERE {mine}").text != "0\n"


@pytest.mark.parametrize("timeout", ["0", "x", "36000"])
def test_a_session_timeout_out_of_bounds_is_refused(http: httpx.Client, timeout: str) -> None:
    reply = http.post("/", params={"session_id": "s", "session_timeout": timeout}, content="SELECT 1")
    assert reply.status_code >= 400


def test_an_insert_whose_client_dies_in_the_middle_of_a_chunk_stores_nothing(
    owner: Run, http: httpx.Client
) -> None:
    parts = urlsplit(owner.config.storage.clickhouse_url)
    target = "/?" + urlencode(
        {
            "query": f"INSERT INTO {DATABASE}.t FORMAT CSV",
            "user": ACCOUNT,
            "password": password(owner, "owner"),
        }
    )
    query_id = uuid.uuid4().hex
    with socket.create_connection((parts.hostname, parts.port)) as line:
        head = f"POST {target}&query_id={query_id} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        line.sendall(head.encode() + b"8\r\n1,a\n2,b\n\r\n" + b"100\r\n3,c\n")
    wait_until(lambda: not running(http, query_id), 30)
    assert http.post("/", content=f"SELECT count() FROM {DATABASE}.t").text == "0\n"


def test_a_chunked_insert_longer_than_a_query_may_be_arrives_whole(http: httpx.Client) -> None:
    line = b"7," + b"y" * 1000 + b"\n"

    def body() -> Iterator[bytes]:
        for _ in range(80):
            yield line * 1000

    http.post("/", content=f"CREATE OR REPLACE TABLE {DATABASE}.long (a Int64, s String) ENGINE = Null")
    query = f"INSERT INTO {DATABASE}.long FORMAT CSV"
    reply = http.post("/", params={"query": query}, content=body())
    reply.raise_for_status()
    assert '"written_rows":"80000"' in reply.headers["X-ClickHouse-Summary"].replace(" ", "")
