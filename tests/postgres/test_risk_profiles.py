"""The risk profile's history: numbered from 1, never changed, and the version a run opens with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from infra.postgres import risk_profiles
from infra.postgres.earlier_runs import earlier_day
from infra.postgres.tables import METADATA
from infra.postgres.tables import risk_profiles as table
from kitepilot import config as configuration
from kitepilot.cli import risk_book, risk_change
from kitepilot.config import Config, ConfigError
from kitepilot.events import Filled, ForeignFilled, Purpose, Side
from kitepilot.risk import versions
from kitepilot.risk.carry import EarlierIntent
from kitepilot.risk.edits import changed

pytestmark = pytest.mark.stack
AT = 1_795_146_300_000_000_000
HOUR = 3_600 * 10**9


@pytest.fixture
def connection(postgres_url: str) -> Iterator[sa.Connection]:
    """A transaction that is rolled back: the history is append-only, and others test on it too."""
    engine = sa.create_engine(postgres_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection
        connection.rollback()
    engine.dispose()


def configured(**risk: Any) -> Config:
    return configuration.override(Config(), **{f"risk.{name}": value for name, value in risk.items()})


def owner_says(connection: sa.Connection, *words: str, active_from: int = versions.AT_ONCE) -> int:
    history = risk_profiles.history(connection, "paper")
    assert history[-1].profile is not None
    wanted = changed(history[-1].profile, words)
    made = risk_profiles.add(
        connection,
        "paper",
        wanted,
        origin=versions.OWNER,
        by="asha",
        reason="thin market",
        active_from=active_from,
    )
    return made.version


def test_a_fresh_machine_begins_with_version_1_from_the_configuration(connection: sa.Connection) -> None:
    config = Config()
    first = risk_book.settle(connection, config, AT)
    assert first == config.risk.profile() and first.version == 1
    assert risk_book.settle(connection, config, AT) == first  # nothing new is said
    (entry,) = risk_profiles.history(connection, "paper")
    assert (entry.origin, entry.created_by, entry.profile) == ("configuration", "configuration", first)


def test_a_configuration_that_says_something_new_is_a_new_version_and_tells_what_it_undoes(
    connection: sa.Connection,
) -> None:
    risk_book.settle(connection, Config(), AT)
    assert owner_says(connection, "daily_loss=15000") == 2
    assert risk_book.settle(connection, Config(), AT).limits.daily_loss_paise == 1_500_000
    tighter = configured(open_positions=10)
    third = risk_book.settle(connection, tighter, AT)
    assert (third.version, third.limits) == (3, tighter.risk.limits())
    assert "daily_loss ₹15,000 -> ₹25,000" in risk_profiles.history(connection, "paper")[-1].reason


def test_a_version_waits_for_its_time(connection: sa.Connection) -> None:
    risk_book.settle(connection, Config(), AT)
    owner_says(connection, "open_positions=5", active_from=AT + HOUR)
    assert risk_book.settle(connection, Config(), AT + HOUR - 1).version == 1
    assert risk_book.settle(connection, Config(), AT + HOUR).version == 2
    assert [each.version for each in versions.waiting(risk_profiles.history(connection, "paper"), AT)] == [2]


def test_paper_and_live_have_a_history_each(connection: sa.Connection) -> None:
    risk_book.settle(connection, Config(), AT)
    owner_says(connection, "open_positions=5")
    live = configuration.override(Config(), mode="live")
    assert risk_book.settle(connection, live, AT).version == 1


def test_a_version_past_the_configuration_does_not_open_a_run(connection: sa.Connection) -> None:
    risk_book.settle(connection, Config(), AT)
    owner_says(connection, "daily_loss=30000")
    with pytest.raises(
        ConfigError, match=r"profile 2 .* daily_loss ₹30,000 \(the configuration allows ₹25,000\)"
    ):
        risk_book.settle(connection, Config(), AT)


def test_a_change_is_stored_only_if_it_changes_something_that_can_be(connection: sa.Connection) -> None:
    def change(*words: str) -> Any:
        return risk_change.store(
            connection, Config(), lambda present, _: changed(present, words), "asha", "why", None
        )

    made, lines, _ = change("open_positions=5")
    assert (made.version, lines) == (2, ["open_positions 20 -> 5"])
    for words, told in (
        (("open_positions=5",), "nothing changes"),
        (("open_positions=0",), "must be above 0"),
        (("open_positions=21",), "looser than the configuration"),
        (("sizing=by_feeling",), "by_feeling"),
    ):
        with pytest.raises(ConfigError, match=told):
            change(*words)
    assert len(risk_profiles.history(connection, "paper")) == 2


def test_a_version_of_another_kitepilot_is_history_and_nothing_to_go_back_to(
    connection: sa.Connection,
) -> None:
    older = msgspec.to_builtins(Config().risk.profile())
    del older["limits"]["drawdown_paise"]
    row = {"mode": "paper", "version": 1, "profile": older, "origin": "configuration", "active_from_ns": 0}
    connection.execute(sa.insert(table).values(row | {"created_by": "configuration", "reason": "the first"}))
    assert risk_book.settle(connection, Config(), AT).version == 2
    assert [each.profile is None for each in risk_profiles.history(connection, "paper")] == [True, False]


@pytest.mark.parametrize(
    "change",
    ["UPDATE risk_profiles SET reason = 'other'", "DELETE FROM risk_profiles", "TRUNCATE risk_profiles"],
)
def test_versions_cannot_be_rewritten(connection: sa.Connection, change: str) -> None:
    risk_book.settle(connection, Config(), AT)
    with pytest.raises(sa.exc.IntegrityError, match="append-only"):
        connection.execute(sa.text(change))


def test_two_who_change_at_once_take_turns(connection: sa.Connection, postgres_url: str) -> None:
    risk_book.settle(connection, Config(), AT)  # holds the history until the transaction ends
    other = sa.create_engine(postgres_url, poolclass=sa.NullPool)
    with other.connect() as second:
        second.execute(sa.text("SET LOCAL lock_timeout = '100ms'"))
        with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
            risk_profiles.hold(second)
    other.dispose()


def test_the_earlier_runs_of_a_day_are_told_once_each_and_ours_as_ours(connection: sa.Connection) -> None:
    insert(connection, "runs", run_row("live-20261120-0001", "live", "2026-11-20"))
    insert(connection, "runs", run_row("live-20261120-0002", "live", "2026-11-20"))
    insert(connection, "runs", run_row("live-20261120-0003", "live", "2026-11-20"))
    insert(connection, "runs", run_row("paper-20261120-0001", "paper", "2026-11-20"))
    insert(connection, "runs", run_row("live-20261119-0001", "live", "2026-11-19"))
    for run_id in ("live-20261120-0001", "paper-20261120-0001", "live-20261119-0001"):
        insert(connection, "intents", intent_row(run_id))
        insert(connection, "fills", fill_row(run_id) | {"intent_id": INTENT})
    for run_id in ("live-20261120-0001", "live-20261120-0002"):  # both saw the owner's trade
        foreign(connection, run_id, "hand")
    foreign(connection, "live-20261120-0002", "o")  # and the second took the first one's for foreign
    approved, fills = earlier_day(connection, date(2026, 11, 20), "live-20261120-0003")
    assert approved == [
        EarlierIntent(
            intent_id=INTENT,
            token=408065,
            side=Side.BUY,
            purpose=Purpose.ENTRY,
            strategy="rule",
            quantity=10,
            limit_price_paise=157_350,
        )
    ]
    assert {(type(each), each.order_id) for each in fills} == {(Filled, "o"), (ForeignFilled, "hand")}
    assert len(fills) == 2
    assert earlier_day(connection, date(2026, 11, 18), "x") == ([], [])


INTENT = "ABCDEFGHIJKLMNOP27"


def insert(connection: sa.Connection, name: str, row: dict[str, Any]) -> None:
    connection.execute(sa.insert(METADATA.tables[name]).values(row))


def run_row(run_id: str, mode: str, day: str) -> dict[str, Any]:
    words = {"feed": "", "config_hash": "c", "config": "", "code_version": "1"}
    return {"run_id": run_id, "mode": mode, "session_date": date.fromisoformat(day), "seed": 0} | words


def intent_row(run_id: str) -> dict[str, Any]:
    words = {"signal_id": "s", "verdict_id": "v", "config_hash": "c", "strategy": "rule", "purpose": "entry"}
    order = {"order_type": "LIMIT", "limit_price_paise": 157_350, "validity": "IOC"}
    what = {"token": 408065, "tradingsymbol": "INFY", "side": "BUY", "quantity": 10}
    when = {"decision_price_paise": 157_300, "event_at_ns": AT}
    return {"run_id": run_id, "intent_id": INTENT, "seq": 0} | words | order | what | when


def fill_row(run_id: str, order_id: str = "o") -> dict[str, Any]:
    what = {"token": 408065, "tradingsymbol": "INFY", "side": "BUY", "quantity": 10, "price_paise": 157_300}
    return {"run_id": run_id, "order_id": order_id, "trade_id": "t", "traded_at_ns": AT} | what


def foreign(connection: sa.Connection, run_id: str, order_id: str) -> None:
    order = {
        "product": "MIS",
        "filled_quantity": 10,
        "status": "filled",
        "venue_status": "COMPLETE",
        "placed_by": "AB1234",
        "by_broker": False,
        "seen_at_ns": AT,
        "updated_at_ns": AT,
    }
    row = fill_row(run_id, order_id)
    kept = ("run_id", "order_id", "token", "tradingsymbol", "side", "quantity")
    insert(connection, "foreign_orders", {key: row[key] for key in kept} | order)
    insert(connection, "foreign_fills", row | {"by_broker": False})


def test_a_history_is_read_without_a_run(tmp_path: Path) -> None:
    """`kitepilot risk` on a stopped home starts the embedded server for itself and stops it again."""
    with risk_book.opened(tmp_path, Config()) as connection:
        assert risk_profiles.history(connection, "paper") == []
    assert not (tmp_path / "postgres" / "data" / "postmaster.pid").exists()
