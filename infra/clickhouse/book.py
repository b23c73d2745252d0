"""What the archive knows of one run, read back for the reconciliation. Every answer is one query."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from infra.clickhouse.client import connect
from infra.clickhouse.event_rows import SHAPES
from kitepilot.events import Side
from kitepilot.run import Run
from kitepilot.topics import TICKS

_TABLES = [TICKS.name, *SHAPES]
_COUNTERS = ("start_offset", "next_offset", "archived", "duplicates", "dead", "empty", "rows", "own_records")


@dataclass(frozen=True)
class TopicCount:
    """Messages of one topic, from two sides: the archive's counters, and the rows in the tables."""

    topic: str
    start_offset: int
    next_offset: int
    archived: int
    duplicates: int
    dead: int
    empty: int
    rows: int
    own_records: int
    stored_messages: int = 0  # distinct log offsets found in the tables
    stored_rows: int = 0

    @property
    def accounted(self) -> int:
        """Messages whose fate is known: found in a table, or counted as having nothing to store."""
        return self.stored_messages + self.duplicates + self.empty


def count_intents(run: Run) -> int:
    """Distinct approved intents."""
    [[count]] = _rows(run, "SELECT uniqExact(intent_id) FROM intents WHERE run_id = {run:String}")
    return int(count)


def orders(run: Run) -> dict[str, str]:
    """Broker's order id -> intent id, of every order the gateway journaled with an id."""
    query = (
        "SELECT order_id, any(intent_id) FROM orders WHERE run_id = {run:String} AND order_id != '' "
        "GROUP BY order_id"
    )
    return {str(order): str(intent) for order, intent in _rows(run, query)}


def foreign_orders(run: Run) -> set[str]:
    """Broker's ids of the orders that are not ours."""
    query = (
        "SELECT DISTINCT JSONExtractString(detail, 'order_id') FROM events "
        "WHERE run_id = {run:String} AND kind = 'foreign_order_updated'"
    )
    return {str(order) for (order,) in _rows(run, query)}


def orders_by_broker(run: Run) -> set[str]:
    """Those that the broker placed itself."""
    query = "SELECT DISTINCT order_id FROM foreign_fills WHERE run_id = {run:String} AND by_broker"
    return {str(order) for (order,) in _rows(run, query)}


def fills(run: Run) -> Iterator[dict[str, Any]]:
    """One dict per intraday fill of the account, ours and foreign: order_id, trade_id, token, side, quantity,
    price_paise, at (exchange time, ns).

    Rows are given as they are stored; a fill stored twice is given twice.
    """
    columns = "order_id, trade_id, token, side, quantity, price_paise, toUnixTimestamp64Nano(filled_at) AS at"
    both = " UNION ALL ".join(
        f"SELECT {columns} FROM {table} WHERE run_id = {{run:String}}"  # noqa: S608
        for table in ("fills", "foreign_fills")
    )
    query = f"SELECT * FROM ({both}) ORDER BY at, order_id, trade_id"  # noqa: S608
    for order_id, trade_id, token, side, quantity, price_paise, at in _rows(run, query):
        yield {
            "order_id": str(order_id),
            "trade_id": str(trade_id),
            "token": int(token),
            "side": Side(side),
            "quantity": int(quantity),
            "price_paise": int(price_paise),
            "at": int(at),
        }


def symbols(run: Run) -> dict[int, str]:
    """Token -> trading symbol, of everything the account ordered."""
    parts = " UNION DISTINCT ".join(
        f"SELECT token, tradingsymbol FROM {table} WHERE run_id = {{run:String}}"  # noqa: S608
        for table in ("orders", "foreign_fills")
    )
    return {int(token): str(symbol) for token, symbol in _rows(run, parts)}


def quantities(run: Run) -> dict[int, tuple[int, int]]:
    """Token -> (shares bought, shares sold)."""
    query = (
        "SELECT token, sumIf(quantity, side = 'BUY'), sumIf(quantity, side = 'SELL') FROM fills "
        "WHERE run_id = {run:String} GROUP BY token"
    )
    return {int(token): (int(bought), int(sold)) for token, bought, sold in _rows(run, query)}


def next_offsets(run: Run) -> dict[str, int]:
    """Topic -> everything below is archived. Topics without a message yet are absent."""
    query = "SELECT topic, max(next_offset) FROM archived_offsets WHERE run_id = {run:String} GROUP BY topic"
    return {str(topic): int(offset) for topic, offset in _rows(run, query)}


def archived_records(run: Run) -> dict[str, int]:
    """Topic -> messages of the run that are accounted for: distinct offsets in the tables, and those known
    to have nothing to store (clocks alone, seconds without quotes, repeats by a restarted producer)."""
    return {count.topic: count.accounted for count in topic_counts(run)}


def topic_counts(run: Run) -> list[TopicCount]:
    """Counters and rows per topic."""
    latest = ", ".join(f"argMax({name}, next_offset)" for name in _COUNTERS)
    query = f"SELECT topic, {latest} FROM archived_offsets WHERE run_id = {{run:String}} GROUP BY topic"  # noqa: S608
    stored = _stored(run)
    found = []
    for topic, *figures in _rows(run, query):
        messages, rows = stored.get(str(topic), (0, 0))
        counters = dict(zip(_COUNTERS, map(int, figures), strict=True))
        found.append(TopicCount(str(topic), **counters, stored_messages=messages, stored_rows=rows))
    return found


def _stored(run: Run) -> dict[str, tuple[int, int]]:
    """Topic -> (distinct log offsets, rows) over the tables. A message with rows in no table is missing."""
    parts = " UNION ALL ".join(
        f"SELECT log_topic, log_offset FROM {table} WHERE run_id = {{run:String}}"  # noqa: S608
        for table in _TABLES
    )
    query = f"SELECT log_topic, uniqExact(log_offset), count() FROM ({parts}) GROUP BY log_topic"  # noqa: S608
    return {str(topic): (int(messages), int(rows)) for topic, messages, rows in _rows(run, query)}


def _rows(run: Run, query: str) -> list[Any]:
    with connect(run, "api") as client:
        return list(client.query(query, parameters={"run": run.run_id}).result_rows)
