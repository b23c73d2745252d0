"""Rows of the marts of one run's day, and those files of the pack that hold them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from kitepilot.run import Run

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Row = dict[str, Any]

#: What the report reads. A day of any of them is small: by order, trade, minute or name.
READ: Final = (
    *("dim_sessions", "fct_pnl_daily", "fct_pnl_minutes", "fct_exposure_minutes", "fct_round_trips"),
    *("fct_charges_daily", "fct_contract_note", "fct_performance"),
    *("fct_orders", "fct_fill_quality", "fct_denials", "fct_limit_use", "fct_compliance"),
    *("fct_reconciliation", "fct_latencies"),
    *("fct_signal_quality", "fct_model_performance", "fct_model_drift", "fct_feature_health"),
    *("fct_feed_health", "fct_instrument_feed"),
)
SUFFIX: Final = "_marts"
UNKNOWN_TABLE: Final = (60, 81)  # ClickHouse's codes: no such table, no such database


def read(client: Client, run: Run) -> tuple[dict[str, list[Row]], dict[str, str]]:
    """(rows by mart, marts that are not there and why). Rows are in one order, whatever the parts on disk."""
    from clickhouse_connect.driver.exceptions import DatabaseError

    found: dict[str, list[Row]] = {}
    lacking: dict[str, str] = {}
    for name in READ:
        try:
            found[name] = _rows(client, run, name)
        except DatabaseError as err:
            if not any(f"code: {code}" in str(err).lower() for code in UNKNOWN_TABLE):
                raise
            lacking[name] = "they were never built"
    return found, lacking


def _rows(client: Client, run: Run, name: str) -> list[Row]:
    place = f"{run.config.storage.clickhouse_database}{SUFFIX}.{name}"
    query = (
        f"SELECT * FROM {place} WHERE run_id = {{run:String}} AND session_date = {{day:Date}} "  # noqa: S608
        "ORDER BY ALL"
    )
    found = client.query(query, parameters={"run": run.run_id, "day": run.config.session.date})
    return [dict(zip(found.column_names, row, strict=True)) for row in found.result_rows]


def write(rows: Sequence[Row], name: str, folder: Path) -> None:
    """`<name>.jsonl` and `<name>.csv`; nothing where the mart has no row of the day."""
    if not rows:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.jsonl").open("wb") as lines:
        for row in rows:
            lines.write(msgspec.json.encode(row) + b"\n")
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as cells:
        sheet = csv.writer(cells, lineterminator="\n")
        sheet.writerow(rows[0])
        sheet.writerows([_cell(value) for value in row.values()] for row in rows)


def _cell(value: Any) -> Any:
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list | tuple) else value
