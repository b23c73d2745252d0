"""A folder of papers and its manifest -> one ZIP. The same papers give the same bytes."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path
from typing import IO, Final

import msgspec

from infra.daily_packs.manifest import MANIFEST, Manifest

EARLIEST: Final = (1980, 1, 1, 0, 0, 0)  # the only time in it: the first that a ZIP can say
READABLE: Final = 0o100644 << 16
UNIX: Final = 3
LEVEL: Final = 6


def bundle(folder: Path, manifest: Manifest, to: Path) -> None:
    """Write `to`, whole or not at all: the manifest first, then its files from `folder` in its order."""
    to.parent.mkdir(parents=True, exist_ok=True)
    fresh = to.with_name(f".{to.name}.new")
    with fresh.open("wb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as zipped:
            with _member(zipped, MANIFEST, 0) as member:
                member.write(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
            for entry in manifest.files:
                with (
                    (folder / entry.name).open("rb") as source,
                    _member(zipped, entry.name, entry.bytes) as m,
                ):
                    shutil.copyfileobj(source, m, 1 << 20)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(to)


def _member(zipped: zipfile.ZipFile, name: str, size: int) -> IO[bytes]:
    info = zipfile.ZipInfo(name, EARLIEST)
    info.create_system, info.external_attr = UNIX, READABLE
    info.compress_type = zipfile.ZIP_DEFLATED
    return zipped.open(info, "w", force_zip64=size >= zipfile.ZIP64_LIMIT // 2)
