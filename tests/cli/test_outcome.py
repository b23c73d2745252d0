"""The day's table for a person: whole figures in eighty columns."""

import io
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from kitepilot.cli import outcome
from kitepilot.cli.reconcile import Proof, Totals
from kitepilot.cli.supervise import SupervisionError
from kitepilot.events import Filled, ForeignFilled, Side
from kitepilot.run import Run


def test_a_busy_days_reconciliation_is_not_cut_in_eighty_columns() -> None:
    totals = Totals(208, 208, 257, 16_156, 16_156, 1_193_171_745, -361_093, 634_098, 0, 0)
    proof = Proof(["exchange", "PostgreSQL", "decisions", "ClickHouse"], [totals] * 4)
    result = {
        "run_id": "paper-20261120-0001",
        "reconciliation": proof.table(),
        "reconciled": True,
        "feed": "synthetic market",
        "foreign_fills": 0,
        "broker_reconciliations": {"equal": 375},
        "alarms": [],
        "round_trips": 0,
        "hit_rate": 0.0,
        "denials": {},
        "dead_letters": {},
        "signals": 0,
        "orders": 208,
        "fills": 257,
        "open_positions": 0,
        "gross_pnl_paise": 0,
        "charges_paise": 0,
        "net_pnl_paise": 0,
        "ticks": 0,
        "ticks_per_s": 0.0,
        "traded_in_s": 1.0,
        "messages": 0,
        "messages_archived": 0,
        "audit": {"line": "12 records, sealed, verified"},
        "tick_to_signal_ms": outcome.percentiles([]),
        "signal_to_enqueued_ms": outcome.percentiles([]),
        "decisions_hash": "",
        "config_hash": "",
        "session_archive": "sessions/2026-11-20/paper-20261120-0001",
        "report": "",
    }
    screen = io.StringIO()
    outcome.show(Console(file=screen, width=80), result)
    shown = screen.getvalue()
    assert shown.count("1,19,31,717.45") == 4
    assert shown.count("-3,610.93") == 4
    assert "…" not in shown
    assert len([line for line in shown.splitlines() if line.rstrip().endswith(" =")]) == len(
        proof.table()["rows"]
    )


def traded(kind: type, number: int, side: Side, quantity: int, price: int) -> Any:
    common = {
        "source": "gateway", "seq": number, "event_at": number, "run_id": "r", "order_id": str(number),
        "trade_id": "t", "token": 1, "side": side, "quantity": quantity, "price_paise": price,
        "filled_at": number,
    }  # fmt: skip
    by = {"tradingsymbol": "A", "placed_by": "AB1234", "by_broker": False}
    return kind(**common, **(by if kind is ForeignFilled else {"intent_id": "I"}))


def test_a_trip_that_the_owner_ended_by_hand_is_a_trip() -> None:
    tape = outcome.DayTape()
    tape.fills = [
        traded(Filled, 1, Side.BUY, 10, 100),
        traded(ForeignFilled, 2, Side.SELL, 15, 110),  # ours, and five shares of his own short
        traded(ForeignFilled, 3, Side.BUY, 5, 100),
    ]
    trips = tape.trips()
    assert trips.results == [("", 100)]
    assert trips.owners[1].realised_paise == 50


class Machine:
    """A clock that a sleep of the waiting one moves, and an archive that writes a record each `takes_s`."""

    def __init__(self, takes_s: float, stops_at: int = 1_000) -> None:
        self.at, self._takes_s, self._stops_at = 0.0, takes_s, stops_at

    def monotonic(self) -> float:
        return self.at

    def sleep(self, _: float) -> None:
        self.at += 1.0

    def next_offsets(self, _: Run) -> dict[str, int]:
        return {"session": min(int(self.at / self._takes_s), self._stops_at)}


def awaited(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome, "time", machine)
    monkeypatch.setattr("infra.clickhouse.book.next_offsets", machine.next_offsets)
    run = cast(Run, SimpleNamespace(start_offsets=lambda: {"session": 0}))
    outcome.await_archive(run, {"session": 20}, within_s=120.0)


def test_a_slow_archive_is_waited_for_as_long_as_it_gets_on(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(takes_s=100.0)
    awaited(machine, monkeypatch)
    assert machine.at == 2_000.0


def test_an_archive_that_writes_nothing_any_more_is_named_with_what_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(SupervisionError, match=r"behind by \{'session': 13\} records .* none for 120 s"):
        awaited(Machine(takes_s=100.0, stops_at=7), monkeypatch)
