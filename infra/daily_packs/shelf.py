"""Which packs there are of a day: `<packs>/<date>/<run>-v<version>.zip`, a failed one says so in its name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from infra.daily_packs.manifest import FAILED

_NAME = re.compile(r"(?P<run>.+)-v(?P<version>[1-9][0-9]*)(?P<failed>-FAILED)?\.zip")


@dataclass(frozen=True)
class Pack:
    """One version of one run's pack, by its name."""

    run_id: str
    version: int
    failed: bool
    path: Path


def path_of(folder: Path, session_date: str, run_id: str, version: int, status: str) -> Path:
    """Where that version of a run's pack belongs."""
    failed = f"-{FAILED}" if status == FAILED else ""
    return folder / session_date / f"{run_id}-v{version}{failed}.zip"


def packs_of(folder: Path, session_date: str, run_id: str = "") -> list[Pack]:
    """The packs of a day (of one run of it), by run and version."""
    found = []
    for path in (folder / session_date).glob("*.zip"):
        named = _NAME.fullmatch(path.name)
        if named and run_id in ("", named["run"]):
            found.append(Pack(named["run"], int(named["version"]), bool(named["failed"]), path))
    return sorted(found, key=lambda pack: (pack.run_id, pack.version))
