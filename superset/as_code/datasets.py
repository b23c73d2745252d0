"""A mart as Superset's dataset: columns and descriptions come from dbt, measures from the short form.

Superset shows every instant in UTC. So a mart with times is read through a query that hands India's
wall clock over as if it were UTC, under the names the mart has; the UTC twin of such a column is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from as_code.folder import AssetError, Short
from as_code.identity import DATABASE, identity
from as_code.units import BY_NAME, RUPEE, label_of

Model = dict[str, Any]
IST = "_at_ist"
IST_MINUTES = 330  # ahead of UTC, the year round
DOC_BLOCK = re.compile(r"{%-?\s*docs\s+(\w+)\s*-?%}(.*?){%-?\s*enddocs\s*-?%}", re.S)
DOC_REFERENCE = re.compile(r"{{\s*doc\(['\"](\w+)['\"]\)\s*}}")


def models(dbt_models: Path) -> dict[str, Model]:
    """Model -> its description and columns, as dbt's ymls state them, doc blocks filled in."""
    blocks = {
        name: text.strip()
        for path in sorted(dbt_models.rglob("*.md"))
        for name, text in DOC_BLOCK.findall(path.read_text())
    }

    def told(text: str) -> str:
        return " ".join(DOC_REFERENCE.sub(lambda found: blocks.get(found[1], ""), text).split())

    found: dict[str, Model] = {}
    for path in sorted(dbt_models.rglob("*.yml")):
        for model in (yaml.safe_load(path.read_text()) or {}).get("models", []):
            for described in (model, *model.get("columns", [])):
                described["description"] = told(str(described.get("description", "")))
            found[model["name"]] = model
    return found


def full(key: str, short: Short, model: Model | None, database: str) -> dict[str, Any]:
    """What Superset imports. `database` is the raw one; the mart lies in `<database>_marts`.

    Raises:
        AssetError: dbt knows no such model, or a measure has an unknown unit.
    """
    if model is None:
        raise AssetError(
            f"datasets/{key}.yaml: the dbt project has no model {key}; name the file as the mart"
        )
    schema = f"{database}_{short.get('layer', 'marts')}"
    return {
        "table_name": key,
        "schema": schema,
        "sql": _query(schema, key, model),
        "description": model["description"],
        "main_dttm_col": short.get("time"),
        "filter_select_enabled": True,
        "normalize_columns": False,
        "always_filter_main_dttm": False,
        "columns": [_column(column) for column in _shown(model)],
        "metrics": [_measure(key, name, said) for name, said in short.get("measures", {}).items()],
        "uuid": short.get("uuid", identity("dataset", key)),
        "database_uuid": DATABASE,
        "version": "1.0.0",
    }


def _shown(model: Model) -> list[dict[str, Any]]:
    """Without the UTC twin of a column in IST."""
    columns: list[dict[str, Any]] = model.get("columns", [])
    names = {column["name"] for column in columns}
    return [column for column in columns if f"{column['name']}_ist" not in names]


def _query(schema: str, key: str, model: Model) -> str | None:
    """The query that shows India's wall clock; None for a mart without times."""
    names = [column["name"] for column in _shown(model)]
    if not any(name.endswith(IST) for name in names):
        return None
    clock = f"addMinutes(toTimeZone({{0}}, 'UTC'), {IST_MINUTES}) as {{0}}"
    chosen = ",\n  ".join(clock.format(name) if name.endswith(IST) else name for name in names)
    return f"select\n  {chosen}\nfrom {schema}.{key}"


def _column(column: dict[str, Any]) -> dict[str, Any]:
    name = column["name"]
    kind = str(column.get("data_type") or "")
    meta = column.get("meta") or column.get("config", {}).get("meta") or {}
    return {
        "column_name": name,
        "verbose_name": meta.get("label", label_of(name)),
        "description": column["description"],
        "type": kind or None,
        "is_dttm": "Date" in kind or (not kind and name.endswith(("_at", IST, "_date"))),
        "is_active": True,
        "groupby": True,
        "filterable": True,
        "expression": None,
        "extra": {},
    }


def _measure(key: str, name: str, said: str | dict[str, Any]) -> dict[str, Any]:
    said = {"sql": said} if isinstance(said, str) else said
    unit_name = said.get("unit") or ("rupees" if "_rupees" in said["sql"] else "count")
    if unit_name not in BY_NAME:
        raise AssetError(
            f"datasets/{key}.yaml: measure {name}: no unit {unit_name!r}; there are {', '.join(BY_NAME)}"
        )
    unit = BY_NAME[unit_name]
    return {
        "metric_name": name,
        "verbose_name": said.get("label", label_of(name)),
        "expression": said["sql"],
        "description": said.get("description"),
        "d3format": ",.0f" if unit.currency else unit.number,
        "currency": RUPEE if unit.currency else None,
        "extra": {},
    }


def short(key: str, exported: dict[str, Any], present: Short) -> Short:
    """The short form of what Superset exported: its time column and its measures; the rest is dbt's.

    `present`: its short form so far, which says a measure's unit where several are shown alike.
    """
    said: Short = {}
    if not exported["schema"].endswith("_marts"):
        said["layer"] = exported["schema"].rpartition("_")[2]
    if exported.get("main_dttm_col"):
        said["time"] = exported["main_dttm_col"]
    if exported["uuid"] != identity("dataset", key):
        said["uuid"] = exported["uuid"]
    measures = {m["metric_name"]: _said(key, m, present) for m in sorted_measures(exported["metrics"])}
    if measures:
        said["measures"] = measures
    return said


def sorted_measures(measures: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """In order of their names: Superset keeps no order of its own."""
    return sorted(measures, key=lambda measure: str(measure["metric_name"]))


def _said(key: str, measure: dict[str, Any], present: Short) -> str | dict[str, Any]:
    """The shortest words that make this measure again."""
    name, sql = measure["metric_name"], measure["expression"]
    wanted = {field: measure.get(field) or None for field in ("verbose_name", "d3format", "currency")}
    said: dict[str, Any] = {"sql": sql}
    if measure.get("description"):
        said["description"] = measure["description"]
    if wanted["verbose_name"] not in (None, label_of(name)):
        said["label"] = wanted["verbose_name"]
    before = present.get("measures", {}).get(name)
    for unit in (before.get("unit") if isinstance(before, dict) else None, None, *BY_NAME):
        made = _measure(key, name, said | ({"unit": unit} if unit else {}))
        if (made["d3format"], made["currency"]) == (wanted["d3format"], wanted["currency"]):
            said |= {"unit": unit} if unit else {}
            break
    return sql if set(said) == {"sql"} else said
