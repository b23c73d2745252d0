"""The server process, shut into its own folders by the kernel (Landlock).

The engine's roles deny `file()`, `url()` and `remote()` as table functions, but the embedded engine counts
itself a local tool: its scalar function `file(path)` asks for no right at all, and a dictionary may run a
command. So the process gives the rights up itself before the engine starts: afterwards nothing in it can
open a file outside the granted folders, execute a program, or connect to anything, whatever the SQL says.

Source: the kernel's userspace-api/landlock (read 2026-11); system call numbers are the same on every
architecture. The rights are lost for this thread and every thread started from it, for good.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

log = logging.getLogger(__name__)

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _PATH_BENEATH, _NO_NEW_PRIVILEGES = 1, 1, 38
#: The first version that lets a folder's files be renamed, linked and truncated where granted.
_OLDEST_ABI = 3
_CONNECTING_ABI = 4

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_FILE = 1 << 8
_EVERYTHING = (1 << 15) - 1  # what version 3 knows
_CONNECT_TCP = 1 << 1
READ = _READ_FILE | _READ_DIR
#: A new file may be made and written, none read: how the process says it is ready.
ANNOUNCE = _MAKE_FILE | _WRITE_FILE
OWN = _EVERYTHING & ~_EXECUTE
#: Shared libraries, and what the engine asks about the machine (never the environment: it holds passwords).
_SYSTEM = """
    /usr/lib /usr/local/lib /lib /lib64 /etc/ld.so.cache /dev/urandom /dev/null /sys/fs/cgroup
    /sys/devices/system /proc/meminfo /proc/stat /proc/cpuinfo /proc/loadavg /proc/uptime
    /proc/self/auxv /proc/self/maps /proc/self/statm /proc/self/stat /proc/self/status /proc/self/cgroup
    /proc/self/mountinfo
""".split()  # noqa: SIM905 - a table of paths


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_fs", ctypes.c_uint64), ("handled_net", ctypes.c_uint64))


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def confine(own: Iterable[Path], read: Iterable[Path], announce: Path) -> bool:
    """Give up everything but `own` (read, write), `read`, new files in `announce`, and Python's own code.

    Call it before any thread is started. Returns whether it holds: False, with a line in the log, where the
    kernel has no Landlock (before 6.2, or not Linux); the roles and the statement check remain.

    Raises:
        OSError: the kernel has it and refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    abi = _version(libc)
    if abi < _OLDEST_ABI:
        log.warning("this kernel cannot confine the process (Landlock %d): roles alone guard the files", abi)
        return False
    rights = dict.fromkeys(own, OWN) | dict.fromkeys([*read, *_code()], READ) | {announce: ANNOUNCE}
    ruleset = _Ruleset(_EVERYTHING, _CONNECT_TCP if abi >= _CONNECTING_ABI else 0)
    size = ctypes.sizeof(ruleset) if abi >= _CONNECTING_ABI else 8
    rules = _checked(libc.syscall(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size), 0))
    try:
        for path, allowed in rights.items():
            _grant(libc, rules, path, allowed)
        _checked(libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
        _checked(libc.syscall(_RESTRICT_SELF, rules, 0))
    finally:
        os.close(rules)
    return True


def _code() -> set[Path]:
    """Where modules and shared libraries that are loaded from here on lie."""
    here = Path(__file__).resolve()
    ours = {here.parents[1], here.parents[2] / "kitepilot"}
    standard = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return ours | standard | {Path(sys.prefix, "lib")} | set(map(Path, _SYSTEM))


def _version(libc: ctypes.CDLL) -> int:
    """The kernel's Landlock version; 0 where there is none."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(int(libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)), 0)


def _grant(libc: ctypes.CDLL, rules: int, path: Path, allowed: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # nothing there to be read
    try:
        if not path.is_dir():
            allowed &= _READ_FILE | _WRITE_FILE
        rule = _PathRule(allowed, parent)
        _checked(libc.syscall(_ADD_RULE, rules, _PATH_BENEATH, ctypes.byref(rule), 0))
    finally:
        os.close(parent)


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Landlock: {os.strerror(code)}")
    return result
