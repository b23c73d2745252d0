"""The day's table for a person: whole figures in eighty columns."""

import io

from rich.console import Console

from kitepilot.cli import outcome
from kitepilot.cli.reconcile import Proof, Totals


def test_a_busy_days_reconciliation_is_not_cut_in_eighty_columns() -> None:
    totals = Totals(208, 208, 257, 16_156, 16_156, 1_193_171_745, -361_093, 634_098, 0, 0)
    proof = Proof(["exchange", "PostgreSQL", "decisions", "ClickHouse"], [totals] * 4)
    result = {
        "run_id": "paper-20261120-0001",
        "reconciliation": proof.table(),
        "reconciled": True,
        "feed": "synthetic market",
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
        "tick_to_signal_ms": outcome.percentiles([]),
        "signal_to_enqueued_ms": outcome.percentiles([]),
        "decisions_hash": "",
        "config_hash": "",
        "report": "",
    }
    screen = io.StringIO()
    outcome.show(Console(file=screen, width=80), result)
    shown = screen.getvalue()
    assert shown.count("11,931,717.45") == 4
    assert shown.count("-3,610.93") == 4
    assert "…" not in shown
    assert len([line for line in shown.splitlines() if line.rstrip().endswith(" =")]) == len(
        proof.table()["rows"]
    )
