"""What the server's process can still reach once it has shut itself in: whatever SQL may come through."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from clickhouse_process import SERVE, new_run, start, unmeasured
from loopback_ports import free_port

from infra.clickhouse.client import connect

ATTEMPTS = """
import json, pathlib, socket, subprocess, sys
sys.path[:0] = {path!r}
from infra.clickhouse.confinement import confine
home, port = pathlib.Path({home!r}), {port}
held = confine([home / "data"], [home / "config.xml"], home / "ready")

def works(attempt):
    try:
        attempt()
        return True
    except OSError:
        return False

import threading, zoneinfo, tomllib, xml.sax  # code that is loaded late still loads
outcome = {{}}
def attempts():
    outcome.update(
        own_write=works(lambda: (home / "data" / "a").write_text("x")),
        own_move=works(lambda: (home / "data" / "a").rename(home / "data" / "deep" / "b")),
        config=works((home / "config.xml").read_text),
        ready=works((home / "ready" / "up").touch),
        ready_read=works(lambda: list((home / "ready").iterdir())),
        secret=works((home / "credentials.json").read_text),
        outside=works(pathlib.Path("/etc/hostname").read_text),
        environment=works(pathlib.Path("/proc/self/environ").read_text),
        write_outside=works((home / "elsewhere").touch),
        program=works(lambda: subprocess.run(["/bin/true"])),
        connection=works(lambda: socket.create_connection(("127.0.0.1", port), 5)),
    )
thread = threading.Thread(target=attempts)
thread.start(); thread.join()
print(json.dumps([held, outcome]))
"""
MAY = {"own_write", "own_move", "config", "ready"}


def test_a_confined_process_reaches_its_own_folders_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "ready").mkdir()
    for name in ("config.xml", "credentials.json"):
        (tmp_path / name).write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        code = ATTEMPTS.format(path=sys.path, home=str(tmp_path), port=listening.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
        )
    held, outcome = json.loads(done.stdout)
    if not held:
        pytest.skip("this kernel has no Landlock")
    assert {what for what, worked in outcome.items() if worked} == MAY


#: The engine asks /proc/self/auxv what the kernel offers it. Denied, it reads on past the end of the
#: environment, which lies elsewhere as soon as a variable was set: here before an address that is none.
MOVED_ENVIRONMENT = """
import ctypes, pathlib, sys
sys.path[:0] = {path!r}
from infra.clickhouse import accounts, server
from infra.clickhouse.engine import Engine, library
folder = pathlib.Path({home!r}) / "clickhouse"
folder.mkdir()
accounts.credentials(folder)
config = accounts.write_engine_files(folder, "kitepilot")
server.shut_in(folder, folder / "ready")
VDSO_ADDRESS = 33
environ = ctypes.POINTER(ctypes.c_void_p).in_dll(ctypes.CDLL(None), "environ")
count = next(n for n in range(10_000) if environ[n] is None)
moved = (ctypes.c_void_p * (count + 5))(*environ[:count], None, VDSO_ADDRESS, 0x200000000, None, None)
ctypes.c_void_p.in_dll(ctypes.CDLL(None), "environ").value = ctypes.addressof(moved)
engine = Engine(library(), folder / "data", config)
engine.close()
"""


def test_the_engine_starts_confined_wherever_the_environment_lies(tmp_path: Path) -> None:
    code = MOVED_ENVIRONMENT.format(path=sys.path, home=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=unmeasured(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.stack
def test_the_engine_itself_cannot_open_what_lies_outside_even_if_no_statement_is_checked(
    tmp_path: Path,
) -> None:
    unchecked = SERVE.replace(
        "raise SystemExit",
        "import infra.clickhouse.statements as s, infra.clickhouse.requests as r; "
        "s.OUTWARD = r.OUTWARD = frozenset(); raise SystemExit",
    )
    run = new_run(tmp_path, f"http://127.0.0.1:{free_port()}")
    server = start(run, unchecked, "clickhouse")
    try:
        with connect(run, "owner", database="default") as owner:
            if not _confined(server.pid):
                pytest.skip("this kernel has no Landlock")
            for path in ("/etc/hostname", "/proc/self/environ", tmp_path / "clickhouse" / "credentials.json"):
                with pytest.raises(Exception, match="Permission denied"):
                    owner.query(f"SELECT file('{path}')")
    finally:
        server.terminate()
        assert server.wait(20) == 0


def _confined(pid: int) -> bool:
    return "NoNewPrivs:\t1" in Path(f"/proc/{pid}/status").read_text()
