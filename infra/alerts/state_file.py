"""What the alerts process remembers: one small file in the run's folder, written whole and durably.

A process that starts again goes on from there. What was told is saved after the target took it, so a crash
in between tells it twice, and never not at all.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from kitepilot.alerts.desk import Desk
from kitepilot.alerts.machine import Seen
from kitepilot.alerts.notices import Heard

FILE = "alerts.json"


class State(msgspec.Struct):
    """`offsets`: next record by topic; `last`: newest number by "topic source"; `saved_at`: machine ns.

    `configured`: the command whose configuration is in force; "": the run's own.
    """

    offsets: dict[str, int]
    last: dict[str, int] = msgspec.field(default_factory=dict)
    desk: Desk = msgspec.field(default_factory=Desk)
    heard: Heard = msgspec.field(default_factory=Heard)
    seen: Seen = msgspec.field(default_factory=Seen)
    saved_at: int = 0
    configured: str = ""


def read(folder: Path) -> State | None:
    """The state of a run by its folder; None where no alerts process ever ran.

    Raises:
        OSError: it cannot be read. msgspec.DecodeError: it is damaged.
    """
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=State)
    except FileNotFoundError:
        return None


def write(folder: Path, state: State, at: int) -> None:
    """Durably, in place of the earlier one. Raises OSError."""
    state.saved_at = at
    path = folder / FILE
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(state))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
