"""What the sandbox was asked and how far it had played -> one append-only file -> the same, after a restart.

One line per entry: CRC-32 in hexadecimal, a space, JSON. The exchange is a function of its feed and of these
entries, so nothing else has to be kept. A line that a crash cut off was never answered and is dropped.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from broker_adapter.sandbox.orders import ON_TIME, Handling
from kitepilot.config import ConfigError


class Begun(msgspec.Struct, frozen=True, tag="begun"):
    """First entry: everything that the same requests' outcome depends on."""

    terms: dict[str, str]


class Played(msgspec.Struct, frozen=True, tag="played"):
    """The market is played up to `until` (session ns UTC); how the clock stood, how much had come of it.

    `acked`: somebody acknowledges the session, so that its clock waits for him.
    """

    until: int
    state: str
    speed: str
    orders: int
    trades: int
    ticks_sent: int = 0
    acked: bool = False


class PlaceAsked(msgspec.Struct, frozen=True, tag="place"):
    """A placement at `at`, with the market played up to `played` (session ns); it became `order_id`."""

    played: int
    at: int
    variety: str
    form: dict[str, str]
    handling: Handling = ON_TIME
    order_id: str = ""


class ModifyAsked(msgspec.Struct, frozen=True, tag="modify"):
    """A change, as its form."""

    played: int
    at: int
    order_id: str
    form: dict[str, str]


class CancelAsked(msgspec.Struct, frozen=True, tag="cancel"):
    """A cancellation."""

    played: int
    at: int
    order_id: str


class Kept(msgspec.Struct, frozen=True, tag="kept"):
    """A value that somebody else in the sandbox wants back after a restart; the last of a key counts."""

    key: str
    value: bytes


Asked = PlaceAsked | ModifyAsked | CancelAsked
Entry = Begun | Played | PlaceAsked | ModifyAsked | CancelAsked | Kept

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Entry).decode


class InputLog:
    """The file while it is being written. `entries` is what it held when it was opened.

    Raises:
        ConfigError: another sandbox has it open, it was begun with other terms, it is damaged before its last
            line, or the folder cannot be written; the text says what to do.
    """

    def __init__(self, path: Path, terms: Mapping[str, str], *, fsync: bool = True) -> None:
        self.path = path
        self._fsync = fsync
        self._written = self._synced = 0
        self._one_sync = asyncio.Lock()
        self._pool = ThreadPoolExecutor(1, "input-log")
        self._failed: OSError | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as err:
            raise ConfigError(f"the sandbox cannot keep its book in {path}: {err.strerror}") from err
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            os.close(self._file)
            raise ConfigError(f"{path} is in use: another sandbox runs on it; stop it first") from err
        try:
            raw = path.read_bytes()
            self.entries, sound = _read(raw, path)
            if sound < len(raw):
                os.ftruncate(self._file, sound)
            self._begin(dict(terms))
        except ConfigError:
            self.close()
            raise

    @property
    def asked(self) -> list[Asked]:
        """Requests, in the order in which they were taken."""
        return [entry for entry in self.entries if isinstance(entry, PlaceAsked | ModifyAsked | CancelAsked)]

    @property
    def played(self) -> Played | None:
        """How far the session had come; None at its beginning."""
        return next((entry for entry in reversed(self.entries) if isinstance(entry, Played)), None)

    def kept(self, key: str) -> bytes | None:
        """The last value of a key, as it was when the file was opened."""
        values = (e.value for e in reversed(self.entries) if isinstance(e, Kept) and e.key == key)
        return next(values, None)

    def keep(self, key: str, value: bytes) -> None:
        """Have a value back after a restart. Raises OSError as `append`."""
        self.append(Kept(key, value))

    def append(self, entry: Entry) -> None:
        """Survives the death of this process from here on, and that of the machine after `settled`.

        Raises:
            OSError: it could not be written; from then on nothing more is taken.
        """
        if self._failed:
            raise self._failed
        line = _line(entry)
        try:
            if os.write(self._file, line) != len(line):
                raise OSError(f"{self.path}: the disk took part of a line only")
        except OSError as err:
            self._failed = err
            raise
        self._written += 1

    async def settled(self) -> None:
        """Until everything appended so far is on the disk; one flush serves all who wait for it."""
        wanted = self._written
        async with self._one_sync:
            if not self._fsync or self._synced >= wanted:
                return
            upto = self._written
            await asyncio.get_running_loop().run_in_executor(self._pool, os.fsync, self._file)
            self._synced = upto

    def close(self) -> None:
        self._pool.shutdown()
        os.close(self._file)

    def _begin(self, terms: dict[str, str]) -> None:
        if not self.entries:
            self.append(Begun(terms))
            return
        first = self.entries[0]
        then = first.terms if isinstance(first, Begun) else {}
        other = [name for name in {*terms, *then} if terms.get(name) != then.get(name)]
        if other:
            name = min(other)
            raise ConfigError(
                f"{self.path} was begun with another {name} ({then.get(name)}, now {terms.get(name)}): "
                "start the sandbox as then, or give it another folder"
            )


def _line(entry: Entry) -> bytes:
    body = _encode(entry)
    return b"%08x %b\n" % (zlib.crc32(body), body)


def _read(raw: bytes, path: Path) -> tuple[list[Entry], int]:
    """(entries, bytes they take). Raises ConfigError for damage that no crash explains."""
    entries: list[Entry] = []
    sound = 0
    for number, line in enumerate(_lines(raw), 1):
        try:
            if int(line[:8], 16) != zlib.crc32(line[9:-1]) or not line.endswith(b"\n"):
                raise ValueError("checksum")
            entries.append(_decode(line[9:-1]))
        except ValueError as err:  # msgspec's errors are ValueErrors
            if sound + len(line) < len(raw):
                raise ConfigError(
                    f"{path}, line {number} is damaged ({err}): the session cannot be resumed; "
                    "move the file away to begin it again"
                ) from err
            break
        sound += len(line)
    return entries, sound


def _lines(raw: bytes) -> Iterator[Any]:
    return iter(raw.splitlines(keepends=True))
