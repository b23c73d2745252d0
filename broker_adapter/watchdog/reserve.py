"""Room for the last words on a full disk: a file that is given up when something must be written."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

FILE = "watchdog.reserve"
BYTES = 1 << 20
T = TypeVar("T")


class Reserve:
    """A mebibyte of the disk, kept from the start of the run. Where it cannot be had, there is none."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        try:
            if not self._path.exists():
                with self._path.open("wb") as file:
                    file.write(b"\0" * BYTES)
                    file.flush()
                    os.fsync(file.fileno())
        except OSError:
            self._path.unlink(missing_ok=True)

    def write(self, work: Callable[[], T]) -> T:
        """Do `work`; on a full disk give up the reserve and do it once more. Raises OSError."""
        try:
            return work()
        except OSError as err:
            if err.errno not in (errno.ENOSPC, errno.EDQUOT) or not self._path.exists():
                raise
        self._path.unlink(missing_ok=True)
        return work()
