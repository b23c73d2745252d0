"""The audit of a run -> `audit.jsonl`, for `kitepilot verify-audit --file`, and a CSV of the same."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import msgspec

from infra.audit import export_file
from infra.audit.reading import AuditBook
from infra.daily_packs import AuditRoot
from kitepilot.audit.records import Record
from kitepilot.audit.seals import Seal, Statement
from kitepilot.cli.pack.records import ist_text, utc_text

HEADS = (
    *("seq", "recorded_at", "event_at", "event_at_ist", "kind", "source", "subject", "intent_id", "order_id"),
    *("topic", "log_offset", "body", "hash"),
)


def write(book: AuditBook, run_id: str, folder: Path) -> AuditRoot | None:
    """From the run's first record to its last, or to the end of its seal; all rows between are the chain's.

    Returns the newest seal of the run, None where it was never sealed. Two passes, nothing held.
    """
    extent, seals = book.extent_of(run_id), book.seals()
    own = [(seal, said) for seal in seals if (said := seal.read()).run_id == run_id]
    last = max([extent.last_seq, *(said.last_seq for _, said in own)])

    def rows() -> Iterator[Record]:
        return book.records(extent.first_seq, last) if extent.rows else iter(())

    export_file.write(folder / "audit.jsonl", book.head_before(extent.first_seq), rows(), seals)
    with (folder / "audit.csv").open("w", newline="", encoding="utf-8") as cells:
        sheet = csv.writer(cells, lineterminator="\n")
        sheet.writerow(HEADS)
        sheet.writerows(map(_cells, rows()))
    return _root(*own[-1]) if own else None


def _root(seal: Seal, said: Statement) -> AuditRoot:
    return AuditRoot(
        seal=said.number,
        first_seq=said.first_seq,
        last_seq=said.last_seq,
        root=said.root,
        fingerprint=seal.fingerprint,
        public_key=seal.public_key,
    )


def _cells(record: Record) -> tuple[object, ...]:
    named = msgspec.structs.asdict(record) | {
        "recorded_at": utc_text(record.recorded_at),
        "event_at": utc_text(record.event_at),
        "event_at_ist": ist_text(record.event_at),
        "hash": record.hash.hex(),
    }
    return tuple(named[head] for head in HEADS)
