"""PostgreSQL as a child of a supervised process: one server per home, unix socket only.

`<home>/postgres` holds `data`, `password` (0600, ours), `server.log` and the lock. The socket lives in
`data`'s neighbour `socket`, or, where that path exceeds the kernel's limit, in a private folder of the
system's temporary folder named by a hash of the home.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType

import psycopg
import sqlalchemy as sa
from psycopg import sql

from infra.postgres.binaries import Binaries, Identity, PostgresError, find_binaries, identity
from infra.postgres.cluster import PORT, USER, Places, data_major, environment, prepare
from infra.postgres.migrate import migrate
from kitepilot.run import Run

__all__ = ["PostgresError", "Server", "database_url", "main", "migrate", "server_url"]

DATABASE = "kitepilot"
PASSWORD_VARIABLE = "KITEPILOT_DATABASE_PASSWORD"  # noqa: S105 the name of the variable, not a secret
START_TIMEOUT_S = 60.0
FAST_STOP_S = 20.0
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "40",
    "shared_buffers": "64MB",
    "synchronous_commit": "on",
    "max_wal_size": "512MB",
    "log_min_messages": "warning",
    "timezone": "UTC",
    "restart_after_crash": "on",
}


def database_url(run: Run) -> str:
    """SQLAlchemy URL (psycopg 3) of the run's book of record: the configured one or the embedded one.

    A configured address takes its password from `$KITEPILOT_DATABASE_PASSWORD`, never from the file.

    Raises:
        PostgresError: embedded, and it was never started in this home.
    """
    if not run.config.storage.database_url:
        return server_url(run.home)
    url = sa.make_url(run.config.storage.database_url)
    password = os.environ.get(PASSWORD_VARIABLE)
    return (url.set(password=password) if password else url).render_as_string(hide_password=False)


def server_url(home: Path) -> str:
    """URL of the embedded server of `home`; it holds the password, so it is not for logs."""
    place = Places(home / "postgres")
    try:
        password = place.password.read_text().strip()
    except OSError as err:
        raise PostgresError(
            f"no embedded PostgreSQL in {place.root} ({err.strerror}): start it with `kitepilot up`, "
            "or set storage.database_url"
        ) from err
    url = sa.URL.create(
        "postgresql+psycopg",
        USER,
        password,
        database=DATABASE,
        query={"host": str(place.socket), "port": str(PORT)},
    )
    return url.render_as_string(hide_password=False)


class Server:
    """One embedded server. Use it as a context manager: started and migrated inside, stopped after."""

    def __init__(self, home: Path) -> None:
        self.places = Places(home.absolute() / "postgres")
        self.url = ""
        self._child: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None

    def start(self) -> None:
        """Make the cluster on first use, start it, create role and database, migrate.

        Raises:
            PostgresError: home in use by another KitePilot, no binaries, failed initdb or start.
        """
        self.places.root.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        try:
            who = identity(self.places.data)
            binaries = find_binaries(data_major(self.places.data))
            prepare(self.places, who, binaries)
            _stop_leftover(self.places)
            self._child = _spawn(self.places, who, binaries)
            self._await_answer()
            self.url = server_url(self.places.root.parent)
            migrate(self.url)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Fast shutdown (open transactions roll back), immediate if that takes too long."""
        child, self._child = self._child, None
        if child is not None:
            for word, patience_s in ((signal.SIGINT, FAST_STOP_S), (signal.SIGQUIT, 10.0)):
                if child.poll() is None:
                    child.send_signal(word)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        child.wait(patience_s)
            if child.poll() is None:
                child.kill()
                child.wait()
        if self._lock is not None:
            if self.places.socket.parent != self.places.root:
                with contextlib.suppress(OSError):  # not empty: a server of ours is still ending
                    self.places.socket.rmdir()
            os.close(self._lock)
            self._lock = None

    @property
    def pid(self) -> int:
        """Process id of the postmaster; 0 when it does not run."""
        return self._child.pid if self._child and self._child.poll() is None else 0

    def wait(self, timeout_s: float) -> int | None:
        """Exit code of the server if it ends within `timeout_s`, else None."""
        if self._child is None:
            return 0
        try:
            return self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _take_lock(self) -> None:
        self._lock = os.open(self.places.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            os.close(self._lock)
            self._lock = None
            raise PostgresError(
                f"another KitePilot already runs the PostgreSQL in {self.places.root}: "
                "stop it with `kitepilot down`, or use another home"
            ) from err

    def _await_answer(self) -> None:
        assert self._child is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                _create_database(self.places)
            except psycopg.OperationalError as err:
                if self._child.poll() is not None or time.monotonic() > deadline:
                    said = _last_line(self.places.log) or err
                    raise PostgresError(f"PostgreSQL did not start in {self.places.root}: {said}") from err
                time.sleep(0.02)
            else:
                return


def _spawn(places: Places, who: Identity, binaries: Binaries) -> subprocess.Popen[bytes]:
    words = [binaries.path("postgres"), "-D", str(places.data), "-k", str(places.socket), "-p", str(PORT)]
    for key, value in SETTINGS.items():
        words += ["-c", f"{key}={value}"]
    with places.log.open("wb") as log:
        # A session of its own: Ctrl-C in the terminal is for the supervisor, which stops us in order.
        return subprocess.Popen(
            who.command(words, die_with_parent=True),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment(),
            start_new_session=True,
        )


def _stop_leftover(places: Places) -> None:
    """Shut down a server of ours that outlived a killed supervisor; stale pid files are PostgreSQL's."""
    try:
        lines = (places.data / "postmaster.pid").read_text().splitlines()
        pid, folder = int(lines[0]), Path(lines[1])
    except (OSError, ValueError, IndexError):
        return
    if folder != places.data or not _is_postgres(pid):
        return
    deadline = time.monotonic() + FAST_STOP_S
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)
        while time.monotonic() < deadline and _is_postgres(pid):
            time.sleep(0.02)
        if _is_postgres(pid):
            os.kill(pid, signal.SIGQUIT)


def _is_postgres(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        with contextlib.suppress(OSError):
            name, _, rest = stat.read_text().partition(") ")
            return "postgres" in name and not rest.startswith("Z")
        return False
    words = ["ps", "-o", "stat=,comm=", "-p", str(pid)]
    said = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False).stdout.strip()
    return "postgres" in said and not said.startswith("Z")


def _create_database(places: Places) -> None:
    with psycopg.connect(
        host=str(places.socket),
        port=PORT,
        user=USER,
        password=places.password.read_text().strip(),
        dbname="postgres",
        connect_timeout=5,
        autocommit=True,
    ) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
        if found is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""


def main(run: Run) -> int:
    """Run the embedded server until SIGTERM. Exit 0 on a clean stop, 1 with one line on stderr otherwise."""
    stopping = threading.Event()

    def ask_to_stop(signum: int, frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    server = Server(run.home)
    try:
        server.start()
        run.mark_ready("postgres")
        while not stopping.wait(0.2):
            code = server.wait(0)
            if code is not None:
                raise PostgresError(f"PostgreSQL ended with {code}: {_last_line(server.places.log)}")
    except PostgresError as err:
        sys.stderr.write(f"postgres: {err}\n")
        return 1
    finally:
        server.stop()
    return 0
