"""Dashboards and alert rules ask only for what the code exports, and the rules fire when they should."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.core import Metric

from api.lag_metrics import LagCollector
from api.machine_metrics import MeasuresCollector
from api.measures import Measures
from api.metrics import SnapshotCollector
from api.view import View
from infra.alerts import state_file
from infra.eventlog import open_log
from kitepilot.config import Config
from kitepilot.run import Run

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "infra/prometheus/alerts.yml"
RULE_TESTS = ROOT / "infra/prometheus/alerts.test.yml"
DASHBOARDS = sorted((ROOT / "infra/grafana/dashboards").glob("*.json"))
NOT_OURS = {"up"}
PROMTOOL = os.environ.get("PROMTOOL") or shutil.which("promtool")
#: What a family of a type adds to its name in the text format.
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
FUNCTIONS = {
    "abs", "avg", "by", "changes", "clamp_min", "histogram_quantile", "hour", "increase", "max", "minute",
    "on", "rate", "sum", "and", "or", "unless", "le", "without", "ignoring", "day_of_week", "absent", "min",
}  # fmt: skip


@pytest.fixture
def families(tmp_path: Path) -> dict[str, Metric]:
    """As a fresh API exports them, before anything was said."""
    folder = tmp_path / "runs" / "paper-20261120-0001"
    folder.mkdir(parents=True)
    run = Run(folder.name, folder, Config())
    state_file.write(folder, state_file.State(offsets={}), 0)
    log = open_log(run)
    view = View(run, log)
    collectors = (
        SnapshotCollector(view, {}),
        MeasuresCollector(run, Measures()),
        LagCollector(run, log, view),
    )
    return {metric.name: metric for each in collectors for metric in each.collect()}


def series(families: dict[str, Metric]) -> dict[str, set[str]]:
    """Name of a series -> its labels."""
    return {
        name + suffix: {*getattr(metric, "_labelnames", ())} | ({"le"} if suffix == "_bucket" else set())
        for name, metric in families.items()
        for suffix in SUFFIXES[metric.type]
    }


def expressions() -> Iterator[tuple[str, str]]:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            yield f"rule {rule['alert']}", rule["expr"]
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", ()):
                yield f"dashboard {path.stem}, panel {panel['id']}, {target['refId']}", target["expr"]


EXPRESSIONS = dict(expressions())


def asked(expression: str) -> Iterator[tuple[str, set[str]]]:
    """(series, labels that are matched or grouped by) of one expression."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    grouped = {
        word for group in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", bare) for word in re.findall(r"\w+", group)
    }
    for name, matchers in re.findall(r"\b([a-z]\w+)(\{[^}]*\})?", bare):
        if name not in FUNCTIONS | grouped and not re.search(rf"\{{[^}}]*\b{name}\b", bare):
            yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_every_series_and_label_that_is_asked_for_is_exported(
    where: str, families: dict[str, Metric]
) -> None:
    exported = series(families)
    found = [(name, labels) for name, labels in asked(EXPRESSIONS[where]) if name not in NOT_OURS]
    assert found or "up" in EXPRESSIONS[where]
    for name, labels in found:
        assert name in exported, f"{where}: {name}"
        assert labels <= exported[name], f"{where}: {name}{labels}"


def test_the_check_finds_a_name_that_nobody_exports(families: dict[str, Metric]) -> None:
    found = dict(asked('sum by (code) (rate(kitepilot_denial_total{kode="x"}[5m])) > 3'))
    assert found == {"kitepilot_denial_total": {"kode"}}
    assert not found.keys() & series(families).keys()


SUCCESS = (
    "kitepilot_tick_age_seconds",
    "kitepilot_bar_delay_seconds_bucket",
    "kitepilot_tick_to_signal_seconds_bucket",
    "kitepilot_signal_to_enqueued_seconds_bucket",
    "kitepilot_order_ack_seconds_bucket",
    "kitepilot_unknown_orders",
    "kitepilot_denials_total",
    "kitepilot_limit_use_ratio",
    "kitepilot_reconciliation_differences_total",
    "kitepilot_lag_records",
    "kitepilot_process_memory_bytes",
)


@pytest.mark.parametrize("name", SUCCESS)
def test_every_success_metric_is_exported_and_on_a_dashboard(name: str, families: dict[str, Metric]) -> None:
    assert name in series(families)
    assert any(
        name in expression for where, expression in EXPRESSIONS.items() if where.startswith("dashboard")
    )


def test_rules_have_what_a_person_needs() -> None:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("warning", "critical"), rule["alert"]
            assert rule["annotations"]["summary"], rule["alert"]


def fired_in_tests() -> set[str]:
    cases: list[dict[str, Any]] = yaml.safe_load(RULE_TESTS.read_text())["tests"]
    return {case["alertname"] for each in cases for case in each["alert_rule_test"] if case.get("exp_alerts")}


def test_every_rule_is_tried_on_planted_series() -> None:
    assert fired_in_tests() == {
        where.removeprefix("rule ") for where in EXPRESSIONS if where.startswith("rule ")
    }


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed: apt-get install prometheus")
def test_the_rules_fire_on_planted_series_and_not_before() -> None:
    assert PROMTOOL
    for command in (["check", "rules", str(RULES)], ["test", "rules", RULE_TESTS.name]):
        done = subprocess.run(
            [PROMTOOL, *command], cwd=RULES.parent, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
