"""Labelled rows on disk, session by session: what years of training read in pieces.

    keep_rows(folder, examples by session) -> RowStore.at(folder).rows(sessions) -> RowSet

Features lie as float32 (a model's card states it, and live rows are rounded the same way), one memory-mapped
file a session, so reading costs the session at hand. What a row needs besides its features is 44 bytes, and
those of the chosen rows are held in memory.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from kitepilot.models.port import ModelError
from research.examples import Examples

Singles = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Records = npt.NDArray[np.void]

EPOCH = date(1970, 1, 1)
FACTS = np.dtype(
    [
        *(("decided_at", "<i8"), ("matured_at", "<i8"), ("token", "<i8"), ("y", "<f4")),
        *(("outcome_bps", "<f8"), ("weight", "<f8")),
    ]
)
MANIFEST = "manifest.json"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a store holds; `known` features have a value in some row, `digest` is of every row's bytes."""

    features: tuple[str, ...]
    known: tuple[str, ...]
    label: str
    sessions: tuple[str, ...]
    rows: tuple[int, ...]
    digest: str


def keep_rows(folder: Path, examples: Iterable[Examples]) -> RowStore:
    """Write examples, one or more whole sessions at a time in order of date; the store is there at the end.

    Raises:
        ModelError: no row at all, sessions that come again or out of order, features that change, or an
            infinite value.
    """
    draft = folder.with_name(folder.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    digest = hashlib.sha256()
    counts: dict[str, int] = {}
    known: set[int] = set()
    like: Examples | None = None
    for given in examples:
        like = like or given
        if given.features != like.features or given.label != like.label:
            raise ModelError("the rows' features or label change between sessions")
        for day in np.unique(given.session):
            session = (EPOCH + timedelta(days=int(day))).isoformat()
            if counts and session <= max(counts):
                raise ModelError(f"rows of {session} come after those of {max(counts)}")
            rows = given.take(given.session == day)
            counts[session] = _keep(draft, session, rows, digest)
            known |= set(np.flatnonzero(~np.isnan(rows.x).all(axis=0)).tolist())
    if like is None or not counts:
        raise ModelError("there is not one labelled row: no session has a full label horizon with features")
    told = Manifest(
        features=like.features,
        known=tuple(name for place, name in enumerate(like.features) if place in known),
        label=like.label,
        sessions=tuple(counts),
        rows=tuple(counts.values()),
        digest=digest.hexdigest(),
    )
    (draft / MANIFEST).write_bytes(msgspec.json.encode(told))
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
    return RowStore(folder, told)


def _keep(folder: Path, session: str, rows: Examples, digest: hashlib._Hash) -> int:
    x = np.ascontiguousarray(rows.x, dtype=np.float32)
    endless = np.flatnonzero(np.isinf(x).any(axis=0))
    if endless.size:
        raise ModelError(f"{session}: the feature {rows.features[endless[0]]} is infinite in some rows")
    facts = np.zeros(len(rows), FACTS)
    for name in FACTS.names or ():
        facts[name] = getattr(rows, name)
    for name, column in (("x", x), ("facts", facts)):
        np.save(folder / f"{session}.{name}.npy", column)
        digest.update(column.tobytes())
    return len(rows)


@dataclass(frozen=True)
class RowStore:
    """A folder that `keep_rows` finished."""

    folder: Path
    manifest: Manifest

    @staticmethod
    def at(folder: Path) -> RowStore | None:
        """The finished store in `folder`, if there is one."""
        path = folder / MANIFEST
        if not path.exists():
            return None
        try:
            return RowStore(folder, msgspec.json.decode(path.read_bytes(), type=Manifest))
        except msgspec.DecodeError:
            return None

    @property
    def sessions(self) -> tuple[date, ...]:
        return tuple(date.fromisoformat(each) for each in self.manifest.sessions)

    def facts(self, session: date) -> Records:
        """Records of `FACTS`, one per row."""
        found: Records = np.load(self.folder / f"{session}.facts.npy")
        return found

    def x(self, session: date) -> Singles:
        """float32[r, F], memory-mapped."""
        found: Singles = np.load(self.folder / f"{session}.x.npy", mmap_mode="r")
        return found

    def rows(self, sessions: Sequence[date]) -> RowSet:
        """All rows of these sessions."""
        return RowSet(self, tuple(Part(each, self.facts(each), None) for each in sessions))


@dataclass(frozen=True, eq=False)
class Part:
    """Chosen rows of one session: `facts` of those rows, `rows` their places (None: all of them)."""

    session: date
    facts: Records
    rows: Ints | None


@dataclass(frozen=True, eq=False)
class RowSet:
    """Chosen rows of a store in order; features are read part by part, everything else is in memory."""

    store: RowStore
    parts: tuple[Part, ...]

    def __len__(self) -> int:
        return sum(len(part.facts) for part in self.parts)

    def column(self, name: str) -> npt.NDArray[np.generic]:
        """One column of `FACTS` over all rows."""
        return np.concatenate([np.zeros(0, FACTS)[name], *(part.facts[name] for part in self.parts)])

    def floats(self, name: str) -> Floats:
        return self.column(name).astype(np.float64)

    def ints(self, name: str) -> Ints:
        return self.column(name).astype(np.int64)

    def chunks(self, columns: Ints | None = None) -> Iterator[Singles]:
        """float32[r, F] of one part after the other."""
        for part in self.parts:
            yield features_of_part(self.store, part, columns)

    def where(self, keep: npt.NDArray[np.bool_]) -> RowSet:
        """The rows that `keep` (bool over all of them) leaves; parts without a row are left out."""
        parts, at = [], 0
        for part in self.parts:
            mine = np.flatnonzero(keep[at : at + len(part.facts)])
            at += len(part.facts)
            places = mine if part.rows is None else part.rows[mine]
            if mine.size:
                parts.append(Part(part.session, part.facts[mine], places))
        return RowSet(self.store, tuple(parts))

    def thinned(self, most: int) -> RowSet:
        """Every k-th row, with the smallest k that leaves at most `most`."""
        step = -(-len(self) // most)
        return self if step <= 1 else self.where(np.arange(len(self)) % step == 0)


def features_of_part(store: RowStore, part: Part, columns: Ints | None = None) -> Singles:
    """float32[r, F] in memory: the part's rows, all columns or the chosen ones."""
    x = store.x(part.session)
    rows = np.asarray(x if part.rows is None else x[part.rows])
    return np.ascontiguousarray(rows if columns is None else rows[:, columns])
