"""kill -9 in the middle of writing: what was acknowledged is there, what is sent again counts once.

Needs a server of our own to kill, so `$CLICKHOUSE_URL` skips it.
"""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_process import SERVE, new_run, start, wait_until
from loopback_ports import free_port
from stress import TABLES, batch_of

from infra.clickhouse.client import ClickHouseUnreachableError, connect
from infra.clickhouse.inserts import Inserter, InsertError
from infra.clickhouse.migrate import migrate
from kitepilot.run import Run

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(
        "os.environ.get('CLICKHOUSE_URL')", reason="the server at $CLICKHOUSE_URL is not ours to kill"
    ),
]

BATCHES = {0: 5000, 1: 100}  # writer with tokens -> rows at a time
ROW_BY_ROW = 2


class Writing:
    """Three writers until the server dies. `acknowledged` counts rows by writer."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.acknowledged = dict.fromkeys((*BATCHES, ROW_BY_ROW), 0)

    def until_killed(self) -> list[threading.Thread]:
        threads = [threading.Thread(target=self._send, args=(w, rows)) for w, rows in BATCHES.items()]
        threads.append(threading.Thread(target=self._write_rows))
        for thread in threads:
            thread.start()
        return threads

    def spool(self, writer: int) -> Path:
        return self._run.folder / f"spool-{writer}"

    def _send(self, writer: int, rows: int) -> None:
        with connect(self._run, "sink") as client:
            inserter = Inserter(client, self.spool(writer), retry_s=0)
            try:
                while True:
                    inserter.flush([batch_of(writer, self.acknowledged[writer], rows)])
                    self.acknowledged[writer] += rows
            except InsertError:
                return

    def _write_rows(self) -> None:
        try:
            with connect(self._run, "sink") as client:
                while True:
                    number = self.acknowledged[ROW_BY_ROW]
                    client.insert("stress_ticks", [[ROW_BY_ROW, number, 0, "ROWS", 100_00]])
                    self.acknowledged[ROW_BY_ROW] += 1
        except (ClickHouseError, ClickHouseUnreachableError, OSError):
            return

    def send_again(self) -> None:
        """As the archive does after a start: the last batch, whose answer may never have come."""
        for writer, rows in BATCHES.items():
            with connect(self._run, "sink") as client:
                Inserter(client, self.spool(writer)).finish_last()
            last = self.acknowledged[writer]
            assert batch_of(writer, last, rows).token.encode() in self.spool(writer).read_bytes()
            self.acknowledged[writer] += rows


def test_kill_9_loses_no_acknowledged_row_and_a_repeated_batch_counts_once_in_table_and_view(
    tmp_path: Path,
) -> None:
    run = new_run(tmp_path, f"http://127.0.0.1:{free_port()}")
    server = start(run, SERVE, "clickhouse")
    migrate(run)
    with connect(run, "owner") as owner:
        for statement in TABLES:
            owner.command(statement)
    writing = Writing(run)
    for _ in range(3):
        before = dict(writing.acknowledged)
        threads = writing.until_killed()
        wait_until(partial(_all_grew, writing.acknowledged, before), 60)
        server.kill()  # in the middle of all three
        server.wait()
        for thread in threads:
            thread.join()
        began = time.monotonic()
        server = start(run, SERVE, "clickhouse")
        with connect(run, "api") as api:
            rows = api.query("SELECT writer, count(), uniqExact(number) FROM stress_ticks GROUP BY writer")
            print(f"kill -9 to the first answer: {time.monotonic() - began:.1f} s")
        stored = {writer: (count, distinct) for writer, count, distinct in rows.result_rows}
        for writer, acknowledged in writing.acknowledged.items():
            assert stored[writer][0] == stored[writer][1] >= acknowledged
        writing.send_again()
        writing.acknowledged[ROW_BY_ROW] = stored[ROW_BY_ROW][0]  # without a token one row may be more
        _all_exact(run, writing.acknowledged)
    server.terminate()
    assert server.wait(20) == 0


def _all_grew(now: dict[int, int], before: dict[int, int]) -> bool:
    return all(now[writer] > before[writer] for writer in now)


def _all_exact(run: Run, expected: dict[int, int]) -> None:
    with connect(run, "api") as api:
        rows = api.query(
            "SELECT writer, count(), uniqExact(number) FROM stress_ticks GROUP BY writer"
        ).result_rows
        # a row without a token may be in the table and not in its view; a batch sent again is in both
        table = api.query("SELECT symbol, count() FROM stress_ticks WHERE symbol != 'ROWS' GROUP BY symbol")
        view = api.query(
            "SELECT symbol, sum(ticks) FROM stress_per_symbol WHERE symbol != 'ROWS' GROUP BY symbol"
        )
        detached = api.query("SELECT count() FROM system.detached_parts").first_row
    assert {writer: (count, distinct) for writer, count, distinct in rows} == {
        writer: (count, count) for writer, count in expected.items()
    }
    assert sorted(view.result_rows) == sorted(table.result_rows)
    assert detached == (0,)
