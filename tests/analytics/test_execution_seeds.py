"""The seeds of the execution marts say what the code says."""

from __future__ import annotations

import csv
from pathlib import Path

import msgspec

from kitepilot.config import KITE_ORDER_CAPS
from kitepilot.events import RiskLimits
from kitepilot.orders.order_machine import TRANSITIONS
from kitepilot.risk.checks.table import ENTRY_CHECKS
from kitepilot.risk.exits import MARKET_PROTECTION
from kitepilot.topics import TOPICS

SEEDS = Path(__file__).parents[2] / "dbt_project" / "seeds" / "execution"
SETTINGS = {field.name for field in msgspec.structs.fields(RiskLimits)}


def seed(name: str) -> list[dict[str, str]]:
    with (SEEDS / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def test_every_check_of_a_setting_is_a_limit_whose_use_is_told() -> None:
    told = {row["limit_code"]: row["setting"] for row in seed("limit_checks")}
    meant = {str(check.code): check.limit for check in ENTRY_CHECKS if check.limit in SETTINGS}
    assert {code: setting for code, setting in told.items() if setting} == meant


def test_a_limit_without_a_setting_is_a_check_of_the_code() -> None:
    codes = {str(check.code) for check in ENTRY_CHECKS} | {MARKET_PROTECTION}
    assert {row["limit_code"] for row in seed("limit_checks")} <= codes


def test_the_legal_moves_are_those_of_the_order_machine() -> None:
    moves = {(before.value, after.value) for (before, _), after in TRANSITIONS.items()}
    assert {(row["previous_status"], row["status"]) for row in seed("order_moves")} == moves


def test_compliance_allows_as_many_orders_as_kite_does() -> None:
    allowed = {row["rule"]: row["allowed"] for row in seed("compliance_rules")}
    assert {name: int(allowed[name]) for name in KITE_ORDER_CAPS} == KITE_ORDER_CAPS


def test_the_archive_is_checked_on_every_topic() -> None:
    checked = {row["check_name"] for row in seed("reconciliation_checks")}
    assert {f"archive_{topic.name}" for topic in TOPICS} <= checked
