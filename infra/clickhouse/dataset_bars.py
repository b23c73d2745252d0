"""Sessions of a dataset -> the table `dataset_bars`, each content once, a changed one in place of the old.

A session is told by its date and the hash of its rows. What the table has already is not sent again; rows of
an older content go after those of the new are there, so a load that was killed is finished by the next.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa

from infra.clickhouse.inserts import constant, insert_of

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

TABLE = "dataset_bars"
ROWS_AT_ONCE = 1_000_000  # one block: stored whole or not at all


def known_sessions(client: Client, dataset: str) -> dict[date, set[str]]:
    """Session -> the contents of it that have rows; more than one after a load was killed."""
    rows = client.query(
        "SELECT DISTINCT session, content FROM dataset_bars WHERE dataset = {d:String}",
        parameters={"d": dataset},
    ).result_rows
    found: dict[date, set[str]] = {}
    for session, content in rows:
        found.setdefault(session, set()).add(str(content))
    return found


def load_session(
    client: Client, dataset: str, session: date, content: str, bars: pa.Table, known: set[str]
) -> int:
    """Make the table hold this content of the session and no other; returns the number of rows sent.

    `bars` has the table's columns from `tradingsymbol` to `volume`. The server's memory of earlier inserts is
    not asked: a content may come back after another took its place.

    Raises:
        ValueError: more rows than one block. clickhouse_connect's DatabaseError: refused.
    """
    sent = 0
    if content not in known and bars.num_rows:
        if bars.num_rows > ROWS_AT_ONCE:
            raise ValueError(f"{dataset} {session}: {bars.num_rows:,} bars are more than {ROWS_AT_ONCE:,}")
        sent = bars.num_rows
        columns = {name: bars[name].combine_chunks() for name in bars.column_names}
        columns["begins_at"] = columns["begins_at"].cast(pa.timestamp("ms", tz="UTC"))
        columns |= {name: constant(text, sent) for name, text in (("dataset", dataset), ("content", content))}
        columns["session"] = pa.array([session] * sent, pa.date32())
        insert = insert_of(TABLE, columns, "")
        settings = {"async_insert": "0", "insert_deduplicate": "0"}
        client.raw_insert(TABLE, insert.columns, insert.body, settings=settings, fmt="ArrowStream")
    if known - {content}:
        client.command(
            "DELETE FROM dataset_bars WHERE dataset = {d:String} AND session = {s:Date} "
            "AND content != {c:String}",
            parameters={"d": dataset, "s": session, "c": content},
        )
    return sent


def forget_sessions(client: Client, dataset: str, sessions: Collection[date]) -> None:
    """Remove sessions that the dataset no longer has."""
    for session in sorted(sessions):
        client.command(
            "DELETE FROM dataset_bars WHERE dataset = {d:String} AND session = {s:Date}",
            parameters={"d": dataset, "s": session},
        )
