"""Reading and closing the book of record: runs, and what a run's orders and fills add up to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

import kitepilot
from infra.postgres.tables import fills, intents, order_events, orders, runs
from kitepilot import config as configuration
from kitepilot.events import Side
from kitepilot.run import Run


class BookedFill(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `fills`; price in integer paise, time in ns UTC."""

    intent_id: str
    order_id: str
    trade_id: str
    token: int
    tradingsymbol: str
    side: Side
    quantity: int
    price_paise: int
    traded_at_ns: int


class BookedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `orders`, with what its intent says of it. `order_id` is "" if the broker gave none."""

    intent_id: str
    tag: str
    order_id: str
    status: str
    quantity: int
    filled_quantity: int
    token: int
    tradingsymbol: str
    side: Side
    purpose: str
    config_hash: str


def engine_of(url: str) -> sa.Engine:
    """A small engine for short reads; dispose it when done."""
    return sa.create_engine(url, pool_size=2, pool_pre_ping=True)


def begin_run(engine: sa.Engine, run: Run) -> None:
    """Write the run's row; does nothing if it is there (a restarted process of the same run)."""
    config = run.config
    row = {
        "run_id": run.run_id,
        "mode": config.mode,
        "session_date": date.fromisoformat(config.session.date),
        "seed": config.market.seed,
        "feed": config.market.feed,
        "config_hash": run.config_hash,
        "config": configuration.shown(config),
        "code_version": kitepilot.__version__,
    }
    with engine.begin() as connection:
        connection.execute(insert(runs).values(row).on_conflict_do_nothing())


def end_run(engine: sa.Engine, run_id: str, result: Mapping[str, Any]) -> None:
    """Close the run with its result (JSON-able). The first close stays: history is not rewritten."""
    change = sa.update(runs).where(runs.c.run_id == run_id, runs.c.ended_at.is_(None))
    with engine.begin() as connection:
        connection.execute(change.values(ended_at=datetime.now(UTC), result=dict(result)))


def booked_orders(engine: sa.Engine, run_id: str) -> list[BookedOrder]:
    """All orders of a run, by the intent's sequence."""
    query = (
        sa.select(
            orders.c.intent_id,
            orders.c.tag,
            sa.func.coalesce(orders.c.order_id, "").label("order_id"),
            orders.c.status,
            orders.c.quantity,
            orders.c.filled_quantity,
            intents.c.token,
            intents.c.tradingsymbol,
            intents.c.side,
            intents.c.purpose,
            intents.c.config_hash,
        )
        .join_from(
            orders,
            intents,
            (orders.c.run_id == intents.c.run_id) & (orders.c.intent_id == intents.c.intent_id),
        )
        .where(orders.c.run_id == run_id)
        .order_by(intents.c.seq, orders.c.slice)
    )
    return _rows(engine, query, BookedOrder)


def booked_fills(engine: sa.Engine, run_id: str) -> list[BookedFill]:
    """All fills of a run, by exchange time, then by order and trade id."""
    names = [fills.c[name] for name in BookedFill.__struct_fields__]
    query = sa.select(*names).where(fills.c.run_id == run_id)
    return _rows(engine, query.order_by(fills.c.traded_at_ns, fills.c.order_id, fills.c.trade_id), BookedFill)


def event_count(engine: sa.Engine, run_id: str) -> tuple[int, int]:
    """(rows in `order_events`, rows that also speak to `session`) of a run."""
    query = sa.select(sa.func.count(), sa.func.count(order_events.c.session_seq))
    with engine.connect() as connection:
        row = connection.execute(query.where(order_events.c.run_id == run_id)).one()
    return int(row[0]), int(row[1])


def _rows(engine: sa.Engine, query: sa.Select[Any], kind: type[Any]) -> list[Any]:
    with engine.connect() as connection:
        found = connection.execute(query)
        return [msgspec.convert({str(k): v for k, v in row.items()}, kind) for row in found.mappings()]
