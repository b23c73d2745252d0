"""The processes of one run as the system shows them: name -> pid, memory. Linux; elsewhere nobody is seen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from kitepilot.run import RUN_FOLDER_VARIABLE, Run

PROC = Path("/proc")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Seen(NamedTuple):
    """`memory_bytes` is resident."""

    pid: int
    memory_bytes: int


def of_run(run: Run, proc: Path = PROC) -> dict[str, Seen]:
    """Every process that was started as `kitepilot run NAME` for this run's folder."""
    folder = f"{RUN_FOLDER_VARIABLE}={run.folder}".encode()
    found = {}
    for entry in proc.glob("[0-9]*"):
        try:
            name = _name(entry)
            if name and folder in (entry / "environ").read_bytes().split(b"\0"):
                pages = int((entry / "statm").read_text().split()[1])
                found[name] = Seen(int(entry.name), pages * PAGE_BYTES)
        except (OSError, IndexError, ValueError):
            continue  # it ended while we looked, or is another user's
    return found


def _name(entry: Path) -> str:
    words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
    for at, word in enumerate(words[:-2]):
        if (word == "kitepilot" or word.endswith("/kitepilot")) and words[at + 1] == "run":
            return words[at + 2]
    return ""
