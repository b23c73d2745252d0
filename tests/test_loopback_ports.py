"""A server of a test finds its port free, also the second time, whoever else runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from loopback_ports import CLIENT_RANGE, free_ports

ASKING = "import loopback_ports as p; print(*(port for _ in range(60) for port in p.free_ports(3))); input()"


def test_processes_side_by_side_are_never_given_the_same_port_nor_one_that_clients_get() -> None:
    others = [
        subprocess.Popen(
            [sys.executable, "-c", ASKING],
            cwd=Path(__file__).parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    given = [port for _ in range(20) for port in free_ports(3)]
    for other in others:
        assert other.stdout is not None
        given += map(int, other.stdout.readline().split())
    for other in others:
        other.communicate("\n", timeout=60)
    assert len(given) == 60 + 3 * 180
    assert len(set(given)) == len(given)
    if CLIENT_RANGE.exists():
        assert max(given) < int(CLIENT_RANGE.read_text().split()[0])


def test_ports_asked_for_together_are_neighbours() -> None:
    first, second, third = free_ports(3)
    assert (second, third) == (first + 1, first + 2)
