"""What KitePilot, dbt and Superset rely on in ClickHouse's HTTP protocol.

Runs against `$CLICKHOUSE_URL` if that is set, else against the embedded server, to keep the two honest.
"""

from __future__ import annotations

import gzip
import os
import threading
import uuid
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
import httpx
import lz4.frame
import numpy as np
import pyarrow as pa
import pytest
import zstandard
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.external import ExternalData
from clickhouse_process import new_run

from infra.clickhouse.client import connect, password
from kitepilot.run import Run

pytestmark = pytest.mark.stack

DATABASE = "kitepilot_contract"


@pytest.fixture(scope="module")
def owner(server_home: tuple[Path, str]) -> Run:
    home, url = server_home
    run = new_run(home, url, f"paper-contract-{uuid.uuid4().hex[:6]}")
    with connect(run, "owner", database="default") as client:
        client.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE} ENGINE = Atomic")
    return run


def client_of(run: Run, role: str = "owner", **options: Any) -> Client:
    """A client as dbt and Superset open it: with a session."""
    parts = urlsplit(run.config.storage.clickhouse_url)
    return clickhouse_connect.get_client(
        host=parts.hostname or "",
        port=parts.port or 0,
        interface=parts.scheme,
        username=account(role),
        password=password(run, role),
        database=DATABASE,
        **options,
    )


@pytest.fixture
def client(owner: Run) -> Iterator[Client]:
    with client_of(owner) as opened:
        yield opened


@pytest.fixture
def table(client: Client) -> Iterator[str]:
    name = f"t_{uuid.uuid4().hex[:10]}"
    client.command(f"CREATE TABLE {name} (a Int64, s String) ENGINE = MergeTree ORDER BY a")
    yield name
    client.command(f"DROP TABLE {name}")


def account(role: str) -> str:
    """The name under which a server knows a role."""
    return os.environ.get(f"KITEPILOT_CLICKHOUSE_USER_{role.upper()}", role)


def refused(client: Client, query: str, **options: Any) -> int | None:
    with pytest.raises(DatabaseError) as caught:
        client.query(query, **options)
    return caught.value.code


def test_types_travel_both_ways(client: Client) -> None:
    client.command(
        "CREATE OR REPLACE TABLE kinds (a Int32, b LowCardinality(String), c Nullable(Float64), "
        "d DateTime64(6, 'Asia/Kolkata'), e Array(String), f Map(String, Int64), g Decimal(18, 4), h UUID, "
        "i Enum8('BUY' = 1, 'SELL' = 2), j Date, k Tuple(x Int8, y String), m Bool) "
        "ENGINE = MergeTree ORDER BY a"
    )
    at = datetime(2026, 11, 20, 3, 45, 0, 123456, tzinfo=UTC)
    row = [1, "x", None, at, ["a", "b"], {"k": 5}, Decimal("12.3456"), uuid.UUID(int=7), "SELL",
           date(2026, 11, 20), {"x": 1, "y": "z"}, True]  # fmt: skip
    client.insert("kinds", [row])
    [got] = client.query("SELECT * FROM kinds").result_rows
    assert list(got) == row
    assert got[3].utcoffset() == timedelta(hours=5, minutes=30)


def test_an_empty_result_keeps_its_columns(client: Client) -> None:
    empty = client.query("SELECT number AS n, 'x' AS s FROM numbers(3) LIMIT 0")
    assert (empty.column_names, empty.result_rows) == (("n", "s"), [])


@pytest.mark.parametrize("compression", [False, "lz4", "zstd", "gzip"])
def test_compressed_inserts_arrive_whole(owner: Run, table: str, compression: str | bool) -> None:
    with client_of(owner, compress=compression) as client:
        client.insert(table, [[n, "s" * 50] for n in range(30_000)])
        assert client.query(f"SELECT count(), sum(a) FROM {table}").result_rows == [(30_000, 449_985_000)]


def test_every_content_encoding_is_understood_in_several_frames_and_never_torn(
    owner: Run, table: str
) -> None:
    bodies = {
        "deflate": zlib.compress(b"1,a\n"),
        "lz4": lz4.frame.compress(b"2,b\n") + lz4.frame.compress(b"3,c\n"),
        "gzip": gzip.compress(b"4,d\n") + gzip.compress(b"5,e\n"),
        "zstd": zstandard.compress(b"6,f\n") + zstandard.compress(b"7,g\n"),
    }
    for encoding, body in bodies.items():
        reply = _post(owner, f"INSERT INTO {DATABASE}.{table} FORMAT CSV", body, encoding)
        assert reply.status_code == 200, reply.text
    with client_of(owner) as client:
        assert client.query(f"SELECT groupArray(s) FROM (SELECT s FROM {table} ORDER BY a)").result_rows == [
            (list("abcdefg"),)
        ]
    whole = gzip.compress(b"8,h\n" * 1000)
    for encoding, body in (("zstd", b"junk"), ("gzip", whole[:-9]), ("lz4", b"junk"), ("deflate", whole)):
        reply = _post(owner, f"INSERT INTO {DATABASE}.{table} FORMAT CSV", body, encoding)
        assert reply.status_code == 400, (encoding, reply.text)
    with client_of(owner) as client:
        assert client.query(f"SELECT count() FROM {table}").first_row == (7,)


def _post(run: Run, query: str, body: bytes, encoding: str = "") -> httpx.Response:
    return httpx.post(
        run.config.storage.clickhouse_url,
        params={"query": query},
        content=body,
        headers={"Content-Encoding": encoding} if encoding else {},
        auth=(account("owner"), password(run, "owner")),
        timeout=20,
    )


def test_parameters_are_bound_by_the_server_not_pasted(client: Client) -> None:
    hostile = "it's \\ a \t test; DROP TABLE x --"
    [row] = client.query(
        "SELECT {a:Int32}, {s:String}, {l:Array(String)}, {n:Nullable(Int32)}",
        parameters={"a": 5, "s": hostile, "l": ["x'y", "z"], "n": None},
    ).result_rows
    assert row == (5, hostile, ["x'y", "z"], None)


def test_long_parameters_travel_in_a_form(owner: Run) -> None:
    with client_of(owner, form_encode_query_params=True) as client:
        assert client.query("SELECT length({s:String})", parameters={"s": "x" * 200_000}).first_row == (
            200_000,
        )


def test_settings_of_one_query_do_not_outlive_it(client: Client) -> None:
    before = client.query("SELECT getSetting('max_block_size')").first_row
    assert client.query(
        "SELECT getSetting('max_block_size')", settings={"max_block_size": 777}
    ).first_row == (777,)
    assert client.query("SELECT getSetting('max_block_size')").first_row == before
    client.command("SET max_block_size = 555")
    assert client.query(
        "SELECT getSetting('max_block_size')", settings={"max_block_size": 777}
    ).first_row == (777,)
    assert client.query("SELECT getSetting('max_block_size')").first_row == (555,)


def test_sessions_keep_temporary_tables_to_themselves(owner: Run, client: Client) -> None:
    client.command("CREATE TEMPORARY TABLE mine (x Int32)")
    client.command("INSERT INTO mine VALUES (1), (2)")
    assert client.query("SELECT sum(x) FROM mine").first_row == (3,)
    with client_of(owner) as other:
        assert refused(other, "SELECT * FROM mine") == 60


def test_arrow_and_columns_in_and_out(client: Client, table: str) -> None:
    client.insert_arrow(table, pa.table({"a": pa.array(range(1000)), "s": pa.array(["q"] * 1000)}))
    assert client.query_arrow(f"SELECT a FROM {table} ORDER BY a").column("a").to_pylist() == list(
        range(1000)
    )
    assert client.query_np(f"SELECT a FROM {table} ORDER BY a").ravel().tolist() == list(range(1000))


def test_a_million_rows_stream_without_being_held(client: Client) -> None:
    with client.query_row_block_stream("SELECT number, toString(number) FROM numbers(1000000)") as blocks:
        sizes = [len(block) for block in blocks]
    assert sum(sizes) == 1_000_000
    assert max(sizes) < 200_000


def test_an_error_in_the_middle_of_a_stream_is_not_taken_for_its_end(client: Client) -> None:
    query = "SELECT number, throwIf(number = 900000, 'boom') FROM numbers(1000000)"
    settings = {"max_block_size": 10_000, "max_threads": 1}
    with (
        pytest.raises(Exception, match="boom"),
        client.query_row_block_stream(query, settings=settings) as blocks,
    ):
        for _ in blocks:
            pass
    assert client.ping()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT nosuch", 47),
        ("SELECT * FROM nosuch", 60),
        ("SELEC 1", 62),
        ("SELECT throwIf(1, 'x')", 395),
        ("SELECT toInt32('x')", 6),
        ("SELECT 1; SELECT 2", 62),
        ("SELECT sleep(3) SETTINGS max_execution_time = 1", 159),
    ],
)
def test_errors_carry_clickhouses_own_code(client: Client, query: str, code: int) -> None:
    assert refused(client, query) == code


def test_a_torn_insert_leaves_no_rows_and_a_usable_connection(client: Client, table: str) -> None:
    with pytest.raises(DatabaseError):
        client.raw_insert(table, ["a", "s"], b"1,a\n2,b\nthree", fmt="CSV")
    assert client.query(f"SELECT count() FROM {table}").first_row == (0,)


def test_the_same_token_is_stored_once_and_also_in_its_materialized_view(client: Client) -> None:
    client.command(
        "CREATE OR REPLACE TABLE raw (n UInt64) ENGINE = MergeTree ORDER BY n "
        "SETTINGS non_replicated_deduplication_window = 1000"
    )
    client.command("DROP TABLE IF EXISTS per_parity")
    client.command("DROP TABLE IF EXISTS totals")
    client.command(
        "CREATE TABLE totals (k UInt64, c UInt64) ENGINE = SummingMergeTree ORDER BY k "
        "SETTINGS non_replicated_deduplication_window = 1000"
    )
    client.command(
        "CREATE MATERIALIZED VIEW per_parity TO totals AS SELECT n % 2 AS k, count() AS c FROM raw GROUP BY k"
    )
    settings = {
        "insert_deduplication_token": "day-0-9",
        "deduplicate_blocks_in_dependent_materialized_views": "1",
    }
    for _ in range(3):
        client.insert("raw", [[n] for n in range(10)], column_names=["n"], settings=settings)
    assert client.query("SELECT count() FROM raw").first_row == (10,)
    assert client.query("SELECT sum(c) FROM totals").first_row == (10,)


def test_external_data_travels_with_the_query(client: Client) -> None:
    data = ExternalData(file_name="ext.csv", data=b"1\n2\n3\n", fmt="CSV", structure="id Int32")
    assert client.query("SELECT sum(id) FROM ext", external_data=data).first_row == (6,)


def test_a_running_query_is_cancelled_by_the_id_the_client_gave_it(owner: Run) -> None:
    query_id = f"mine-{uuid.uuid4().hex}"
    failed: list[int | None] = []

    def run_long() -> None:
        with client_of(owner) as busy:
            try:
                busy.query(
                    "SELECT count() FROM numbers_mt(1000000000000) WHERE sipHash64(number) = 1",
                    settings={"query_id": query_id},
                )
            except DatabaseError as err:
                failed.append(err.code)

    busy = threading.Thread(target=run_long)
    busy.start()
    with client_of(owner) as killer:
        while busy.is_alive():
            killer.query(f"KILL QUERY WHERE query_id = '{query_id}' SYNC")
            busy.join(0.05)
    assert failed == [394]


def test_many_clients_at_once_lose_and_mix_nothing(owner: Run, table: str) -> None:
    def write(writer: int) -> int:
        with client_of(owner) as client:
            for batch in range(10):
                client.insert(table, [[writer * 1000 + batch * 100 + n, f"w{writer}"] for n in range(100)])
                assert client.query("SELECT {w:Int32}", parameters={"w": writer}).first_row == (writer,)
        return 1000

    with ThreadPoolExecutor(6) as pool:
        written = sum(pool.map(write, range(6)))
    with client_of(owner) as client:
        assert client.query(f"SELECT count(), uniqExact(a) FROM {table}").first_row == (written, written)


def test_numpy_columns_are_inserted_without_python_rows(client: Client, table: str) -> None:
    n = 50_000
    client.insert(
        table, [np.arange(n), np.full(n, "z", dtype=object)], column_names=["a", "s"], column_oriented=True
    )
    assert client.query(f"SELECT count(), max(a) FROM {table}").first_row == (n, n - 1)


def test_a_wrong_password_and_an_unknown_user_are_refused_alike(owner: Run) -> None:
    replies = [
        httpx.post(owner.config.storage.clickhouse_url, content="SELECT 1", auth=who)
        for who in ((account("owner"), "wrong"), ("nobody", "wrong"), ("", ""))
    ]
    assert {reply.status_code for reply in replies} == {403}
    assert {reply.headers["X-ClickHouse-Exception-Code"] for reply in replies} == {"516"}


def test_get_changes_nothing(owner: Run, table: str) -> None:
    reply = httpx.get(
        owner.config.storage.clickhouse_url,
        params={"query": f"INSERT INTO {DATABASE}.{table} VALUES (1, 'x')"},
        auth=(account("owner"), password(owner, "owner")),
    )
    assert reply.headers["X-ClickHouse-Exception-Code"] == "164"
