"""Free loopback ports for the servers that tests and benchmarks start.

A port asked of the system with `bind(0)` comes from the range that it also gives to every outgoing
connection: until the server of a test binds it (or binds it again after being killed), a client elsewhere
may have taken it. So ports here lie below that range, and a block of them belongs to this process until it
ends, by a lock that the system drops with it: tests that run side by side never meet.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import IO

LOWEST, BLOCK = 20_000, 100
CLIENT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOCKS = Path(tempfile.gettempdir()) / "kitepilot-ports"

_held: list[IO[bytes]] = []
_unused: list[int] = []


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on and that nobody is given until this process ends."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """`count` such ports in a row: each server here takes its own and, some of them, the next ones too.

    Raises `RuntimeError` when every block is taken.
    """
    while True:
        if len(_unused) < count:
            _unused[:] = sorted(_claim_block())
        ports, _unused[:count] = _unused[:count], []
        if all(after == before + 1 for before, after in pairwise(ports)) and all(map(_is_free, ports)):
            return ports


def _claim_block() -> range:
    LOCKS.mkdir(exist_ok=True)
    highest = int(CLIENT_RANGE.read_text().split()[0]) if CLIENT_RANGE.exists() else 32_768
    starts = list(range(LOWEST, highest - BLOCK, BLOCK))
    random.SystemRandom().shuffle(starts)
    for start in starts:
        lock = (LOCKS / f"{start}").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        _held.append(lock)
        return range(start, start + BLOCK)
    raise RuntimeError(f"every block of ports of {LOCKS} is taken by a process that runs")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _forget() -> None:
    """A forked child shares its parent's locks but not its turn: it claims a block of its own."""
    _unused.clear()


os.register_at_fork(after_in_child=_forget)
