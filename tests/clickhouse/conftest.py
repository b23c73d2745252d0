"""A ClickHouse for these tests: `$CLICKHOUSE_URL` if set, else the embedded server in a temporary home."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_process import SERVE, new_run, start
from loopback_ports import free_port

from infra.clickhouse.migrate import migrate
from kitepilot.run import Run


@pytest.fixture(scope="session")
def server_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """(home, URL) of a server whose tables are there."""
    home = tmp_path_factory.mktemp("clickhouse-home")
    given = os.environ.get("CLICKHOUSE_URL")
    run = new_run(home, given or f"http://127.0.0.1:{free_port()}", "paper-20261120-0000")
    server = None if given else start(run, SERVE, "clickhouse")
    migrate(run)
    yield home, run.config.storage.clickhouse_url
    if server is not None:
        server.terminate()
        assert server.wait(20) == 0


@pytest.fixture
def run(server_home: tuple[Path, str], request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """A fresh run on the shared server: its own id, so its own rows."""
    home, url = server_home
    return new_run(home, url, f"paper-{tmp_path.name}-{time.time_ns()}")
