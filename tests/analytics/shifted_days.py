"""One archived run -> the same run on other trading days, inside ClickHouse.

Every stamp moves by whole days and the run gets another id; what a run names only within itself (intents,
orders, trades) keeps its name. Rows go into the raw tables: the materialized views see them as they see the
archive's.
"""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

NS_PER_DAY = 86_400_000_000_000
_A_STAMP = 1_500_000_000_000_000_000  # ns: every later whole number in a message is a moment


def shift_run(client: Client, run_id: str, from_day: date, to_day: date, new_run_id: str) -> None:
    """Copy everything archived of `run_id` to `to_day` as `new_run_id`. `client` may write the raw tables."""
    days = (to_day - from_day).days
    for table, columns in _columns(client).items():
        if table == "events":
            _shift_events(client, columns, run_id, days, to_day, new_run_id)
            continue
        chosen = ", ".join(_moved(name, kind, days, to_day, new_run_id) for name, kind in columns.items())
        client.command(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {chosen} FROM {table} "
            f"WHERE run_id = '{run_id}' SETTINGS max_insert_threads = 1"
        )


def _columns(client: Client) -> dict[str, dict[str, str]]:
    """Table -> column -> type, of the tables that the archive writes; what fills itself is left out."""
    query = """
        SELECT table, name, type FROM system.columns
        WHERE database = currentDatabase() AND default_kind != 'ALIAS' AND name NOT IN ('archived_at')
          AND table IN (
            SELECT table FROM system.columns
            WHERE database = currentDatabase() AND name = 'run_id')
          AND table IN (
            SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree')
          AND table NOT IN ('latencies', 'tick_minute_states')
        ORDER BY table, position
    """
    found: dict[str, dict[str, str]] = {}
    for table, name, kind in client.query(query).result_rows:
        found.setdefault(table, {})[name] = kind
    return found


def _moved(name: str, kind: str, days: int, to_day: date, new_run_id: str) -> str:
    if name == "run_id":
        return f"'{new_run_id}'"
    if name == "session_date":
        return f"toDate('{to_day}')"
    if kind.startswith("DateTime64"):
        return f"if(toUnixTimestamp({name}) = 0, {name}, {name} + toIntervalDay({days}))"
    return name


def _shift_events(
    client: Client, columns: dict[str, str], run_id: str, days: int, to_day: date, new_run_id: str
) -> None:
    chosen = ", ".join(_moved(name, kind, days, to_day, new_run_id) for name, kind in columns.items())
    query = f"SELECT {chosen} FROM events WHERE run_id = '{run_id}'"
    place = list(columns).index("detail")
    rows = [list(row) for row in client.query(query).result_rows]
    for row in rows:
        said = json.loads(row[place])
        row[place] = json.dumps(_later(said, days * NS_PER_DAY, run_id, new_run_id, str(to_day)))
    client.insert("events", rows, column_names=list(columns))


def _later(said: Any, ns: int, run_id: str, new_run_id: str, to_day: str) -> Any:
    """A message with its moments moved, its run renamed and its session dated anew."""
    if isinstance(said, dict):
        moved = {key: _later(value, ns, run_id, new_run_id, to_day) for key, value in said.items()}
        return moved | ({"session_date": to_day} if "session_date" in said else {})
    if isinstance(said, list):
        return [_later(value, ns, run_id, new_run_id, to_day) for value in said]
    if isinstance(said, int) and not isinstance(said, bool) and said > _A_STAMP:
        return said + ns
    return new_run_id if said == run_id else said
