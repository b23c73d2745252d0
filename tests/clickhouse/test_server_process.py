"""The embedded server as a process: one clear line if it cannot start, a clean stop."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from clickhouse_process import SERVE, new_run, start, unmeasured
from loopback_ports import free_port

from infra.clickhouse.client import ClickHouseUnreachableError, connect
from kitepilot.run import RUN_FOLDER_VARIABLE, Run

pytestmark = pytest.mark.stack


def attempt(run: Run) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SERVE],
        env=unmeasured() | {RUN_FOLDER_VARIABLE: str(run.folder)},
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


def test_a_second_server_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    run = new_run(tmp_path, f"http://127.0.0.1:{free_port()}")
    server = start(run, SERVE, "clickhouse")
    second = attempt(new_run(tmp_path, run.config.storage.clickhouse_url, "paper-20261120-0002"))
    assert (second.returncode, second.stderr.count("\n")) == (1, 1)
    assert "in use by another embedded ClickHouse" in second.stderr
    server.terminate()
    assert server.wait(20) == 0
