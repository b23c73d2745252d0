"""Supervision by supervisord: start in order, restart on failure, stop in reverse order.

One supervisor per home. Its control socket is a Unix socket in the home (or, where that path would be
too long for a socket, in a private folder under the system's temporary directory).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from kitepilot.cli.processes import Process
from kitepilot.run import RUN_FOLDER_VARIABLE, Run

SOCKET_PATH_LIMIT = 100
RESTARTS = 5
#: What the interpreter writes when a native library crashes; a stack follows.
CRASH = "Fatal Python error:"


class SupervisionError(RuntimeError):
    """A process could not be started or did not become ready; the text says which, why and where to look."""


@dataclass(frozen=True)
class ProcessState:
    """What the supervisor knows of one process."""

    name: str
    state: str  # RUNNING, STOPPED, BACKOFF, FATAL, EXITED, ...
    pid: int
    uptime_s: int
    log: str


def control_socket(home: Path) -> Path:
    """Where the supervisor of this home listens."""
    path = home / "supervisor" / "control.sock"
    if len(str(path)) <= SOCKET_PATH_LIMIT:
        return path
    digest = hashlib.sha256(str(home).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"kitepilot-{os.getuid()}-{digest}" / "control.sock"


def render(run: Run, processes: Sequence[Process]) -> str:
    """supervisord's configuration for one run. Nothing autostarts: the command line starts in order."""
    folder = run.home / "supervisor"
    lines = [
        "[unix_http_server]",
        f"file={control_socket(run.home)}",
        "chmod=0700",
        "[supervisord]",
        f"logfile={folder / 'supervisord.log'}",
        f"pidfile={folder / 'supervisord.pid'}",
        f"childlogdir={run.folder / 'logs'}",
        "nodaemon=true",
        "silent=true",
        "minfds=4096",
        f'environment={RUN_FOLDER_VARIABLE}="{run.folder}",OMP_NUM_THREADS="1",TZ="UTC",PYTHONUNBUFFERED="1",'
        'PYTHONFAULTHANDLER="1"',
        *(["user=root"] if os.geteuid() == 0 else []),
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for priority, process in enumerate(processes):
        lines += _program(run, process, priority)
    return "\n".join(lines).replace("%", "%%") + "\n"


def command_of(process: Process) -> str:
    """The command line of one process. `-P`: what lies in the folder it works in is not imported."""
    return f"{sys.executable} -P -m kitepilot run {process.name}"


def _program(run: Run, process: Process, priority: int) -> list[str]:
    return [
        f"[program:{process.name}]",
        f"command={command_of(process)}",
        f"directory={run.home.parent}",
        "autostart=false",
        "autorestart=unexpected",
        "exitcodes=0",
        "startsecs=2",
        f"startretries={RESTARTS}",
        "stopsignal=TERM",
        f"stopwaitsecs={process.stop_wait_s}",
        "stopasgroup=false",
        "killasgroup=true",
        f"priority={priority}",
        f"stdout_logfile={run.folder / 'logs' / (process.name + '.log')}",
        "redirect_stderr=true",
        "stdout_logfile_maxbytes=50MB",
        "stdout_logfile_backups=1",
    ]


class Supervisor:
    """The supervisor of one home, seen from the command line."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._daemon: subprocess.Popen[bytes] | None = None

    def start(self, run: Run, processes: Sequence[Process]) -> None:
        """Start supervisord for `run` with nothing running yet.

        Raises:
            SupervisionError: it exits at once; the text carries the end of its own log.
        """
        folder = self.home / "supervisor"
        folder.mkdir(parents=True, exist_ok=True)
        (run.folder / "logs").mkdir(parents=True, exist_ok=True)
        control_socket(self.home).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = folder / "supervisord.conf"
        config.write_text(render(run, processes))
        (folder / "run").write_text(str(run.folder))
        with (folder / "supervisord.out").open("wb") as out:
            self._daemon = subprocess.Popen(
                [sys.executable, "-P", "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(config)],
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        deadline = time.monotonic() + 20
        while not self.alive():
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                tail = (folder / "supervisord.out").read_text(errors="replace")[-400:].strip()
                raise SupervisionError(f"the supervisor did not start: {tail or 'no output'}")
            time.sleep(0.05)

    def _rpc(self) -> Any:
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, f"unix://{control_socket(self.home)}")
        return cast(Any, xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)).supervisor

    def alive(self) -> bool:
        """Does a supervisor of this home answer?"""
        try:
            return bool(self._rpc().getState()["statename"] == "RUNNING")
        except (OSError, xmlrpc.client.Error):
            return False

    def run_folder(self) -> Path | None:
        """The folder of the run being supervised, if any was ever started."""
        path = self.home / "supervisor" / "run"
        return Path(path.read_text()) if path.exists() else None

    def launch(self, process: Process) -> None:
        """Start one process without waiting for it."""
        try:
            self._rpc().startProcess(process.name, False)
        except xmlrpc.client.Fault as fault:
            raise SupervisionError(f"{process.name} could not be started: {fault.faultString}") from fault

    def await_ready(self, run: Run, processes: Sequence[Process], timeout_s: float = 90) -> None:
        """Wait until each process has said that it does its work.

        Raises:
            SupervisionError: one gave up or took longer than `timeout_s`; its last line of log is quoted.
        """
        deadline = time.monotonic() + timeout_s
        for process in processes:
            while not run.ready_file(process.name).exists():
                state = self.state(process.name)
                if state.state in ("FATAL", "EXITED", "STOPPED"):
                    raise SupervisionError(f"{process.name} stopped at start: {last_line(run, process.name)}")
                if time.monotonic() > deadline:
                    raise SupervisionError(
                        f"{process.name} is not ready after {timeout_s:.0f} s ({state.state}): "
                        f"{last_line(run, process.name)}"
                    )
                time.sleep(0.05)

    def state(self, name: str) -> ProcessState:
        return _state(self._rpc().getProcessInfo(name))

    def gave_up(self, process: Process) -> bool:
        """Whether it will not be started again: it failed too often, was stopped, or nobody supervises."""
        try:
            return self.state(process.name).state not in ("STARTING", "RUNNING", "BACKOFF", "EXITED")
        except (OSError, xmlrpc.client.Error):
            return True

    def states(self) -> list[ProcessState]:
        """All processes, in start order."""
        return [_state(info) for info in sorted(self._rpc().getAllProcessInfo(), key=lambda i: i["pid"])]

    def stop_processes(self, processes: Sequence[Process]) -> None:
        """Stop these, last started first, each with its own time to drain."""
        rpc = self._rpc()
        for process in reversed(processes):
            with contextlib.suppress(xmlrpc.client.Fault):
                rpc.stopProcess(process.name, True)

    def shutdown(self) -> None:
        """Stop whatever still runs, then the supervisor itself; waits until it is gone."""
        pid = self._pid()
        with contextlib.suppress(OSError, xmlrpc.client.Error):
            rpc = self._rpc()
            for info in sorted(rpc.getAllProcessInfo(), key=lambda i: -i["start"]):
                if info["statename"] in ("RUNNING", "STARTING", "BACKOFF"):
                    with contextlib.suppress(xmlrpc.client.Fault):
                        rpc.stopProcess(info["name"], True)
            rpc.shutdown()
        self._await_gone(pid)
        control_socket(self.home).unlink(missing_ok=True)
        if control_socket(self.home).parent != self.home / "supervisor":
            shutil.rmtree(control_socket(self.home).parent, ignore_errors=True)

    def _pid(self) -> int | None:
        if self._daemon is not None:
            return self._daemon.pid
        try:
            return int((self.home / "supervisor" / "supervisord.pid").read_text())
        except (OSError, ValueError):
            return None

    def _await_gone(self, pid: int | None) -> None:
        deadline = time.monotonic() + 60
        while pid is not None and time.monotonic() < deadline:
            if self._daemon is not None:
                if self._daemon.poll() is not None:
                    return
            elif has_ended(pid) and not self.alive():
                return
            time.sleep(0.05)


def has_ended(pid: int) -> bool:
    """Also of one that has ended and was not asked for its exit code yet: its parent may never ask."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return words.rpartition(")")[2].split()[0] == "Z"


def _state(info: dict[str, Any]) -> ProcessState:
    running = info["statename"] == "RUNNING"
    return ProcessState(
        info["name"],
        info["statename"],
        info["pid"],
        info["now"] - info["start"] if running else 0,
        info["stdout_logfile"],
    )


def last_line(run: Run, name: str) -> str:
    """The last line a process wrote, or how it crashed, for an error message."""
    path = run.folder / "logs" / f"{name}.log"
    try:
        lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    crashes = [line for line in lines[-200:] if line.startswith(CRASH)]
    return f"{(crashes or lines or ['it wrote nothing'])[-1].strip()} (log: {path})"
