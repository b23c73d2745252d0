"""What a dataset says of itself: `manifest.json` beside its sessions, and the errors about datasets."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Literal

import msgspec

FILE = "manifest.json"
FOLDER = "datasets"
VERSION = 1
SHORT = 12  # characters of a hash that a person reads
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

Basis = Literal["unknown", "raw", "adjusted"]


class DatasetError(ValueError):
    """A dataset that cannot be read or made: names what, where, and what to do."""


class SourceFile(msgspec.Struct, frozen=True):
    """One file the rows came from."""

    path: str
    sha256: str
    bytes: int
    rows: int
    read_as: str  # shape, zone and labels in words


class SessionEntry(msgspec.Struct, frozen=True):
    """One session's rows: how many, of how many symbols, and their hash."""

    session: date
    rows: int
    symbols: int
    sha256: str


class CheckSummary(msgspec.Struct, frozen=True):
    """What one check found: `count` rows or minutes at `places` (a symbol in a session), the worst first."""

    check: str
    severity: Literal["note", "warning", "refused"]
    count: int
    places: int
    lines: list[str]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`manifest.json`. The rows decide `sha256`; where they came from does not.

    `basis`: prices as they were traded (`raw`), back-adjusted on the date `basis_as_of` (`adjusted`), or not
    stated. `tokens`: symbol -> the token that names it for the core; symbols with one token are one
    instrument under several names.
    """

    version: int = VERSION
    name: str
    sha256: str
    interval: str
    rows: int
    refused: int
    first: date
    last: date
    tokens: dict[str, int]
    sessions: list[SessionEntry]
    sources: list[SourceFile]
    mapping: dict[str, str]
    basis: Basis
    basis_as_of: date | None
    checks: list[CheckSummary]
    created_by: str

    @property
    def title(self) -> str:
        """The name with the rows' hash: what results cite."""
        return f"{self.name}@{self.sha256[:SHORT]}"


def folder_of(home: Path, name: str) -> Path:
    """Where a dataset lies. Raises `DatasetError` for a name that is none."""
    if not NAME.fullmatch(name):
        raise DatasetError(f"{name!r} cannot name a dataset: small letters, digits, '.', '_' and '-' can")
    return home / FOLDER / name


def names_in(home: Path) -> list[str]:
    """The datasets of a home, by name."""
    return sorted(path.parent.name for path in (home / FOLDER).glob(f"[a-z0-9]*/{FILE}"))


def read_manifest(folder: Path) -> Manifest:
    """Raises `DatasetError`: no dataset there (those that are get named), damaged, or of a later version."""
    path = folder / FILE
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        known = names_in(folder.parent.parent) if folder.parent.name == FOLDER else []
        there = f"there are: {', '.join(known)}" if known else "none is there yet: `kitepilot import --help`"
        raise DatasetError(f"no dataset {folder.name!r} in {folder.parent}; {there}") from None
    except (OSError, msgspec.MsgspecError) as err:
        raise DatasetError(f"{path} is damaged ({err}): import the dataset again") from err
    if found.version != VERSION:
        raise DatasetError(f"{path} is of version {found.version}, this reads {VERSION}: import again")
    return found


def write_manifest(folder: Path, manifest: Manifest) -> Path:
    """Whole or not at all; the same manifest gives the same bytes."""
    path = folder / FILE
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
    fresh.replace(path)
    return path


def restated(folder: Path, basis: Basis, as_of: date | None) -> Manifest:
    """Write what its prices are; the rows, and so the hash, stay."""
    manifest = msgspec.structs.replace(read_manifest(folder), basis=basis, basis_as_of=as_of)
    write_manifest(folder, manifest)
    return manifest


def remove_dataset(folder: Path) -> None:
    """Remove a dataset: out of sight in one step, then from the disk. Raises `DatasetError`: none there."""
    read_manifest(folder)
    gone = folder.with_name(f".old-{folder.name}")
    shutil.rmtree(gone, ignore_errors=True)
    folder.rename(gone)
    shutil.rmtree(gone)


def hash_of(sessions: Iterable[SessionEntry]) -> str:
    """The hash of all rows, from those of the sessions in order."""
    digest = hashlib.sha256()
    for each in sessions:
        digest.update(f"{each.session} {each.sha256}\n".encode())
    return digest.hexdigest()
