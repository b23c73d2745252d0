"""A contract note compared with our books -> the tables `contract_notes` and `contract_note_findings`.

The same comparison again is the same rows: a note is known by what it says, and the newest import of a day is
the one that counts.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal

from infra.clickhouse.client import connect
from kitepilot.contract_note.compare import Comparison
from kitepilot.contract_note.note_to_csv import csv_of
from kitepilot.run import Run

_KEY = ("run_id", "session_date", "note_sha256")
_FINDING = (*_KEY, "number", "kind", "line", "what", "note", "ours", "difference_paise", "why")
_NOTE = (
    *(*_KEY, "reconciled", "trades_on_note", "trades_in_books", "trades_agreed", "charge_lines"),
    "findings",
)
_HUNDREDTH = Decimal("0.01")


def keep_note(run: Run, found: Comparison) -> str:
    """Store what was found; returns the sha256 the note is known by. The findings first, then the note.

    Raises:
        infra.clickhouse.client.ClickHouseUnreachableError: no answer. clickhouse_connect's errors: refused.
    """
    known_by = hashlib.sha256(csv_of(found.note).encode()).hexdigest()
    key = (run.run_id, found.note.day, known_by)
    findings = [
        (*key, number, f.kind.value, f.line, f.what, f.note, f.ours, f.paise.quantize(_HUNDREDTH), f.why)
        for number, f in enumerate(found.findings)
    ]
    note = (
        *key, found.reconciled, len(found.note.trades), found.trades, found.agreed, len(found.note.charges),
        len(findings),
    )  # fmt: skip
    with connect(run, "sink") as client:
        if findings:
            client.insert("contract_note_findings", findings, column_names=_FINDING)
        client.insert("contract_notes", [note], column_names=_NOTE)
    return known_by
