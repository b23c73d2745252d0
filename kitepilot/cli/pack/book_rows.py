"""Orders and fills as the gateway journaled them in PostgreSQL: what is left without ClickHouse and log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy as sa

from infra.clickhouse.event_rows import SHAPES, rows_of
from infra.postgres.book import engine_of
from infra.postgres.tables import order_events
from kitepilot import events as e

#: Table -> the column whose text is the message it is made from. Of the others PostgreSQL has no message.
COLUMNS: Final = {"orders": order_events.c.body, "fills": order_events.c.session_body}
FETCH: Final = 1_000


def from_book(url: str, run_id: str, table: str) -> Iterator[dict[str, Any]]:
    """Rows of one table of the archive, made as the archive makes them; none of one that is not journaled.

    Their place in the log is not known: `log_offset` is null.
    """
    if table not in COLUMNS:
        return
    column = COLUMNS[table]
    query = (
        sa.select(column)
        .where(order_events.c.run_id == run_id, column.is_not(None))
        .order_by(order_events.c.seq)
    )
    engine = engine_of(url)
    try:
        with engine.connect().execution_options(yield_per=FETCH) as book:
            for (body,) in book.execute(query):
                for name, row in rows_of(e.decode(body.encode())):
                    if name == table:
                        assert isinstance(row, tuple)
                        said = dict(zip(SHAPES[table].columns, row, strict=True))
                        yield said | {"log_topic": None, "log_offset": None}
    finally:
        engine.dispose()
