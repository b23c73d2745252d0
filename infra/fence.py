"""The fence between the watchdog and everybody else who sends orders, and the words that pass over it: files.

Whoever flattens outside the decisions raises the fence first; while it stands the gateway sends nothing, not
even when it wakes up after minutes. So there is one that trades, never two. Only the owner lowers it, when
the account was seen flat. Files of the run's folder and nothing else: this must work when the log and the
database do not. They are small, and durable before anybody acts on them.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

RAISED = "fence.json"
LOWERED = "fence.lowered.json"
ASKED = "flatten.asked.json"
BEATS = "beats"


class Raised(msgspec.Struct, frozen=True, kw_only=True):
    """A fence that stands: since when (machine clock, ns UTC), why, and in whose name."""

    at: int
    reason: str
    by: str


class Fence:
    """The fence of one run, by its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / RAISED

    def raised(self) -> Raised | None:
        """Who raised it and why; None while it is down. An unreadable one stands all the same."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Raised)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as err:
            return Raised(at=0, reason=f"{self._path} cannot be read: {err}", by="")

    def stands(self) -> bool:
        """The short question, asked before every request."""
        return os.path.lexists(self._path)

    def up(self, raised: Raised) -> Raised:
        """Raise it, durably; returns the one that stands: an earlier one is kept.

        Raises:
            OSError: the folder cannot be written; nothing may be sent then.
        """
        try:
            _create(self._path, msgspec.json.encode(raised))
        except FileExistsError:
            return self.raised() or raised
        return raised

    def down(self) -> bool:
        """Lower it; whether it stood. The last one is kept beside it. Raises OSError."""
        try:
            self._path.replace(self._folder / LOWERED)
        except FileNotFoundError:
            return False
        _settle(self._folder)
        return True

    def beat(self, process: str) -> None:
        """A process says that it does its work: the time of a file, so that a full disk does not silence it.

        Raises:
            OSError: it cannot be said.
        """
        path = self._folder / BEATS / process
        try:
            os.utime(path)
        except FileNotFoundError:
            path.parent.mkdir(exist_ok=True)
            path.touch()

    def last_beat(self, process: str) -> int | None:
        """When a process said so last (machine clock, ns); None: never in this run."""
        try:
            return (self._folder / BEATS / process).stat().st_mtime_ns
        except OSError:
            return None


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody asks the watchdog to flatten now. `command_id` names the asking, `at` is machine ns."""

    command_id: str
    by: str
    reason: str
    at: int


def ask(folder: Path, wish: Wish) -> bool:
    """Leave a wish for this run's watchdog, durably; False when one waits already. Raises OSError."""
    try:
        _create(folder / ASKED, msgspec.json.encode(wish))
    except FileExistsError:
        return False
    return True


def asked(folder: Path) -> Wish | None:
    """The wish that waits. One that cannot be read is a wish as well: somebody wanted to be flat."""
    path = folder / ASKED
    try:
        return msgspec.json.decode(path.read_bytes(), type=Wish)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as err:
        return Wish(command_id="", by="", reason=f"{path} cannot be read: {err}", at=0)


def granted(folder: Path) -> None:
    """The fence stands, so the wish need not wait any longer."""
    (folder / ASKED).unlink(missing_ok=True)


def _create(path: Path, content: bytes) -> None:
    """Write beside and link into place: the name never stands for half a file. Raises FileExistsError."""
    fresh = path.with_suffix(f".{os.getpid()}.new")
    try:
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    _settle(path.parent)


def _settle(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
