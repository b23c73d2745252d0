"""Which code this is: the version for people, and a hash of the sources that decide for comparisons."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from kitepilot import __version__

_ROOT = Path(__file__).parents[2]
_DECIDING = ("kitepilot", "flows")
_LOOKING_ON = ("kitepilot/cli", "flows/replay")
CODE_FILE = "code.json"


def code_hash() -> str:
    """First 16 hex digits of the SHA-256 over the modules that decide (core and flows), by path."""
    digest = hashlib.sha256()
    for path in sorted(each for package in _DECIDING for each in (_ROOT / package).rglob("*.py")):
        name = path.relative_to(_ROOT).as_posix()
        if not name.startswith(_LOOKING_ON):
            digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def write_code(folder: Path) -> None:
    """Note in a run's folder which code began it."""
    (folder / CODE_FILE).write_text(json.dumps({"version": __version__, "hash": code_hash()}))


def code_of(folder: Path) -> tuple[str, str]:
    """(version, hash) of the code that began the run in `folder`; empty where nobody noted it."""
    try:
        noted = json.loads((folder / CODE_FILE).read_text())
    except (OSError, ValueError):
        return "", ""
    return str(noted.get("version", "")), str(noted.get("hash", ""))
