"""A run's orders, fills, signals, intents and verdicts, row by row -> JSONL and CSV.

The rows and their columns are those of the archive's tables. They are read from ClickHouse where it answers,
else made from the run's records in the log (or its session archive) as the archive itself makes them, so both
ways give the same bytes. Nothing of a day's length is held in memory.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pyarrow as pa

from infra.clickhouse.event_rows import SHAPES, UnstorableError, rows_of
from kitepilot import events as e
from kitepilot.market.calendar import IST
from kitepilot.topics import DECISIONS, INTENTS, ORDERS, SESSION

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from flows.replay import RecordedRun

#: Table -> the topic its rows are made from.
TABLES: Final = {
    "signals": SESSION.name,
    "verdicts": DECISIONS.name,
    "intents": INTENTS.name,
    "orders": ORDERS.name,
    "fills": SESSION.name,
    "foreign_fills": SESSION.name,
}
TOPICS: Final = tuple(dict.fromkeys((SESSION.name, *TABLES.values())))
PLACE: Final = ("log_topic", "log_offset")
NS: Final = 1_000_000_000
_PROFILE: Final = b"profile_activated"

Row = dict[str, Any]


def from_archive(client: Client, run_id: str, table: str) -> Iterator[Row]:
    """Rows of one table of ClickHouse in order of the log, streamed."""
    chosen = ", ".join(
        f"toUnixTimestamp64Nano({name}) AS {name}" if pa.types.is_timestamp(kind) else name
        for name, kind in SHAPES[table].columns.items()
    )
    names = (*SHAPES[table].columns, *PLACE)
    query = (
        f"SELECT {chosen}, {', '.join(PLACE)} FROM {table} "  # noqa: S608 names of our own tables
        "WHERE run_id = {run:String} ORDER BY log_topic, log_offset"
    )
    with client.query_rows_stream(query, parameters={"run": run_id}) as rows:
        for row in rows:
            yield dict(zip(names, row, strict=True))


def from_log(run: RecordedRun, table: str) -> Iterator[Row]:
    """The same rows of the run's records; what cannot be read is in no table either."""
    last: dict[str, int] = {}
    for record in run.records(TABLES[table]):
        try:
            event = e.decode(record.value)
            made = rows_of(event)
        except (ValueError, UnstorableError):
            continue
        if event.seq <= last.get(event.source, -1):  # repeated by a producer that was started again
            continue
        last[event.source] = event.seq
        for name, row in made:
            if name == table:
                assert isinstance(row, tuple)
                said = dict(zip(SHAPES[table].columns, row, strict=True))
                yield said | {"log_topic": record.topic, "log_offset": record.offset}


def profiles(run: RecordedRun) -> list[e.RiskProfile]:
    """Risk profiles that came into force while the run traded, in order."""
    found = []
    for record in run.records(SESSION.name):
        if _PROFILE in record.value:
            try:
                event = e.decode(record.value)
            except ValueError:
                continue
            if isinstance(event, e.ProfileActivated):
                found.append(event.profile)
    return found


def write(rows: Iterable[Row], table: str, folder: Path) -> int:
    """`<table>.jsonl` and `<table>.csv` in `folder`, both there though there is no row; how many rows."""
    kinds = SHAPES[table].columns
    heads = [head for name in (*kinds, *PLACE) for head in _heads(name, kinds)]
    count = 0
    with (
        (folder / f"{table}.jsonl").open("wb") as lines,
        (folder / f"{table}.csv").open("w", newline="", encoding="utf-8") as cells,
    ):
        sheet = csv.writer(cells, lineterminator="\n")
        sheet.writerow(heads)
        for row in rows:
            said = readable(row, kinds)
            lines.write(msgspec.json.encode(said) + b"\n")
            sheet.writerow(_cell(said[head]) for head in heads)
            count += 1
    return count


def readable(row: Row, kinds: Mapping[str, pa.DataType]) -> Row:
    """Times as text in UTC, `event_at` also in IST; null where there is none (0)."""
    said: Row = {}
    for name, value in row.items():
        if name in kinds and pa.types.is_timestamp(kinds[name]):
            said[name] = utc_text(value)
            if name == "event_at":
                said["event_at_ist"] = ist_text(value)
        elif name in kinds and pa.types.is_map(kinds[name]):
            said[name] = dict(sorted(dict(value).items()))
        else:
            said[name] = list(value) if isinstance(value, tuple) else value
    return said


def utc_text(at: int) -> str | None:
    """`2026-11-20T03:45:00.123456789Z`."""
    return f"{datetime.fromtimestamp(at // NS, UTC):%Y-%m-%dT%H:%M:%S}.{at % NS:09d}Z" if at else None


def ist_text(at: int) -> str | None:
    """`2026-11-20 09:15:00.123`."""
    if not at:
        return None
    return f"{datetime.fromtimestamp(at // NS, IST):%Y-%m-%d %H:%M:%S}.{at // 1_000_000 % 1000:03d}"


def _heads(name: str, kinds: Mapping[str, pa.DataType]) -> tuple[str, ...]:
    return ("event_at", "event_at_ist") if name == "event_at" and name in kinds else (name,)


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        return msgspec.json.encode(value).decode()
    return value
