"""What the checks say, line by line: kept in a file as they come, and counted by check for the summary."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from research.datasets.manifest import CheckSummary

Severity = Literal["note", "warning", "refused"]

FILE = "findings.parquet"
SHOWN = 5  # lines of each check in the summary, the worst
BUFFERED = 10_000
SCHEMA = pa.schema(
    [
        ("check", pa.string()),
        ("severity", pa.string()),
        ("session", pa.date32()),
        ("symbol", pa.string()),
        ("count", pa.int64()),
        ("detail", pa.string()),
    ]
)


class Finding(NamedTuple):
    """One line: what, where and how many. `session` is None, `symbol` "" where it is of more than one."""

    check: str
    severity: Severity
    session: date | None
    symbol: str
    rows: int
    detail: str

    def __str__(self) -> str:
        place = " ".join(filter(None, (self.symbol, f"{self.session}" if self.session else "")))
        return ": ".join(filter(None, (place, self.detail)))


@dataclass
class _Check:
    severity: Severity
    count: int = 0
    places: int = 0
    worst: list[tuple[int, int, str]] = field(default_factory=list)


class Findings:
    """Takes findings in any number; memory holds a summary and one buffer."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._buffer: list[Finding] = []
        self._writer: pq.ParquetWriter | None = None
        self._checks: dict[str, _Check] = {}

    def add(self, finding: Finding) -> None:
        self._buffer.append(finding)
        check = self._checks.setdefault(finding.check, _Check(finding.severity))
        check.count += finding.rows
        check.places += 1
        line = (finding.rows, -check.places, str(finding))
        if len(check.worst) < SHOWN:
            heapq.heappush(check.worst, line)
        else:
            heapq.heappushpop(check.worst, line)
        if len(self._buffer) >= BUFFERED:
            self._flush()

    def close(self) -> None:
        """Write the rest; a file without rows where there was none."""
        self._flush()
        if self._writer is not None:
            self._writer.close()

    def summary(self) -> list[CheckSummary]:
        """By check: what was refused, then warnings, then notes."""
        rank = ("refused", "warning", "note")
        ordered = sorted(self._checks.items(), key=lambda item: rank.index(item[1].severity))
        return [
            CheckSummary(
                name,
                check.severity,
                check.count,
                check.places,
                [line for *_, line in sorted(check.worst)[::-1]],
            )
            for name, check in ordered
        ]

    def _flush(self) -> None:
        columns = list(zip(*self._buffer, strict=True)) or [()] * len(SCHEMA)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, SCHEMA, compression="zstd")
        arrays = [pa.array(column, kind.type) for column, kind in zip(columns, SCHEMA, strict=True)]
        self._writer.write_table(pa.table(arrays, schema=SCHEMA))
        self._buffer.clear()
