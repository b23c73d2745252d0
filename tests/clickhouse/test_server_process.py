"""The embedded server as a process: one clear line if it cannot start, a clean stop, safe against kill -9."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_process import SERVE, free_port, new_run, start, wait_until

from infra.clickhouse.client import ClickHouseUnreachableError, connect
from infra.clickhouse.migrate import migrate
from kitepilot.run import RUN_FOLDER_VARIABLE, Run

pytestmark = pytest.mark.stack


def attempt(run: Run) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SERVE],
        env=os.environ | {RUN_FOLDER_VARIABLE: str(run.folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = attempt(new_run(tmp_path, f"http://127.0.0.1:{port}"))
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use; stop what listens" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_an_address_elsewhere_is_refused(tmp_path: Path) -> None:
    ended = attempt(new_run(tmp_path, "http://0.0.0.0:18123"))
    assert ended.returncode == 1
    assert "only on loopback" in ended.stderr


def test_a_password_from_the_environment_holds_for_server_and_client_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KITEPILOT_CLICKHOUSE_PASSWORD", "everyone's")
    monkeypatch.setenv("KITEPILOT_CLICKHOUSE_PASSWORD_OWNER", "the owner's")
    run = new_run(tmp_path, f"http://127.0.0.1:{free_port()}")
    server = start(run, SERVE, "clickhouse")
    for role in ("owner", "api"):
        assert connect(run, role, database="default").ping()
    monkeypatch.delenv("KITEPILOT_CLICKHOUSE_PASSWORD_OWNER")
    with pytest.raises(ClickHouseUnreachableError, match="refuses account 'owner'"):
        connect(run, "owner", database="default")
    server.terminate()
    assert server.wait(20) == 0


def test_acknowledged_rows_survive_kill_9_and_a_second_server_is_refused(tmp_path: Path) -> None:
    run = new_run(tmp_path, f"http://127.0.0.1:{free_port()}")
    server = start(run, SERVE, "clickhouse")
    migrate(run)
    with connect(run, "owner") as client:
        client.command(
            "CREATE TABLE written (w UInt8, n UInt64, p String) ENGINE = MergeTree ORDER BY (w, n)"
        )
    second = attempt(new_run(tmp_path, run.config.storage.clickhouse_url, "paper-20261120-0002"))
    assert (second.returncode, second.stderr.count("\n")) == (1, 1)
    assert "in use by another embedded ClickHouse" in second.stderr

    acknowledged = [0, 0, 0]
    for _ in range(3):
        before = list(acknowledged)
        writers = [threading.Thread(target=_write, args=(run, w, acknowledged)) for w in range(3)]
        for writer in writers:
            writer.start()
        wait_until(partial(_all_grew, acknowledged, before), 30)
        server.kill()  # in the middle of all three
        server.wait()
        for writer in writers:
            writer.join()
        server = start(run, SERVE, "clickhouse")
        with connect(run, "api") as client:
            rows = client.query("SELECT w, count(), uniqExact(n) FROM written GROUP BY w").result_rows
            detached = client.query("SELECT count() FROM system.detached_parts").first_row
        stored = {w: (count, distinct) for w, count, distinct in rows}
        assert all(stored[w][0] == stored[w][1] >= acknowledged[w] for w in range(3))
        assert detached == (0,)
        acknowledged = [stored[w][0] for w in range(3)]
    server.terminate()
    assert server.wait(20) == 0


def _all_grew(now: list[int], before: list[int]) -> bool:
    return all(map(int.__gt__, now, before))


def _write(run: Run, writer: int, acknowledged: list[int]) -> None:
    batch = (1, 100, 2000)[writer]
    try:
        with connect(run, "sink", wait_s=0) as client:
            while True:
                first = acknowledged[writer]
                rows = [[writer, first + n, "x" * 50] for n in range(batch)]
                client.insert("written", rows, column_names=["w", "n", "p"])
                acknowledged[writer] += batch
    except (ClickHouseError, ClickHouseUnreachableError, OSError):
        return
