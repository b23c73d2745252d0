"""The embedded ClickHouse as a process: the engine in a wheel behind ClickHouse's own HTTP protocol.

It listens on loopback, at the port of `storage.clickhouse_url`. Data survives `kill -9`: what was
acknowledged is in a part on disk. What it lacks against a server: the native protocol, accounts managed by
SQL, dictionaries, asynchronous inserts, the Kafka engine, zip backups.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from infra.clickhouse import accounts
from infra.clickhouse.confinement import confine
from kitepilot.run import Run

if TYPE_CHECKING:
    from infra.clickhouse.protocol import Server

log = logging.getLogger(__name__)

PROCESS = "clickhouse"
DRAIN_S = 10.0
FREE_WITHIN_S = 5.0  # the server of an analysis that was killed ends a moment later


class StartError(RuntimeError):
    """The server cannot start; one line that says what, where and what to do."""


def main(run: Run) -> int:
    """Serve until SIGTERM or SIGINT; 0 after an orderly stop, 1 with one line on stderr otherwise."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    os.environ["TZ"] = "UTC"  # read by the engine at its start: times are UTC inside
    time.tzset()
    try:
        serve(accounts.folder_of(run.home), port_of(run.config.storage.clickhouse_url), run)
    except StartError as err:
        sys.stderr.write(f"{PROCESS}: {err}\n")
        return 1
    return 0


def port_of(url: str) -> int:
    """The port to listen on. Raises `StartError` for a URL that does not point at this machine."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in ("127.0.0.1", "localhost") or not parts.port:
        raise StartError(
            f"storage.clickhouse_url {url!r} is not http://127.0.0.1:<port>: the embedded server listens "
            "only on loopback; for a server elsewhere do not start this one"
        )
    return parts.port


def serve(folder: Path, port: int, run: Run) -> None:
    """Open the engine on `folder`, answer on `port`, return when told to stop.

    Raises:
        StartError: port in use, folder in use or not writable, engine missing or unable to open its data.
    """
    from infra.clickhouse.engine import Engine, library
    from infra.clickhouse.protocol import Server

    with held(folder):
        try:
            accounts.credentials(folder)
            passwords = {name: accounts.password(folder, name) for name in accounts.ACCOUNTS}
        except ValueError as err:
            raise StartError(str(err)) from err
        config = accounts.write_engine_files(folder, run.config.storage.clickhouse_database)
        shut_in(folder, run.ready_file(PROCESS).parent)
        try:
            connect = library()
        except ImportError as err:
            raise StartError(f"the engine is missing ({err}); install it with `pip install chdb`") from err
        try:
            engine = Engine(connect, folder / "data", config)
        except RuntimeError as err:
            raise StartError(f"the engine cannot open {folder / 'data'}: {err}") from err
        try:
            server = Server(port, engine, passwords)
        except OSError as err:
            engine.close()
            raise StartError(
                f"cannot listen on 127.0.0.1:{port}: {err.strerror}; stop what listens there or change "
                "storage.clickhouse_url"
            ) from err
        stop_on_signals(server)
        log.info("ClickHouse %s (embedded) on http://127.0.0.1:%d, data in %s", engine.version, port, folder)
        run.mark_ready(PROCESS)
        server.serve_forever(poll_interval=0.1)
        await_idle(server)
        server.server_close()
        engine.close()
        log.info("stopped")


def shut_in(folder: Path, ready: Path) -> None:
    """From here on this process sees its data, its backups and its code; the passwords are in memory."""
    own = [folder / "data", folder / "backups", folder / "tmp"]
    shutil.rmtree(folder / "tmp", ignore_errors=True)  # what a killed one left
    for path in (*own, ready):
        path.mkdir(parents=True, exist_ok=True)
    os.environ["TMPDIR"] = str(folder / "tmp")  # loading the engine's code makes a folder there
    confine(own, [folder / "config.xml", folder / "users.xml"], ready)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The folder, locked against a second server for as long as the process lives.

    One that is about to end is waited for: a run may begin right after a pack was broken off.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        lock = (folder / "lock").open("w")
    except OSError as err:
        raise StartError(
            f"cannot use {folder}: {err.strerror}; set $KITEPILOT_HOME to a folder you own"
        ) from err
    deadline = time.monotonic() + FREE_WITHIN_S
    with lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as err:
                if time.monotonic() > deadline:
                    raise StartError(
                        f"{folder} is in use by another embedded ClickHouse; stop it (`kitepilot down`) or "
                        "choose another $KITEPILOT_HOME"
                    ) from err
            time.sleep(0.05)
        yield


def stop_on_signals(server: Server) -> None:
    """SIGTERM and SIGINT end `serve_forever` (from another thread: it waits for the loop to notice)."""

    def stop(*_: object) -> None:
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def await_idle(server: Server) -> None:
    """Let running requests end, for at most `DRAIN_S`."""
    deadline = time.monotonic() + DRAIN_S
    while server.active and time.monotonic() < deadline:
        time.sleep(0.02)
