"""dbt's result files -> what a person wants to know: what was made, and what a failing test means."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FINDING = "finding"  # tag of a test that tells of the day, and not of a flaw of the book
_FINE = ("success", "pass", "no-op")
_MEANINGS = {
    "not_null": "{column} of {model} is missing",
    "unique": "{column} of {model} stands there more than once",
    "unique_combination": "{columns} of {model} stand there more than once",
    "accepted_values": "{column} of {model} has a value that is none of its words",
    "relationships": "{column} of {model} is not in {to}",
    "holds": "of {model} it does not hold that {expression}",
}


@dataclass(frozen=True)
class Made:
    """One seed, view or mart. `relation` is `database.name`; `seconds` is dbt's own measure."""

    name: str
    relation: str
    kind: str  # seed | view | table | incremental | ephemeral
    layer: str  # staging | intermediate | marts | live | seeds
    seconds: float
    status: str  # success | error | skipped
    message: str = ""

    @property
    def failed(self) -> bool:
        return self.status not in _FINE


@dataclass(frozen=True)
class Tested:
    """One test. `meaning` says in words what is wrong where it failed."""

    name: str
    status: str  # pass | fail | error | warn | skipped
    rows: int  # that broke it
    meaning: str
    message: str = ""
    sql: str = ""  # the file to look at

    @property
    def failed(self) -> bool:
        return self.status not in (*_FINE, "warn", "skipped")


@dataclass(frozen=True)
class Outcome:
    """What one run of dbt did; `kept`: what the last one did, since another would find nothing new."""

    made: tuple[Made, ...]
    tested: tuple[Tested, ...]
    seconds: float
    full_refresh: bool = False
    kept: bool = False

    @property
    def ok(self) -> bool:
        return not any(made.failed for made in self.made) and not self.failures

    @property
    def failures(self) -> tuple[Tested, ...]:
        return tuple(each for each in self.tested if each.failed)

    def as_json(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "seconds": round(self.seconds, 3),
            "full_refresh": self.full_refresh,
            "nothing_new": self.kept,
            "made": [asdict(each) for each in self.made],
            "tests": len(self.tested),
            "failed_tests": [asdict(each) for each in self.failures],
            "warnings": [asdict(each) for each in self.tested if each.status == "warn"],
        }


def outcome_of(target: Path, results: str, *, full_refresh: bool = False) -> Outcome:
    """What the files of dbt's target folder tell of its last run."""
    ran = json.loads((target / results).read_text())
    nodes = _nodes(target)
    made, tested = [], []
    for result in ran.get("results", []):
        node = nodes.get(result["unique_id"], {})
        kind = node.get("resource_type", result["unique_id"].partition(".")[0])
        if kind in ("model", "seed", "snapshot"):
            made.append(_made(node, result))
        elif kind in ("test", "unit_test", "source"):
            tested.append(_tested(node, result, target))
    return Outcome(tuple(made), tuple(tested), float(ran.get("elapsed_time", 0.0)), full_refresh)


def _nodes(target: Path) -> dict[str, dict[str, Any]]:
    manifest = json.loads((target / "manifest.json").read_text())
    return {**manifest["sources"], **manifest["nodes"], **manifest.get("unit_tests", {})}


def _made(node: dict[str, Any], result: dict[str, Any]) -> Made:
    return Made(
        name=node["name"],
        relation=f"{node['schema']}.{node.get('alias') or node['name']}",
        kind=node["config"]["materialized"],
        layer=node["fqn"][1] if node["resource_type"] == "model" else "seeds",
        seconds=round(float(result["execution_time"]), 3),
        status=result["status"],
        message=_line(result.get("message")) if result["status"] not in _FINE else "",
    )


def _tested(node: dict[str, Any], result: dict[str, Any], target: Path) -> Tested:
    status = _status(node, result["status"])
    bad = status not in _FINE
    compiled = node.get("compiled_path") or ""
    return Tested(
        name=node.get("name", result["unique_id"]),
        status=status,
        rows=int(result.get("failures") or 0),
        meaning=meaning(node) if bad else "",
        message=_line(result.get("message")) if bad else "",
        sql=str(target / compiled.partition("target/")[2]) if bad and compiled else "",
    )


def _status(node: dict[str, Any], said: str) -> str:
    """A data test only warns dbt, which would make nothing that rests on it; a finding is no more."""
    if node.get("resource_type") == "test" and FINDING not in node.get("tags", ()) and said == "warn":
        return "fail"
    return said


def meaning(node: dict[str, Any]) -> str:
    """A test's own description; without one, what its kind says of its model."""
    if node.get("description"):
        return str(node["description"])
    if node.get("resource_type") == "unit_test":
        return f"the SQL of {node.get('model')} does not give what its example says"
    if node.get("resource_type") == "source":
        return f"nothing was archived in {node.get('name')} for a while"
    known = node.get("test_metadata") or {}
    given = known.get("kwargs", {})
    words = {
        "model": str(node.get("attached_node") or "").rpartition(".")[2],
        "column": given.get("column_name", ""),
        "columns": " and ".join(given.get("columns", [])),
        "expression": given.get("expression", ""),
        "to": given.get("to", ""),
    }
    return _MEANINGS.get(known.get("name", ""), "{model}: " + str(node.get("name"))).format(**words)


def _line(message: Any) -> str:
    return " ".join(str(message or "").split())[:400]
