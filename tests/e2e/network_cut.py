"""A network of its own for a command, and cuts in it: policy routes that swallow a port's packets.

    alone(words)                 words that run `words` in an empty network namespace with a loopback
    with cut((5000,), "both"):   inside: nothing passes to or from TCP port 5000; sockets are not told

A packet that is swallowed is lost as on a dead line: connections stay open, their senders try again. With
"answers" only what the server says is lost: requests arrive, the replies do not. Needs root and iproute2
(`ip rule ... ipproto tcp dport`, Linux 4.17, ip-rule(8), read 2026-11-21).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

INSIDE = "KITEPILOT_CHAOS_NETWORK"
_BESIDES_LOCAL = ("ip", "rule", "add", "pref", "100", "lookup", "local")
_LOCAL_FIRST = ("ip", "rule", "del", "pref", "0")


def why_not() -> str:
    """Why no network can be cut here; empty when it can."""
    if os.geteuid() != 0:
        return "only root can make a network of its own to cut"
    if missing := [name for name in ("ip", "unshare") if shutil.which(name) is None]:
        return f"{' and '.join(missing)} not found (Debian: apt-get install iproute2 util-linux)"
    script = "ip link set lo up && ip rule add pref 9 ipproto tcp dport 9 blackhole"
    done = subprocess.run(["unshare", "-n", "sh", "-c", script], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"no network namespace here: {done.stderr.strip()[:120]}"


def inside() -> bool:
    """Does this process run in a network that `alone` made?"""
    return os.environ.get(INSIDE) == "1"


def alone(words: Sequence[str]) -> list[str]:
    """`words` in a network namespace of their own. The kernel's local routes move behind the cuts."""
    first = " && ".join(" ".join(each) for each in (("ip", "link", "set", "lo", "up"), _BESIDES_LOCAL))
    script = f'{first} && {" ".join(_LOCAL_FIRST)} && export {INSIDE}=1 && exec "$@"'
    return ["unshare", "-n", "sh", "-c", script, "sh", *words]


@contextmanager
def cut(ports: Sequence[int], way: str = "both") -> Iterator[None]:
    """Within the block no TCP packet to (way "both") or from (also "answers") these ports arrives."""
    assert inside(), "would cut the machine's own network"
    sides = ("sport",) if way == "answers" else ("dport", "sport")
    rules = [
        (str(10 + n), side, str(port)) for n, (port, side) in enumerate((p, s) for p in ports for s in sides)
    ]
    for pref, side, port in rules:
        _rule("add", "pref", pref, "ipproto", "tcp", side, port, "blackhole")
    try:
        yield
    finally:
        for pref, _, _ in rules:
            _rule("del", "pref", pref)


def _rule(*words: str) -> None:
    subprocess.run(["ip", "rule", *words], check=True, stdout=sys.stderr)
