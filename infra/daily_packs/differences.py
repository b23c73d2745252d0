"""Two versions of a day's papers -> which figures and which rows changed."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from infra.daily_packs.manifest import FileEntry, Manifest

FIGURES: Final = "figures.json"
ROWS_NAMED: Final = 200  # of one file; the rest is counted
#: What makes a row the same row in both versions.
KEYS: Final[dict[str, tuple[str, ...]]] = {
    "records/orders.jsonl": ("log_topic", "log_offset"),
    "records/fills.jsonl": ("order_id", "trade_id"),
    "records/foreign_fills.jsonl": ("order_id", "trade_id"),
    "records/intents.jsonl": ("intent_id",),
    "records/signals.jsonl": ("signal_id",),
    "records/verdicts.jsonl": ("verdict_id",),
}


class Figure(msgspec.Struct, frozen=True):
    """A figure that changed; None where one version does not have it. Amounts in paise."""

    name: str
    before: int | float | str | bool | None
    after: int | float | str | bool | None


class RowChange(msgspec.Struct, frozen=True, kw_only=True):
    """A row that is new, gone, or says something else. Both sides whole."""

    key: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class FileChange(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is new, gone or other. `rows`: at most `ROWS_NAMED` of the `changed` ones."""

    name: str
    what: str
    changed: int = 0
    rows: tuple[RowChange, ...] = ()


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What the new version says otherwise than version `since`."""

    since: int
    status_before: str
    figures: tuple[Figure, ...]
    files: tuple[FileChange, ...]


def differences(before: Path, earlier: Manifest, folder: Path, files: Iterable[FileEntry]) -> Changes:
    """What the papers in `folder` say otherwise than the pack `before`, whose manifest is `earlier`."""
    old, new = earlier.content, {each.name: each.sha256 for each in files}
    with zipfile.ZipFile(before) as zipped:
        changed = tuple(
            _file(zipped, folder, name, name in old, name in new)
            for name in sorted(old.keys() | new.keys())
            if old.get(name) != new.get(name)
        )
        told = _figures(zipped.read(FIGURES) if FIGURES in old else b"{}")
    here = folder / FIGURES
    now = _figures(here.read_bytes() if here.exists() else b"{}")
    figures = tuple(
        Figure(name, told.get(name), now.get(name))
        for name in (*now, *(name for name in told if name not in now))
        if told.get(name) != now.get(name)
    )
    return Changes(since=earlier.version, status_before=earlier.status, figures=figures, files=changed)


def _figures(raw: bytes) -> dict[str, Any]:
    return msgspec.json.decode(raw, type=dict[str, Any])


def _file(zipped: zipfile.ZipFile, folder: Path, name: str, was: bool, here: bool) -> FileChange:
    if not (was and here):
        return FileChange(name=name, what="new" if here else "gone")
    if name not in KEYS:
        return FileChange(name=name, what="other")
    changed, rows = _rows(zipped, folder, name)
    return FileChange(name=name, what="other", changed=changed, rows=rows)


def _rows(zipped: zipfile.ZipFile, folder: Path, name: str) -> tuple[int, tuple[RowChange, ...]]:
    """How many rows differ, and the first of them by key. Held are hashes, and the rows that are named."""
    with zipped.open(name) as file:
        old = {_key(name, line): hashlib.sha256(line).digest() for line in file}
    changed = set()
    with (folder / name).open("rb") as file:
        for line in file:
            key = _key(name, line)
            if old.pop(key, None) != hashlib.sha256(line).digest():
                changed.add(key)
    named = sorted(changed | old.keys())[:ROWS_NAMED]
    with zipped.open(name) as file:
        before = _lines(file, name, {*named})
    with (folder / name).open("rb") as file:
        after = _lines(file, name, {*named})
    rows = (RowChange(key=key, before=before.get(key), after=after.get(key)) for key in named)
    return len(changed | old.keys()), tuple(rows)


def _lines(file: IO[bytes], name: str, wanted: set[str]) -> dict[str, dict[str, Any]]:
    return {key: msgspec.json.decode(line) for line in file if (key := _key(name, line)) in wanted}


def _key(name: str, line: bytes) -> str:
    row = msgspec.json.decode(line)
    return " ".join(str(row[column]) for column in KEYS[name])
