"""The orders and trades of a date's earlier live runs, as the book of record has them."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa

from infra.postgres.tables import fills, foreign_fills, intents, runs
from kitepilot.events import Filled, ForeignFilled, Side
from kitepilot.risk.carry import EarlierIntent

SOURCE = "book"


def earlier_day(
    connection: sa.Connection, day: date, besides: str
) -> tuple[list[EarlierIntent], list[Filled | ForeignFilled]]:
    """What live runs of the IST date `day` approved and traded, without the run named `besides`.

    A later run sees an earlier run's trades as foreign, and one foreign trade may be seen by several: each is
    returned once, as ours where it was.
    """
    live = sa.select(runs.c.run_id).where(
        runs.c.session_date == day, runs.c.mode == "live", runs.c.run_id != besides
    )
    approved = [
        msgspec.convert({name: row[name] for name in EarlierIntent.__struct_fields__}, EarlierIntent)
        for row in _rows(connection, intents, live)
    ]
    ours = {_trade(row): _filled(row) for row in _rows(connection, fills, live)}
    others = {
        _trade(row): _foreign(row)
        for row in _rows(connection, foreign_fills, live)
        if _trade(row) not in ours
    }
    return approved, [*ours.values(), *others.values()]


def _rows(connection: sa.Connection, table: sa.Table, live: sa.Select[tuple[Any]]) -> sa.MappingResult:
    return connection.execute(sa.select(table).where(table.c.run_id.in_(live))).mappings()


def _trade(row: sa.RowMapping) -> tuple[str, str]:
    return str(row["order_id"]), str(row["trade_id"])


def _filled(row: sa.RowMapping) -> Filled:
    return Filled(
        source=SOURCE,
        seq=0,
        event_at=row["traded_at_ns"],
        run_id=row["run_id"],
        intent_id=row["intent_id"],
        order_id=row["order_id"],
        trade_id=row["trade_id"],
        token=row["token"],
        side=Side(row["side"]),
        quantity=row["quantity"],
        price_paise=row["price_paise"],
        filled_at=row["traded_at_ns"],
    )


def _foreign(row: sa.RowMapping) -> ForeignFilled:
    return ForeignFilled(
        source=SOURCE,
        seq=0,
        event_at=row["traded_at_ns"],
        run_id=row["run_id"],
        order_id=row["order_id"],
        trade_id=row["trade_id"],
        token=row["token"],
        tradingsymbol=row["tradingsymbol"],
        side=Side(row["side"]),
        quantity=row["quantity"],
        price_paise=row["price_paise"],
        filled_at=row["traded_at_ns"],
        placed_by="",
        by_broker=row["by_broker"],
    )
