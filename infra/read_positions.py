"""How far each process of a run has read the log: one small file each in the run's folder, for the metrics.

Nobody goes on from here: a flow's recovery, the journal and the archive hold what counts. So it is not
durable, and a disk that is full stops nothing. In containers the folder is the one thing all processes see.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec

from kitepilot.ports import TopicPartition
from kitepilot.run import Run

FOLDER = "positions"
EVERY_S = 1.0


class Positions:
    """Of one reader. `note` may be called as often as one likes: a write a second, and only of what moved."""

    def __init__(self, run: Run, consumer: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = run.folder / FOLDER / f"{consumer}.json"
        self._clock = clock
        self._due_at = float("-inf")
        self._noted: dict[str, int] | None = None

    def note(self, positions: Mapping[TopicPartition, int]) -> None:
        """The next offset by topic (each has one partition)."""
        if self._clock() < self._due_at:
            return
        self._due_at = self._clock() + EVERY_S
        found = {topic: offset for (topic, _), offset in positions.items()}
        if found == self._noted:
            return
        with suppress(OSError):
            self._path.parent.mkdir(exist_ok=True)
            fresh = self._path.with_suffix(".new")
            fresh.write_bytes(msgspec.json.encode(found))
            fresh.replace(self._path)
            self._noted = found


def read(run: Run) -> dict[str, dict[str, int]]:
    """Consumer -> topic -> next offset, of all that have ever read in this run."""
    found = {}
    for path in sorted((run.folder / FOLDER).glob("*.json")):
        with suppress(OSError, msgspec.DecodeError):
            found[path.stem] = msgspec.json.decode(path.read_bytes(), type=dict[str, int])
    return found
