"""How many rows each table of the book holds now."""

from __future__ import annotations

from infra.analytics.outcome import Outcome
from infra.clickhouse.client import connect
from kitepilot.run import Run


def rows_of(run: Run, outcome: Outcome) -> dict[str, int]:
    """`database.table` -> rows, of the tables that were made; views have none."""
    wanted = [made.relation for made in outcome.made if made.kind != "view"]
    query = (
        "SELECT concat(database, '.', name), total_rows FROM system.tables "
        "WHERE concat(database, '.', name) IN {wanted:Array(String)} AND total_rows IS NOT NULL"
    )
    with connect(run, "dbt", database="default") as client:
        found = client.query(query, {"wanted": wanted}).result_rows
    return {str(name): int(rows) for name, rows in found}
