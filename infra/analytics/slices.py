"""Every archived day -> stretches of days that are small enough to be made at once.

A full refresh of a long book would hold all of it in memory: ClickHouse spills sorts and groups to disk, but
not the side of a join that is held by time. What the largest marts rest on is scores and bars; a stretch of
`ROWS_AT_ONCE` took 1.5 GB of the 2 GB that a query may have (21 days of 300 instruments and five models).
"""

from __future__ import annotations

from datetime import date
from typing import Final

from infra.clickhouse.client import connect
from kitepilot.run import Run

ROWS_AT_ONCE: Final = 14_000_000


def last_days(run: Run, rows_at_once: int = ROWS_AT_ONCE) -> list[date]:
    """The last day of every stretch, oldest first; [] while nothing was archived."""
    query = """
        SELECT session_date, sum(n) FROM (
            SELECT session_date, count() AS n FROM scores GROUP BY session_date
            UNION ALL SELECT session_date, count() FROM bars GROUP BY session_date
        ) GROUP BY session_date ORDER BY session_date
    """
    ends: list[date] = []
    held = 0
    with connect(run, "dbt") as client:
        for day, rows in client.query(query).result_rows:
            if ends and held + rows <= rows_at_once:
                ends[-1] = day
            else:
                ends.append(day)
                held = 0
            held += rows
    return ends
