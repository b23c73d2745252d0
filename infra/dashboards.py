"""Superset embedded: its own Python beside the checkout, its home in `<home>/superset`, bound to loopback.

Nothing here imports Superset; it runs as processes of its own environment (`make dashboards` makes it).
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import httpx

from infra.clickhouse import accounts

CHECKOUT = Path(__file__).resolve().parents[1]
SOURCE = CHECKOUT / "superset"
PYTHON_VARIABLE = "KITEPILOT_SUPERSET_PYTHON"
DEFAULT_PORT = 18288
READY_WITHIN_S = 180.0
THREADS = 8


class DashboardError(RuntimeError):
    """Superset cannot do what was asked; one line that says what, where and what to do."""


@dataclass(frozen=True)
class Superset:
    """One home's Superset. `clickhouse_url` and `database` (the raw one) are the configuration's."""

    home: Path
    clickhouse_url: str
    database: str
    port: int = DEFAULT_PORT

    @property
    def folder(self) -> Path:
        return self.home / "superset"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def owner_file(self) -> Path:
        """User and password, readable by the owner only."""
        return self.folder / "owner.json"

    def environment(self) -> dict[str, str]:
        """What `superset_config.py` and the scripts beside it read."""
        own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return own | {
            "SUPERSET_HOME": str(self.folder),
            "SUPERSET_CONFIG_PATH": str(SOURCE / "superset_config.py"),
            "SUPERSET_CLICKHOUSE_URL": self.clickhouse_url,
            "SUPERSET_CLICKHOUSE_PASSWORD": accounts.password(accounts.folder_of(self.home), "superset"),
            "SUPERSET_CLICKHOUSE_DATABASE": self.database,
            "PYTHONDONTWRITEBYTECODE": "1",
            "DO_NOT_TRACK": "1",
        }

    def bootstrap(self) -> list[Path]:
        """Bring the home to what `superset/` says.

        Returns the folders in which changes made in the browser and never exported were kept before.

        Raises:
            DashboardError: no environment, a file of the assets that is none, or a failure in Superset.
        """
        told = self._script("bootstrap.py")
        return [Path(line.removeprefix("kept ")) for line in told if line.startswith("kept ")]

    def export(self, *, check: bool = False, into: Path | None = None) -> tuple[list[Path], bool]:
        """Write what was changed in the browser back into `superset/assets`; (files, whether any changed).

        Raises:
            DashboardError: this home has no dashboards yet, or Superset fails.
        """
        if not (self.folder / "bootstrapped.json").exists():
            raise DashboardError(f"{self.folder} has no dashboards yet: `make dashboards` makes them")
        arguments = [*(["--check"] if check else []), *(["--into", str(into)] if into else [])]
        told = self._script("export_assets.py", *arguments, fine=(0, 1) if check else (0,))
        files = [Path(line.removeprefix("changed ")) for line in told if line.startswith("changed ")]
        return files, bool(files)

    def _script(self, name: str, *arguments: str, fine: tuple[int, ...] = (0,)) -> list[str]:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        log = self.folder / f"{Path(name).stem}.log"
        command = [str(interpreter()), str(SOURCE / name), *arguments]
        with log.open("w") as output:
            ended = subprocess.run(
                command,
                env=self.environment(),
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                check=False,
            )
        if ended.returncode not in fine:
            errors = [line for line in log.read_text().splitlines() if line.startswith("error: ")]
            raise DashboardError(
                errors[-1].removeprefix("error: ") if errors else f"{name} failed: see {log}"
            )
        return ended.stdout.splitlines()

    @contextmanager
    def serving(self) -> Iterator[subprocess.Popen[bytes]]:
        """The server, answering; stopped on leaving.

        Raises:
            DashboardError: the port is taken, or the server does not come up.
        """
        command = [
            *(str(interpreter()), "-m", "gunicorn", "--bind", f"127.0.0.1:{self.port}", "--workers", "1"),
            *("--worker-class", "gthread", "--threads", str(THREADS), "--timeout", "120"),
            *("--no-control-socket", "superset.app:create_app()"),
        ]
        log = self.folder / "server.log"
        with log.open("w") as output:
            server = subprocess.Popen(
                command, env=self.environment(), cwd=self.folder, stdout=output, stderr=output
            )
        try:
            self._await_ready(server, log)
            yield server
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()

    def _await_ready(self, server: subprocess.Popen[bytes], log: Path) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while server.poll() is None and time.monotonic() < deadline:
            if self.healthy():
                return
            time.sleep(0.2)
        if "Connection in use" in log.read_text(errors="replace"):
            raise DashboardError(f"port {self.port} is in use; choose another with --port")
        raise DashboardError(f"Superset did not come up within {READY_WITHIN_S:.0f} s: see {log}")

    def healthy(self) -> bool:
        """Whether a Superset answers at this port."""
        try:
            return httpx.get(f"{self.url}/health", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The home's Superset is this process's for the time; `server.json` says so to the others.

        Raises:
            DashboardError: another process has it.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.folder / "lock").open("w") as lock:
            if not _taken(lock):
                raise DashboardError(
                    f"the dashboards of {self.home} are up already: `kitepilot dashboards status` says where"
                )
            try:
                yield
            finally:
                state_file(self.home).unlink(missing_ok=True)

    def announce(self) -> None:
        """Tell others that it answers, and whom to stop."""
        said = {"pid": os.getpid(), "url": self.url, "owner_file": str(self.owner_file)}
        draft = state_file(self.home).with_suffix(".draft")
        draft.write_text(json.dumps(said))
        draft.replace(state_file(self.home))


def state_file(home: Path) -> Path:
    """Where the process that serves says so."""
    return home / "superset" / "server.json"


def running(home: Path) -> dict[str, Any] | None:
    """pid, url and owner_file of the process that serves this home's dashboards; None where none does."""
    try:
        with (home / "superset" / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None  # nobody holds it: what the file says is of a process that died
    except FileNotFoundError:
        return None
    except BlockingIOError:
        pass
    try:
        return dict(json.loads(state_file(home).read_text()))
    except (FileNotFoundError, json.JSONDecodeError):
        return {"pid": None, "url": None, "owner_file": None}  # it is coming up


def _taken(lock: TextIO) -> bool:
    """Whether the lock is ours now; who only asks for the state holds it for a moment."""
    for _ in range(10):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False


def interpreter() -> Path:
    """Superset's own Python: `$KITEPILOT_SUPERSET_PYTHON`, else `.venv-superset` beside the code.

    Raises:
        DashboardError: it is not there.
    """
    found = Path(os.environ.get(PYTHON_VARIABLE) or CHECKOUT / ".venv-superset" / "bin" / "python")
    if not found.exists():
        raise DashboardError(f"Superset is not installed ({found} is missing): `make dashboards` installs it")
    return found
