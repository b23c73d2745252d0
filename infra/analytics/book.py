"""A ClickHouse to analyse: the one that runs, or the home's own, started for as long as it is needed."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from infra.clickhouse import accounts
from infra.clickhouse.client import connect
from infra.clickhouse.migrate import migrate
from infra.clickhouse.server import PROCESS
from infra.death_signal import ended_with_parent
from kitepilot import config as configuration
from kitepilot.config import Config
from kitepilot.run import RUN_FOLDER_VARIABLE, Run

FOLDER = "analytics"
START_S = 120.0
STOP_S = 30.0
_PAUSE_S = 0.05
_LOOPBACK = ("127.0.0.1", "localhost")


class BookError(RuntimeError):
    """There is nothing to analyse, or it cannot be reached; one line that says what to do."""


@contextmanager
def opened_book(config: Config, home: Path) -> Iterator[Run]:
    """A ClickHouse that answers, its tables up to date, as the `Run` that `connect` takes.

    Where nobody listens at `storage.clickhouse_url` and that is this machine, the home's embedded server is
    started and stopped again at the end. Only one caller at a time has the book open.

    Raises:
        BookError: no day has been archived yet, someone else has the book open, or the server cannot start.
        infra.clickhouse.client.ClickHouseUnreachableError: a configured server does not answer.
        infra.clickhouse.migrate.MigrationError: the tables cannot be brought up to date.
    """
    run = Run("analytics", home / FOLDER / "server", config)
    with _alone(home / FOLDER), answering(run):
        migrate(run)
        yield run


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            raise BookError(f"{folder} is in use by another analysis; wait until it has ended") from err
        yield


@contextmanager
def answering(run: Run) -> Iterator[None]:
    """The server of `run`'s configuration, started where it is this machine's and nobody listens.

    Others may use it meanwhile. Raises as `opened_book`.
    """
    parts = urlsplit(run.config.storage.clickhouse_url)
    if _listens(parts.hostname or "", parts.port or 8123) or parts.hostname not in _LOOPBACK:
        connect(run, "dbt", database="default").close()
        yield
        return
    if not (accounts.folder_of(run.home) / "data").exists():
        raise BookError(f"no day has been archived in {run.home} yet; `kitepilot paper` makes one")
    with _started(run) as (server, log):
        _await_ready(run, server, log)
        yield


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 3).close()
    except OSError:
        return False
    return True


@contextmanager
def _started(run: Run) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """The embedded server as a process of its own, like the supervisor's, and its log.

    It ends with the block, and with this process, whatever kills that: a run that begins needs the folder.
    """
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "config.yaml").write_text(configuration.dump(run.config))
    log = run.folder / f"{PROCESS}.log"
    run.ready_file(PROCESS).unlink(missing_ok=True)
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-P", "-m", "kitepilot", "run", PROCESS],
            env=os.environ | {RUN_FOLDER_VARIABLE: str(run.folder)},
            stdout=output,
            stderr=output,
            # Ctrl-C in the terminal is for the command, which stops it
            preexec_fn=ended_with_parent(signal.SIGTERM),  # noqa: PLW1509 - in the main thread of a command
        )
    try:
        yield server, log
    finally:
        server.terminate()
        try:
            server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _await_ready(run: Run, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while not run.ready_file(PROCESS).exists():
        if server.poll() is not None:
            raise BookError((log.read_text().splitlines() or [f"{PROCESS} ended at once"])[-1])
        if time.monotonic() > deadline:
            raise BookError(f"{PROCESS} is not ready after {START_S:.0f} s; see {log}")
        time.sleep(_PAUSE_S)
