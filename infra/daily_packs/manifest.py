"""What a pack says about itself: its day, whether all is well, and the SHA-256 of every file in it."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Final

import msgspec

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
COMPLETE: Final = "complete"
FAILED: Final = "FAILED"
BLOCK: Final = 1 << 20
DETAILS: Final = "details.json"
#: Made from the other files, or the words of other programs: other bytes of these alone say nothing new.
PRESENTED: Final = ("report.html", "report.pdf", "compliance.html", "changes.json", DETAILS)


class PackError(ValueError):
    """A pack cannot be read or written; says which, and why."""


class FileEntry(msgspec.Struct, frozen=True):
    """One file of the pack: its size in bytes and its SHA-256 (hex)."""

    name: str
    bytes: int
    sha256: str


class AuditRoot(msgspec.Struct, frozen=True, kw_only=True):
    """The newest seal of the run: what `kitepilot verify-audit --file` compares records/audit.jsonl with.

    `root` is the hash (hex) of the last record it covers, `fingerprint` that of the seal itself.
    """

    seal: int
    first_seq: int
    last_seq: int
    root: str
    fingerprint: str
    public_key: str


class MadeBy(msgspec.Struct, frozen=True):
    """Version and code of the KitePilot that made the pack."""

    version: str
    code: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`why` says, a sentence each, what makes a pack FAILED. `files` are in order of their names."""

    format: int
    run_id: str
    session_date: str
    mode: str
    config_hash: str
    version: int
    status: str
    why: tuple[str, ...]
    audit: AuditRoot | None
    made_by: MadeBy
    files: tuple[FileEntry, ...]

    @property
    def content(self) -> dict[str, str]:
        """Name -> SHA-256 of what the pack says, however it is presented."""
        return {each.name: each.sha256 for each in self.files if each.name not in PRESENTED}


def entries(folder: Path) -> tuple[FileEntry, ...]:
    """Every file below `folder`, in order of their names."""
    found = []
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        if path.is_file():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found.append(FileEntry(path.relative_to(folder).as_posix(), path.stat().st_size, digest))
    return tuple(found)


def read_manifest(pack: Path) -> Manifest:
    """Raises `PackError`: not a pack, or of a newer format."""
    try:
        with zipfile.ZipFile(pack) as zipped:
            manifest = msgspec.json.decode(zipped.read(MANIFEST), type=Manifest)
    except (OSError, zipfile.BadZipFile, KeyError, msgspec.MsgspecError) as err:
        raise PackError(f"{pack} is not a daily pack: {err}") from err
    if manifest.format != FORMAT:
        raise PackError(f"{pack} has format {manifest.format}, this version reads {FORMAT}")
    return manifest
