"""Orders, intents and fills of earlier runs: raw SQL, keyset pages, newest first."""

from __future__ import annotations

from typing import Any, LiteralString

from api import cursors
from api.record import Record, Row
from api.rows import FillRow, IntentRow, OrderRow
from api.times import Instant, instant

#: One row per intent: its children added up, and the words of one that still works, else of the last one.
_ORDERS: LiteralString = """
    SELECT i.intent_id, i.seq, i.run_id, i.signal_id, i.strategy, i.purpose, i.token, i.tradingsymbol, i.side,
           i.quantity, i.limit_price_paise, i.event_at_ns,
           coalesce(o.order_id, '') AS order_id, coalesce(o.status, 'submitting') AS status,
           coalesce(o.venue_status, '') AS venue_status, coalesce(o.message, '') AS message,
           coalesce(f.filled_quantity, 0)::bigint AS filled_quantity,
           coalesce(e.at_ns, i.event_at_ns) AS updated_ns
    FROM intents i
    LEFT JOIN LATERAL (
        SELECT c.order_id, c.status, c.venue_status, c.message FROM orders c
        WHERE c.run_id = i.run_id AND c.intent_id = i.intent_id
        ORDER BY c.status IN ('filled', 'cancelled', 'rejected'), c.slice DESC LIMIT 1
    ) o ON true
    LEFT JOIN LATERAL (
        SELECT sum(c.filled_quantity) AS filled_quantity FROM orders c
        WHERE c.run_id = i.run_id AND c.intent_id = i.intent_id
    ) f ON true
    LEFT JOIN LATERAL (
        SELECT max(v.at_ns) AS at_ns FROM order_events v
        WHERE v.run_id = i.run_id AND v.intent_id = i.intent_id
    ) e ON true
    WHERE i.run_id = %(run)s AND (%(before)s::bigint IS NULL OR i.seq < %(before)s)
    ORDER BY i.seq DESC LIMIT %(limit)s"""
_INTENTS: LiteralString = """
    SELECT intent_id, seq, run_id, signal_id, verdict_id, strategy, purpose, token, tradingsymbol, side,
           quantity, order_type, validity, limit_price_paise, decision_price_paise, attempt, event_at_ns
    FROM intents WHERE run_id = %(run)s AND (%(before)s::bigint IS NULL OR seq < %(before)s)
    ORDER BY seq DESC LIMIT %(limit)s"""
_FILLS: LiteralString = """
    SELECT run_id, intent_id, order_id, trade_id, token, tradingsymbol, side, quantity, price_paise,
           traded_at_ns
    FROM fills
    WHERE run_id = %(run)s AND (%(at)s::bigint IS NULL
        OR (traded_at_ns, order_id, trade_id) < (%(at)s, %(order)s, %(trade)s))
    ORDER BY traded_at_ns DESC, order_id DESC, trade_id DESC LIMIT %(limit)s"""

Page = tuple[list[Row], str | None]


async def orders(
    record: Record, run_id: str, limit: int, cursor: str | None
) -> tuple[list[OrderRow], str | None]:
    """Raises `Problem`: bad_cursor, record_unreachable."""
    rows, after = await _by_number(record, _ORDERS, f"orders {run_id}", run_id, limit, cursor)
    return [OrderRow(**_dated(row, decided="event_at_ns", updated="updated_ns")) for row in rows], after


async def intents(
    record: Record, run_id: str, limit: int, cursor: str | None
) -> tuple[list[IntentRow], str | None]:
    """Raises `Problem`: bad_cursor, record_unreachable."""
    rows, after = await _by_number(record, _INTENTS, f"intents {run_id}", run_id, limit, cursor)
    return [IntentRow(**_dated(row, decided="event_at_ns")) for row in rows], after


async def fills(
    record: Record, run_id: str, limit: int, cursor: str | None
) -> tuple[list[FillRow], str | None]:
    """Raises `Problem`: bad_cursor, record_unreachable."""
    name = f"fills {run_id}"
    at, order, trade = cursors.opened(name, cursor, int, str, str) or (None, "", "")
    found = await record.rows(
        _FILLS, {"run": run_id, "at": at, "order": order, "trade": trade, "limit": limit + 1}
    )
    rows = [FillRow(**_dated(row, traded="traded_at_ns")) for row in found[:limit]]
    if len(found) <= limit:
        return rows, None
    last = found[limit - 1]
    return rows, cursors.sealed(name, last["traded_at_ns"], last["order_id"], last["trade_id"])


async def _by_number(
    record: Record, query: LiteralString, name: str, run_id: str, limit: int, cursor: str | None
) -> Page:
    before = cursors.before(name, cursor)
    found = await record.rows(query, {"run": run_id, "before": before, "limit": limit + 1})
    after = cursors.sealed(name, found[limit - 1]["seq"]) if len(found) > limit else None
    for row in found:
        row.pop("seq")
    return found[:limit], after


def _dated(row: Row, **columns: str) -> dict[str, Any]:
    """Nanoseconds as instants, under the names the API has for them."""
    times: dict[str, Instant] = {name: instant(int(row[column])) for name, column in columns.items()}
    return {key: value for key, value in row.items() if key not in columns.values()} | times
