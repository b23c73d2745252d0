"""A ClickHouse that is away is waited for: the archive reads nothing meanwhile, and nothing is lost."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil
import pytest
from archive_messages import tick_message
from clickhouse_process import SERVE, new_run, start, wait_until
from loopback_ports import free_port

from infra.clickhouse import book
from infra.clickhouse.client import connect
from infra.clickhouse.migrate import migrate
from infra.eventlog import open_log
from kitepilot.market.ticks import RECORD_BYTES
from kitepilot.ports import EventLog
from kitepilot.run import Run
from kitepilot.topics import TOPICS

pytestmark = pytest.mark.stack

ARCHIVE = (
    "from kitepilot.run import current; from flows.archive import main; raise SystemExit(main(current()))"
)
PACKETS = 200
FIRST, LATER = 300, 700  # messages; the first alone fill a batch three times
SLEEPS = 6
MARGIN = 8_000_000  # bytes


def reached(run: Run) -> int:
    return book.next_offsets(run).get("ticks", 0)


def write(log: EventLog, first: int, end: int) -> None:
    writer = log.writer()
    for number in range(first, end):
        writer.append("ticks", tick_message(number * PACKETS, PACKETS))
    writer.flush()
    writer.close()


def slept(process: psutil.Process, times: int) -> None:
    """Until the process has gone to sleep, and woken, so often: once or more for each attempt."""
    begun = process.num_ctx_switches().voluntary
    wait_until(lambda: process.num_ctx_switches().voluntary >= begun + times, 120)


def test_while_clickhouse_is_away_memory_does_not_grow_with_the_log_and_all_of_it_arrives(
    tmp_path: Path,
) -> None:
    run = new_run(tmp_path, f"http://127.0.0.1:{free_port()}")
    server = start(run, SERVE, "clickhouse")
    migrate(run)
    log = open_log(run)
    log.create_topics(TOPICS)
    archive = start(run, ARCHIVE, "archive")
    spool, seen = run.folder / "archive.spool", psutil.Process(archive.pid)
    try:
        write(log, 0, 1)
        wait_until(lambda: reached(run) == 1, 60)
        first = spool.stat().st_mtime_ns
        server.kill()  # no farewell: connections break
        server.wait()
        write(log, 1, FIRST)
        wait_until(lambda: spool.stat().st_mtime_ns > first, 60)  # it holds a flush
        slept(seen, SLEEPS)
        held, waiting_with = spool.read_bytes(), seen.memory_info().rss
        write(log, FIRST, FIRST + LATER)
        slept(seen, SLEEPS)
        assert spool.read_bytes() == held
        assert seen.memory_info().rss - waiting_with < MARGIN < LATER * PACKETS * RECORD_BYTES / 3
        server = start(run, SERVE, "clickhouse")
        wait_until(lambda: reached(run) == FIRST + LATER, 180)
        archive.send_signal(signal.SIGTERM)
        assert archive.wait(60) == 0
        with connect(run, "api") as client:
            stored = client.query("SELECT count(), uniqExact(log_offset, row) FROM ticks").result_rows
            counted = client.query("SELECT sum(ticks) FROM tick_minutes").result_rows
        rows = (FIRST + LATER) * PACKETS
        assert stored == [(rows, rows)] and counted == [(rows,)]
    finally:
        archive.kill()
        archive.wait()
        server.terminate()
        server.wait(20)
        log.close()
