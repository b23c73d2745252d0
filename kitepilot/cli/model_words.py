"""The model registry for a person (tables, a card on one page) and for a script (plain data)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from infra.postgres import model_moves, model_registry
from infra.postgres.model_registry import RegisteredModel
from kitepilot.config import Config
from kitepilot.market import calendar
from kitepilot.models.gates import Verdict
from kitepilot.models.stages import Stage, StageChange, Standing

FEATURES_SHOWN = 12


def rows(models: Sequence[RegisteredModel], now: Standing) -> list[dict[str, Any]]:
    """One object per model, in order of registration."""
    return [
        {
            "model_id": each.model_id,
            "stage": now.stages[each.model_id].value,
            "kind": each.kind,
            "data_from": each.data_from.isoformat(),
            "data_to": each.data_to.isoformat(),
            "dataset": each.dataset,
            "auc": _measure(each, "auc"),
            "brier": _measure(each, "brier"),
            "net_bps": _measure(each, "net_bps"),
            "parent": each.parent,
            "registered": _ist(each.registered_at),
            "registered_by": each.registered_by,
        }
        for each in models
    ]


def show_rows(console: Console, found: list[dict[str, Any]]) -> None:
    if not found:
        console.print(
            "no model is registered: `kitepilot train`, then `kitepilot models import`", highlight=False
        )
        return
    table = Table(
        "model", "stage", "data", "AUC", "Brier", "net bps", "follows", "registered", box=SIMPLE_HEAD
    )
    table.columns[0].no_wrap = True
    for each in found:
        numbers = [_text(each[name]) for name in ("auc", "brier", "net_bps")]
        span = f"{each['data_from']} .. {each['data_to']}"
        table.add_row(
            each["model_id"], each["stage"], span, *numbers, each["parent"] or "-", each["registered"]
        )
    console.print(table)


def page(connection: sa.Connection, model_id: str, config: Config) -> dict[str, Any]:
    """Everything about one model, as plain data."""
    model = model_moves.require(connection, model_id)
    seen = model_moves.evidence_of(connection, model_id, config)
    lines = model_registry.history(connection, model_id)
    return {
        "model_id": model_id,
        "stage": lines[-1].to_stage.value,
        "artifact_sha256": model.artifact_sha256,
        "data_from": model.data_from.isoformat(),
        "data_to": model.data_to.isoformat(),
        "dataset": model.dataset,
        "data_hash": model.data_hash,
        "features_hash": model.features_hash,
        "code_version": model.code_version,
        "parent": model.parent,
        "training_run": model.training_run,
        "card": msgspec.to_builtins(model.card),
        "leak_check": msgspec.to_builtins(seen.leak),
        "sessions": [msgspec.to_builtins(each) for each in seen.sessions],
        "history": [line(each) for each in lines],
    }


def show_page(console: Console, found: dict[str, Any]) -> None:
    """The card as a person reads it: what it says, from what, how good, where it stands."""
    card = found["card"]
    console.print(f"[b]{found['model_id']}[/b]  {found['stage']}")
    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(found, card):
        facts.add_row(f"[dim]{name}[/dim]", value)
    console.print(facts)
    _show_measures(console, card)
    for each in card.get("warnings", []):
        console.print(f"[yellow]{each}[/yellow]", highlight=False)
    if found["sessions"]:
        table = Table(
            "session", "as", "rows", "Brier", "base rate's", "", title="Scored live", box=SIMPLE_HEAD
        )
        for each in found["sessions"]:
            said = "switched off" if each["failed"] else "drifted" if each["drifted"] else ""
            numbers = [_text(each["brier"]), _text(each["base_brier"])]
            table.add_row(each["session"], each["role"], f"{each['rows']:,}", *numbers, said)
        console.print(table)
    for each in found["history"]:
        console.print(f"{each['at']}  {each['text']}", highlight=False, soft_wrap=True)


def _facts(found: dict[str, Any], card: dict[str, Any]) -> list[tuple[str, str]]:
    features, rows = card["features"], (card["rows_train"], card["rows_validation"])
    span = f"{found['data_from']} to {found['data_to']}"
    more = f" and {len(features) - FEATURES_SHOWN} more" if len(features) > FEATURES_SHOWN else ""
    leak = found["leak_check"]
    return [
        ("says", f"how likely it is that: {card['label']}"),
        ("kind", f"{card['kind']}, {', '.join(f'{k} {v}' for k, v in sorted(card['libraries'].items()))}"),
        ("data", f"{found['dataset']}, {span}, hash {found['data_hash']}"),
        ("rows", f"{rows[0]:,} trained on, {rows[1]:,} held out, seed {card['seed']}"),
        ("features", f"{', '.join(features[:FEATURES_SHOWN])}{more}"),
        ("features' code", found["features_hash"] or "not noted"),
        ("costs", f"{card['cost_bps']:g} bps a round trip; acts at {_text(card.get('threshold'))}"),
        ("calibration", card.get("calibration", {}).get("method", "none")),
        ("leak check", "none known" if leak is None else "passed" if leak["passed"] else "FAILED"),
        ("artifact", found["artifact_sha256"]),
        ("lineage", f"follows {found['parent'] or 'none'}; run {found['training_run'] or 'not noted'}; "
         f"code {found['code_version']}"),
    ]  # fmt: skip


def _show_measures(console: Console, card: dict[str, Any]) -> None:
    folds = card.get("folds", [])
    if not folds:
        said = ", ".join(f"{name} {_text(value)}" for name, value in sorted(card["metrics"].items()))
        console.print(f"no walk-forward; {said}", highlight=False, soft_wrap=True)
        return
    names = sorted(card["out_of_sample"])
    table = Table("fold", "test days", *names, title="Out of sample", box=SIMPLE_HEAD)
    for each in folds:
        days = each["test_dates"]
        span = f"{days[0]} .. {days[-1]}" if days else "-"
        table.add_row(str(each["number"]), span, *(_text(each["metrics"].get(name)) for name in names))
    table.add_row("all", "", *(_text(card["out_of_sample"][name]) for name in names))
    console.print(table)


def show_gates(console: Console, model_id: str, to: Stage, found: Sequence[Verdict]) -> None:
    """Every gate with its numbers; the reason of those that refuse."""
    if not found:
        return
    table = Table("gate", "", "found", "asked for", "why not", title=f"{model_id} -> {to}", box=SIMPLE_HEAD)
    for each in found:
        mark = "[green]pass[/]" if each.passed else "[red]no[/]"
        table.add_row(each.gate, mark, each.observed, each.required, each.reason)
    console.print(table)


def show_history(console: Console, found: Sequence[StageChange]) -> None:
    table = Table("when", "model", "from", "to", "how", "who", "why", box=SIMPLE_HEAD)
    for each in found:
        said = line(each)
        table.add_row(*(str(said[key]) for key in ("at", "model_id", "from", "to", "move", "by", "why")))
    console.print(table)


def show_comparison(console: Console, found: dict[str, Any]) -> None:
    """One line per day and model, then over all days."""
    table = Table(
        "session", "model", "rows", "AUC", "Brier", "base rate's", "hits of best 2 %", box=SIMPLE_HEAD
    )
    table.add_column("trades", justify="right")
    table.add_column("net bps", justify="right")
    for each in (*found["sessions"], {"session": "all", "models": found["all"]}):
        for name, said in each["models"].items():
            keys = ("auc", "brier", "base_brier", "hit_rate_best_2pc", "trades", "net_bps")
            table.add_row(each["session"], name, f"{said['rows']:,}", *(_text(said[key]) for key in keys))
    console.print(table)


def line(each: StageChange) -> dict[str, Any]:
    """One line of the history as plain data."""
    here = each.from_stage.value if each.from_stage else ""
    moved = f"{here or 'new'} -> {each.to_stage.value} ({each.move.value})"
    return {
        "at": _ist(each.at),
        "model_id": each.model_id,
        "from": here,
        "to": each.to_stage.value,
        "move": each.move.value,
        "by": each.made_by,
        "why": each.reason,
        "evidence": each.evidence,
        "text": f"{moved} by {each.made_by}: {each.reason}",
    }


def _measure(model: RegisteredModel, name: str) -> float | None:
    found = model.metrics.get(name, model.metrics.get(f"validation_{name}"))
    return found if found is None or math.isfinite(found) else None


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else f"{value}"


def _ist(at: Any) -> str:
    return at.astimezone(calendar.IST).strftime("%Y-%m-%d %H:%M:%S") if at else ""
