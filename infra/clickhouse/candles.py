"""Files of candles -> the table `candles`, each part once, a changed part in place of the old one.

A part is told by its path and a hash of its bytes. What the table has already is not sent again; the rows of
an older content go after those of the new are there, so a load that was killed is finished by the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from infra.clickhouse.inserts import constant, insert_of

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

TABLE = "candles"
ROWS_AT_ONCE = 1_000_000  # one block: stored whole or not at all


def known_parts(client: Client, interval: str, symbol: str) -> dict[str, set[str]]:
    """Part -> the contents of it that have rows in the table; more than one after a load was killed."""
    rows = client.query(
        "SELECT DISTINCT part, content FROM candles "
        "WHERE interval = {i:String} AND tradingsymbol = {s:String}",
        parameters={"i": interval, "s": symbol},
    ).result_rows
    found: dict[str, set[str]] = {}
    for part, content in rows:
        found.setdefault(str(part), set()).add(str(content))
    return found


def load_part(
    client: Client, interval: str, symbol: str, part: str, content: str, candles: pa.Table, known: set[str]
) -> int:
    """Make the table hold this content of the part and no other; returns the number of rows sent.

    Raises:
        ValueError: more rows than one block. clickhouse_connect's DatabaseError: refused.
    """
    sent = 0
    if content not in known and candles.num_rows:
        if candles.num_rows > ROWS_AT_ONCE:
            raise ValueError(f"{part}: {candles.num_rows:,} candles are more than {ROWS_AT_ONCE:,}")
        sent = candles.num_rows
        columns = {name: candles[name].combine_chunks() for name in candles.column_names}
        names = {"interval": interval, "tradingsymbol": symbol, "part": part, "content": content}
        columns |= {name: constant(text, sent) for name, text in names.items()}
        insert = insert_of(TABLE, columns, f"{part}:{content}")
        client.raw_insert(
            TABLE,
            insert.columns,
            insert.body,
            settings={"async_insert": "0", "insert_deduplication_token": insert.token},
            fmt="ArrowStream",
        )
    if known - {content}:
        client.command(
            "DELETE FROM candles WHERE part = {p:String} AND content != {c:String}",
            parameters={"p": part, "c": content},
        )
    return sent
