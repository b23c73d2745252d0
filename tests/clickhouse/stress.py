"""Eight client processes at once on one ClickHouse: `python tests/clickhouse/stress.py [--seconds 60]`.

Two writers as the archive writes (Arrow, one token per batch, a batch in five sent twice), a writer of small
rows, dbt's way (build beside, EXCHANGE TABLES, mutation, drop), Superset's (SQLAlchemy, a session), the API's
(bound parameters), a reader of streams and one of the server's own tables. Afterwards the table and its
materialized view must hold every acknowledged row once. Runs against `$CLICKHOUSE_URL`, else against an
embedded server of its own. Exit 0: exact and without an error; 1: not.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

sys.path[:0] = [str(Path(__file__).parents[place]) for place in (0, 1, 2)]

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
from clickhouse_process import SERVE, new_run, start  # noqa: E402
from loopback_ports import free_port  # noqa: E402

from infra.clickhouse.client import connect, password  # noqa: E402
from infra.clickhouse.inserts import Insert, Inserter, insert_of  # noqa: E402
from infra.clickhouse.migrate import migrate  # noqa: E402
from kitepilot.run import Run  # noqa: E402

SECONDS = 60.0
TABLES = (
    "DROP TABLE IF EXISTS stress_per_symbol_view",
    "DROP TABLE IF EXISTS stress_per_symbol",
    "DROP TABLE IF EXISTS stress_ticks",
    "CREATE TABLE stress_ticks (writer UInt8, number UInt64, at DateTime64(3, 'UTC'), "
    "symbol LowCardinality(String), price_paise Int64) ENGINE = MergeTree ORDER BY (symbol, at) "
    "SETTINGS non_replicated_deduplication_window = 1000",
    "CREATE TABLE stress_per_symbol (symbol LowCardinality(String), ticks UInt64, paise Int64) "
    "ENGINE = SummingMergeTree ORDER BY symbol SETTINGS non_replicated_deduplication_window = 1000",
    "CREATE MATERIALIZED VIEW stress_per_symbol_view TO stress_per_symbol AS SELECT symbol, "
    "count() AS ticks, sum(price_paise) AS paise FROM stress_ticks GROUP BY symbol",
)
DATABASE = "kitepilot_stress"  # dbt's: its account builds in kitepilot_*


class Told(NamedTuple):
    """What one client did: rounds, rows it wrote or read, seconds of each round."""

    rounds: int
    rows: int
    took_s: list[float]


Round = Callable[[], int]


def batch_of(writer: int, first: int, rows: int) -> Insert:
    """Rows `first`, `first + 1`, ... of a writer, under a token of their own."""
    numbers = np.arange(first, first + rows)
    columns = {
        "writer": pa.array(np.full(rows, writer, np.uint8)),
        "number": pa.array(numbers.astype(np.uint64)),
        "at": pa.array(numbers * 1000, pa.timestamp("ms", tz="UTC")),
        "symbol": pa.array([f"S{n % 20}" for n in numbers]),
        "price_paise": pa.array(100_00 + numbers % 700),
    }
    return insert_of("stress_ticks", columns, f"stress-{os.getpid()}-{writer}-{first}-{rows}")


def archive_writer(run: Run, writer: int, rows: int) -> Iterator[Round]:
    inserter = Inserter(connect(run, "sink"), run.folder / f"spool-{writer}")
    written = 0

    def write() -> int:
        nonlocal written
        inserter.flush([batch_of(writer, written, rows)])
        if written // rows % 5 == 0:  # a process that died after sending sends it again
            inserter.finish_last()
        written += rows
        return rows

    yield write
    inserter.close()


def row_writer(run: Run, writer: int) -> Iterator[Round]:
    written = 0
    with connect(run, "sink") as client:

        def write() -> int:
            nonlocal written
            at = np.datetime64(written, "s").item()
            client.insert("stress_ticks", [[writer, written, at, f"S{written % 20}", 100_00]])
            written += 1
            return 1

        yield write


def builder(run: Run) -> Iterator[Round]:
    """As dbt replaces a table while others read it."""
    with connect(run, "dbt", database=DATABASE) as client:
        client.command("CREATE OR REPLACE TABLE day (a Int64) ENGINE = MergeTree ORDER BY a")

        def build() -> int:
            client.command(
                "CREATE OR REPLACE TABLE day_next ENGINE = MergeTree ORDER BY a AS "
                "SELECT toInt64(number) AS a FROM numbers(10000)"
            )
            client.command("ALTER TABLE day_next DELETE WHERE a % 2 = 0", settings={"mutations_sync": "1"})
            client.command("DELETE FROM day_next WHERE a = 1")
            client.command("EXCHANGE TABLES day AND day_next")
            client.command("DROP TABLE day_next")
            [[left]] = client.query("SELECT count() FROM day").result_rows
            if left != 4999:
                raise AssertionError(f"the exchanged table has {left} rows instead of 4999")
            return 10_000

        yield build


def dashboard(run: Run) -> Iterator[Round]:
    """As Superset reads: SQLAlchemy over the client's dialect, with a session."""
    import sqlalchemy

    parts, secret = urlsplit(run.config.storage.clickhouse_url), quote(password(run, "superset"), safe="")
    account = os.environ.get("KITEPILOT_CLICKHOUSE_USER_SUPERSET", "superset")
    database = run.config.storage.clickhouse_database
    engine = sqlalchemy.create_engine(
        f"clickhousedb://{account}:{secret}@{parts.hostname}:{parts.port}/{database}"
    )
    query = sqlalchemy.text(
        "SELECT toStartOfMinute(at) AS minute, symbol, argMin(price_paise, number), max(price_paise) "
        "FROM stress_ticks GROUP BY minute, symbol ORDER BY minute LIMIT 500"
    )

    def look() -> int:
        with engine.connect() as connection:
            return len(connection.execute(query).fetchall())

    yield look
    engine.dispose()


def questions(run: Run) -> Iterator[Round]:
    with connect(run, "api") as client:

        def ask() -> int:
            [[ticks, numbers]] = client.query(
                "SELECT count(), uniqExact(writer, number) FROM stress_ticks WHERE symbol = {symbol:String}",
                parameters={"symbol": "S7"},
            ).result_rows
            if ticks != numbers:
                raise AssertionError(f"{ticks} rows for {numbers} ticks")
            return int(ticks)

        yield ask


def stream(run: Run) -> Iterator[Round]:
    with connect(run, "api") as client:

        def read() -> int:
            with client.query_row_block_stream("SELECT * FROM stress_ticks LIMIT 100000") as blocks:
                return sum(len(block) for block in blocks)

        yield read


def housekeeping(run: Run) -> Iterator[Round]:
    with connect(run, "superset", database=DATABASE) as client:

        def look() -> int:
            client.query("SELECT count() FROM day")  # always there, whatever is exchanged
            return len(client.query("SELECT name, total_rows FROM system.tables").result_rows)

        yield look


CLIENTS: dict[str, Callable[[Run], Iterator[Round]]] = {
    "archive 5000": lambda run: archive_writer(run, 0, 5000),
    "archive 500": lambda run: archive_writer(run, 1, 500),
    "row by row": lambda run: row_writer(run, 2),
    "dbt build": builder,
    "superset": dashboard,
    "api": questions,
    "stream": stream,
    "system": housekeeping,
}
WRITERS = {"archive 5000": 0, "archive 500": 1, "row by row": 2}


def client(name: str, run: Run, seconds: float, start_line: Any, answers: Any) -> None:
    """One process: from a common start its rounds till the time is up, at least one; then what it did."""
    took, rows = [], 0
    try:
        for play in CLIENTS[name](run):
            start_line.wait()
            until = time.monotonic() + seconds
            while not took or time.monotonic() < until:
                began = time.monotonic()
                rows += play()
                took.append(time.monotonic() - began)
        error = ""
    except Exception as err:  # told to the parent, which fails
        start_line.abort()
        error = f"{type(err).__name__}: {err}"[:300]
    answers.put((name, Told(len(took), rows, took), error))


def stress(run: Run, seconds: float) -> tuple[dict[str, Told], list[str]]:
    """(what each client did, what was wrong). The tables are made anew."""
    migrate(run)
    with connect(run, "owner") as owner:
        owner.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE} ENGINE = Atomic")
        for statement in TABLES:
            owner.command(statement)
    spawning = multiprocessing.get_context("spawn")
    answers, start_line = spawning.Queue(), spawning.Barrier(len(CLIENTS))
    processes = [
        spawning.Process(target=client, args=(name, run, seconds, start_line, answers)) for name in CLIENTS
    ]
    for process in processes:
        process.start()
    told: dict[str, Told] = {}
    wrong: list[str] = []
    for _ in processes:
        name, told[name], error = answers.get(timeout=seconds + 300)
        wrong += [f"{name}: {error}"] if error else []
    for process in processes:
        process.join()
    return told, wrong + miscounts(run, {WRITERS[name]: told[name].rows for name in WRITERS})


def miscounts(run: Run, written: dict[int, int]) -> list[str]:
    """Where the table or its view do not hold every acknowledged row exactly once."""
    with connect(run, "api") as api:
        rows = api.query("SELECT writer, count(), uniqExact(number) FROM stress_ticks GROUP BY writer")
        stored = {writer: (count, distinct) for writer, count, distinct in rows.result_rows}
        table = api.query("SELECT count(), sum(price_paise) FROM stress_ticks").first_row
        view = api.query("SELECT sum(ticks), sum(paise) FROM stress_per_symbol").first_row
    wrong = [
        f"writer {writer}: {stored.get(writer)} rows and distinct rows stored, {rows} acknowledged"
        for writer, rows in written.items()
        if stored.get(writer) != (rows, rows)
    ]
    return wrong + ([] if table == view else [f"the view says {view}, its table {table}"])


def served(folder: Path) -> Iterator[Run]:
    """A run on `$CLICKHOUSE_URL`, else on an embedded server that lives as long as this is held."""
    given = os.environ.get("CLICKHOUSE_URL")
    run = new_run(folder, given or f"http://127.0.0.1:{free_port()}")
    server = None if given else start(run, SERVE, "clickhouse")
    yield run
    if server is not None:
        server.terminate()
        server.wait(60)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=SECONDS)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        for run in served(Path(folder)):
            told, wrong = stress(run, seconds)
    print(f"{'client':14}{'rounds':>8}{'rows':>12}{'p50 ms':>9}{'p99 ms':>9}")
    for name, (rounds, rows, took) in sorted(told.items()):
        p50, p99 = np.percentile(took, [50, 99]) * 1000 if took else (0.0, 0.0)
        print(f"{name:14}{rounds:8}{rows:12}{p50:9.1f}{p99:9.1f}")
    print(
        *(wrong or ["every acknowledged row is in the table and in its view exactly once, no error"]),
        sep="\n",
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
