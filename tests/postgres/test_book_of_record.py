"""The schema keeps its promises: equal to the tables, append-only, one order per intent, IST beside UTC."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from infra.postgres import book
from infra.postgres.migrate import downgrade, migrate
from infra.postgres.tables import METADATA, fills, intents, order_events, orders, runs
from kitepilot import config as configuration
from kitepilot.run import Run

pytestmark = pytest.mark.stack

INTENT = {
    "intent_id": "ABCDEFGHIJKLMNOP27",
    "seq": 0,
    "signal_id": "s",
    "verdict_id": "v",
    "config_hash": "c",
    "strategy": "vwap_reversion",
    "purpose": "entry",
    "token": 408065,
    "tradingsymbol": "INFY",
    "side": "BUY",
    "quantity": 10,
    "order_type": "LIMIT",
    "limit_price_paise": 157_350,
    "validity": "IOC",
    "decision_price_paise": 157_300,
    "event_at_ns": 1_795_146_300_000_000_000,
}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    name = tmp_path.name[-24:]
    return Run(f"paper-{name}", tmp_path / "runs" / f"paper-{name}", configuration.Config())


@pytest.fixture
def engine(postgres_url: str, run: Run) -> Iterator[sa.Engine]:
    engine = book.engine_of(postgres_url)
    book.begin_run(engine, run)
    yield engine
    engine.dispose()


def add_order(engine: sa.Engine, run: Run) -> None:
    key = {"run_id": run.run_id, "intent_id": INTENT["intent_id"]}
    with engine.begin() as connection:
        connection.execute(sa.insert(intents).values(run_id=run.run_id, **INTENT))
        connection.execute(
            sa.insert(orders).values(
                **key, slice=0, tag=f"{INTENT['intent_id']}00", status="working", quantity=10
            )
        )
        connection.execute(
            sa.insert(order_events).values(**key, seq=0, order_id="", kind="submitting", body="{}", at_ns=1)
        )
        connection.execute(
            sa.insert(fills).values(
                **key, order_id="1", trade_id="t", token=408065, tradingsymbol="INFY", side="BUY",
                quantity=10, price_paise=157_300, traded_at_ns=INTENT["event_at_ns"],
            )
        )  # fmt: skip


def test_migrations_and_tables_say_the_same(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_migrating_twice_changes_nothing(postgres_url: str, engine: sa.Engine, run: Run) -> None:
    migrate(postgres_url)
    assert book.booked_orders(engine, run.run_id) == []


@pytest.mark.parametrize("table", ["order_events", "fills", "intents"])
@pytest.mark.parametrize("change", ["UPDATE {} SET run_id = 'x'", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_history_cannot_be_rewritten(engine: sa.Engine, run: Run, table: str, change: str) -> None:
    add_order(engine, run)
    with engine.begin() as connection, pytest.raises(sa.exc.IntegrityError, match="append-only"):
        connection.execute(sa.text(change.format(table)))


def test_an_intent_becomes_at_most_one_order_of_a_run(engine: sa.Engine, run: Run) -> None:
    add_order(engine, run)
    with pytest.raises(sa.exc.IntegrityError, match="intents_pkey"):
        add_order(engine, run)


def test_an_order_needs_an_intent_and_an_intent_a_run(engine: sa.Engine) -> None:
    with engine.begin() as connection, pytest.raises(sa.exc.IntegrityError, match="foreign key"):
        connection.execute(sa.insert(intents).values(run_id="paper-unheard-of", **INTENT))


def test_people_read_ist_beside_utc(engine: sa.Engine, run: Run) -> None:
    add_order(engine, run)
    with engine.connect() as connection:
        row = connection.execute(
            sa.text("SELECT traded_at_ns, traded_at_ist FROM fills_ist WHERE run_id = :r"), {"r": run.run_id}
        ).one()
    assert row.traded_at_ist - datetime(1970, 1, 1) == sa_interval(row.traded_at_ns)


def sa_interval(ns: int) -> object:
    from datetime import timedelta

    return timedelta(microseconds=ns // 1000, hours=5, minutes=30)


def test_the_book_reads_back_what_was_written(engine: sa.Engine, run: Run) -> None:
    add_order(engine, run)
    (order,) = book.booked_orders(engine, run.run_id)
    (fill,) = book.booked_fills(engine, run.run_id)
    assert (order.tag, order.order_id, order.purpose) == ("ABCDEFGHIJKLMNOP2700", "", "entry")
    assert (fill.trade_id, fill.price_paise, fill.quantity) == ("t", 157_300, 10)
    assert book.event_count(engine, run.run_id) == (1, 0)


def test_the_first_result_of_a_run_stays(engine: sa.Engine, run: Run) -> None:
    book.end_run(engine, run.run_id, {"reconciled": True})
    book.end_run(engine, run.run_id, {"reconciled": False})
    with engine.connect() as connection:
        row = connection.execute(sa.select(runs).where(runs.c.run_id == run.run_id)).one()
    assert row.result == {"reconciled": True}
    assert row.config_hash == run.config_hash


def test_the_schema_can_be_taken_down_and_put_up_again(tmp_path: Path) -> None:
    from infra.postgres.embedded import Server

    with Server(tmp_path) as server:
        downgrade(server.url)
        migrate(server.url)
        engine = book.engine_of(server.url)
        with engine.connect() as connection:
            assert sa.inspect(connection).has_table("orders")
        engine.dispose()
