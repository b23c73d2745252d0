"""Planned files -> a dataset, checked. Good rows go on; refused ones are kept with their reasons.

    sources_in(paths) -> planned(...) -> import_bars(plan, folder) -> Manifest

Nothing is repaired: a row is taken as it stands or refused, and what looks odd is said.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from broker_adapter.sandbox.feed.derived_tokens import derived_tokens
from kitepilot.market.ticks import SEGMENT_INDICES
from research.datasets.actions import Actions, actions_of
from research.datasets.findings import Finding, Findings
from research.datasets.grid import date_of, day_numbers
from research.datasets.manifest import (
    Basis,
    DatasetError,
    Manifest,
    SessionEntry,
    SourceFile,
    hash_of,
    read_manifest,
    write_manifest,
)
from research.datasets.official_days import OfficialDays
from research.datasets.reading import PlannedFile, Symbols, Tell, rows_of, silent
from research.datasets.row_checks import REASONS, VALUES, Ints, RawRows, judged
from research.datasets.session_changes import SessionChanges
from research.datasets.session_checks import SymbolDays, findings_of, symbol_days
from research.datasets.session_files import SessionRows, write_session
from research.datasets.spool import Spool
from research.datasets.tick_bars import bars_of_ticks
from research.datasets.times import UNREADABLE

REFUSED, QUALITY = "refused.parquet", "quality.parquet"
REFUSED_SCHEMA = pa.schema(
    [
        ("reason", pa.string()),
        ("file", pa.string()),
        ("row", pa.int64()),
        ("tradingsymbol", pa.string()),
        ("begins_at", pa.timestamp("ns", tz="UTC")),
        *((f"{name}_paise" if name != "volume" else name, pa.float64()) for name in VALUES),
    ]
)
COUNTED = ("bars", "expected", "longest_gap", "silent", "off_grid", "outliers", "first_price", "last_price")
QUALITY_SCHEMA = pa.schema(
    [
        ("session", pa.date32()),
        ("tradingsymbol", pa.string()),
        *((name, pa.int64()) for name in COUNTED),
        ("refused", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Plan:
    """All that decides what comes out. `same`: old symbol -> new one, for a share that was renamed."""

    name: str
    files: Sequence[PlannedFile]
    basis: Basis = "unknown"
    basis_as_of: date | None = None
    rounding: bool = False
    same: Mapping[str, str] = field(default_factory=dict)
    tokens: Mapping[str, int] = field(default_factory=dict)  # the broker's, where they are known
    official: OfficialDays | None = None
    created_by: str = "kitepilot import"


@dataclass
class _Making:
    """What grows while a dataset is made; none of it with the rows."""

    plan: Plan
    folder: Path
    symbols: Symbols
    findings: Findings
    changes: SessionChanges
    refused: pq.ParquetWriter
    quality: pq.ParquetWriter
    entries: list[SessionEntry] = field(default_factory=list)
    refused_rows: int = 0
    tokens: dict[str, int] = field(default_factory=dict)


def import_bars(plan: Plan, folder: Path, *, replace: bool = False, tell: Tell = silent) -> Manifest:
    """Make the dataset at `folder`, whole or not at all; the same rows give the same hash.

    Raises:
        DatasetError: nothing usable, or another dataset of that name is there and `replace` was not said.
    """
    staged = folder.with_name(f".new-{folder.name}")
    shutil.rmtree(staged, ignore_errors=True)
    try:
        manifest = _make(plan, staged, actions_of(folder.parent), tell)
        _put_in_place(staged, folder, manifest, replace)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return manifest


def _make(plan: Plan, folder: Path, actions: Actions, tell: Tell) -> Manifest:
    folder.mkdir(parents=True)
    symbols, spool = Symbols(), Spool(folder / ".spool")
    rows = _spool(plan.files, spool, symbols, tell)
    findings = Findings(folder)
    making = _Making(
        plan,
        folder,
        symbols,
        findings,
        SessionChanges(actions, plan.basis),
        pq.ParquetWriter(folder / REFUSED, REFUSED_SCHEMA, compression="zstd"),
        pq.ParquetWriter(folder / QUALITY, QUALITY_SCHEMA, compression="zstd"),
        tokens=tokens_of(symbols.names, {**symbols.tokens, **plan.tokens}, plan.same),
    )
    _note_files(plan, findings)
    for number, week in enumerate(spool.weeks()):
        tell("checking and writing", number, len(spool))
        _take_week(making, week)
    for finding in making.changes.finish():
        findings.add(finding)
    for closing in (making.refused, making.quality, findings):
        closing.close()
    shutil.rmtree(folder / ".spool")
    if not making.entries:
        raise DatasetError(_nothing_usable(making))
    manifest = _manifest(making, rows)
    write_manifest(folder, manifest)
    return manifest


def _spool(files: Sequence[PlannedFile], spool: Spool, symbols: Symbols, tell: Tell) -> list[int]:
    """Rows of each file."""
    counts = []
    for number, file in enumerate(files):
        tell(f"reading {file.source.path.name}", number, len(files))
        count = 0
        pieces = bars_of_ticks(number, file.source, symbols) if file.ticks else rows_of(number, file, symbols)
        for piece in pieces:
            spool.add(piece)
            count += len(piece)
        counts.append(count)
    spool.close()
    return counts


def _take_week(making: _Making, rows: RawRows) -> None:
    reason = judged(rows, rounding=making.plan.rounding)
    _keep_refused(making, rows, reason)
    days = np.where(rows.begins_at == UNREADABLE, 0, day_numbers(rows.begins_at))
    for day in np.unique(days[reason == 0]).tolist():
        session = date_of(day)
        mine = days == day
        bars = session_rows(session, rows.take(mine & (reason == 0)), making.symbols.names)
        making.entries.append(write_session(making.folder, bars, making.tokens))
        _refuse_twice(bars, making.tokens)
        index = np.array([making.tokens[name] & 0xFF == SEGMENT_INDICES for name in bars.symbols], np.bool_)
        found = symbol_days(bars, index)
        for finding in (*findings_of(found), *making.changes.take(found)):
            making.findings.add(finding)
        if making.plan.official is not None:
            for finding in making.plan.official.compare(found):
                making.findings.add(finding)
        _note_late(making, session, rows.take(mine & rows.late))
        making.quality.write_table(_quality(making, found, rows.take(mine & (reason != 0))))


def _refuse_twice(bars: SessionRows, tokens: Mapping[str, int]) -> None:
    """Two names of one share cannot trade on one day."""
    held: dict[int, str] = {}
    for name in bars.symbols:
        other = held.setdefault(tokens[name], name)
        if other != name:
            raise DatasetError(
                f"{other} and {name} have one token and both trade on {bars.session}: they are two shares"
            )


def session_rows(session: date, rows: RawRows, names: Sequence[str]) -> SessionRows:
    """The rows of one session, none of them refused, in order of symbol and time."""
    codes, local = np.unique(rows.code, return_inverse=True)
    found = [names[code] for code in codes.tolist()]
    alphabetical = sorted(range(len(found)), key=found.__getitem__)
    place = np.empty(len(found), dtype=np.int64)
    place[alphabetical] = np.arange(len(codes))
    code = place[local]
    order = np.lexsort((rows.begins_at, code))
    return SessionRows(
        session,
        tuple(found[k] for k in alphabetical),
        code[order],
        rows.begins_at[order],
        {name: np.rint(column[order]).astype(np.int64) for name, column in rows.values.items()},
    )


def _keep_refused(making: _Making, rows: RawRows, reason: Ints) -> None:
    """Into the file, and a line for each reason, session and symbol."""
    bad = rows.take(reason != 0)
    why: Ints = reason[reason != 0]
    making.refused_rows += len(bad)
    if not len(bad):
        return
    reasons = np.array(REASONS, dtype=object)
    names = np.array([*making.symbols.names, ""], dtype=object)
    files = np.array([f"{file.source.path}" for file in making.plan.files], dtype=object)
    dated = bad.begins_at != UNREADABLE
    at = pa.array(np.where(dated, bad.begins_at, 0), mask=~dated).cast(REFUSED_SCHEMA.field("begins_at").type)
    columns = [
        pa.array(reasons[why]),
        pa.array(files[bad.file]),
        pa.array(bad.row),
        pa.array(names[bad.code]),
        at,
        *(pa.array(bad.values[name]) for name in VALUES),
    ]
    making.refused.write_table(pa.table(columns, schema=REFUSED_SCHEMA))
    days = np.where(dated, day_numbers(np.where(dated, bad.begins_at, 0)), 0)
    keys, first, counts = np.unique(
        np.stack([why, days, bad.code]), axis=1, return_index=True, return_counts=True
    )
    for (code, day, symbol), row, count in zip(keys.T.tolist(), first.tolist(), counts.tolist(), strict=True):
        text = f"{count} rows, the first is row {bad.row[row]} of {files[bad.file[row]].rpartition('/')[2]}"
        session = date_of(day) if day else None
        making.findings.add(Finding(REASONS[code], "refused", session, names[symbol], count, text))


def _note_files(plan: Plan, findings: Findings) -> None:
    for file in plan.files:
        name = file.source.path.name
        if file.reading.unusual or file.reading.why.startswith("neither"):
            text = f"{name}: read as {file.words}" + (f" ({file.reading.why})" if file.reading.why else "")
            findings.add(Finding("zone and labels", "warning", None, "", 1, text))
        if "volume" not in file.columns.of and not file.ticks:
            findings.add(
                Finding("no volume", "warning", None, "", 1, f"{name}: no volume column, taken as 0")
            )
        for note in file.source.notes:
            findings.add(Finding("ticks as they were recorded", "note", None, "", 1, f"{name}: {note}"))
        if file.source.cut_lines:
            cut = file.source.cut_lines
            text = f"{name}: {len(cut)} lines with too many or too few cells, the first is {cut[0][:60]!r}"
            findings.add(Finding("lines that are cut", "refused", None, "", len(cut), text))


def _note_late(making: _Making, session: date, late: RawRows) -> None:
    codes, counts = np.unique(late.code, return_counts=True)
    for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
        symbol = making.symbols.names[code] if code >= 0 else ""
        text = f"{count} rows come after later ones of the symbol; put in order"
        making.findings.add(Finding("out of order", "warning", session, symbol, count, text))


def _quality(making: _Making, days: SymbolDays, refused: RawRows) -> pa.Table:
    by_code = np.bincount(refused.code[refused.code >= 0], minlength=len(making.symbols.names))
    symbols = days.rows.symbols
    columns: dict[str, npt.NDArray[np.int64] | list[object]] = {
        "session": [days.rows.session] * len(symbols),
        "tradingsymbol": list(symbols),
        **{name: getattr(days, name) for name in COUNTED},
        "refused": np.array([by_code[making.symbols.code(name)] for name in symbols], dtype=np.int64),
    }
    return pa.table(columns, schema=QUALITY_SCHEMA)


def tokens_of(names: Sequence[str], known: Mapping[str, int], same: Mapping[str, str]) -> dict[str, int]:
    """A token for every symbol: the broker's if it is known, else derived; one for both names of a share."""
    unknown = sorted(set(names) - known.keys())
    found = {name: known[name] for name in names if name in known}
    found |= zip(unknown, derived_tokens(unknown, known.values()), strict=True)
    for old, new in same.items():
        if old not in found or new not in found:
            raise DatasetError(f"--same {old}={new}: not both are in the files")
        found[old] = found[new]
    return found


def _manifest(making: _Making, rows: Sequence[int]) -> Manifest:
    plan, entries = making.plan, making.entries
    first_columns = next((file.columns.words() for file in plan.files if not file.ticks), {})
    kept = {symbol for symbol in making.tokens if symbol in making.changes.symbols}
    return Manifest(
        name=plan.name,
        sha256=hash_of(entries),
        interval="1 minute",
        rows=sum(entry.rows for entry in entries),
        refused=making.refused_rows + sum(len(file.source.cut_lines) for file in plan.files),
        first=entries[0].session,
        last=entries[-1].session,
        tokens={symbol: making.tokens[symbol] for symbol in sorted(kept)},
        sessions=entries,
        sources=[
            SourceFile(
                f"{file.source.path}",
                file.source.sha256(),
                file.source.path.stat().st_size,
                count,
                file.words,
            )
            for file, count in zip(plan.files, rows, strict=True)
        ],
        mapping=first_columns,
        basis=plan.basis,
        basis_as_of=plan.basis_as_of,
        checks=making.findings.summary(),
        created_by=plan.created_by,
    )


def _nothing_usable(making: _Making) -> str:
    lines = [
        f"{check.count:,} x {check.check}"
        for check in making.findings.summary()
        if check.severity == "refused"
    ]
    return f"nothing usable in {len(making.plan.files)} files: {'; '.join(lines) or 'they hold no rows'}"


def _put_in_place(staged: Path, folder: Path, manifest: Manifest, replace: bool) -> None:
    if not folder.exists():
        staged.rename(folder)
        return
    if not replace and read_manifest(folder).sha256 != manifest.sha256:
        raise DatasetError(
            f"a dataset {folder.name!r} with other rows is there: choose another --name, or say --replace"
        )
    old = folder.with_name(f".old-{folder.name}")
    shutil.rmtree(old, ignore_errors=True)
    folder.rename(old)
    staged.rename(folder)
    shutil.rmtree(old)
