"""A dashboard's filters, a line each: over which column of which dataset, and how it begins."""

from __future__ import annotations

from typing import Any

from as_code.folder import AssetError, Short
from as_code.identity import identity

KINDS = {"select": "filter_select", "time": "filter_time", "range": "filter_range"}


def filter_id(name: str) -> str:
    """Superset's id of a filter, from its name."""
    return "NATIVE_FILTER-" + identity("filter", name)[:12]


def full(dashboard: str, short: Short, datasets: dict[str, Short], shown: dict[str, int]) -> dict[str, Any]:
    """What Superset imports. `shown`: chart -> its number on the dashboard.

    Raises:
        AssetError: an unknown kind, dataset or chart.
    """
    where = f"dashboards/{dashboard}.yaml: filter {short.get('name', '?')}"
    kind = KINDS.get(short.get("kind", "select"))
    if kind is None:
        raise AssetError(f"{where}: no kind {short['kind']!r}; there are {', '.join(KINDS)}")
    if "dataset" in short and short["dataset"] not in datasets:
        raise AssetError(f"{where}: no dataset {short['dataset']!r} in assets/datasets")
    strangers = [chart for chart in short.get("not_for", []) if chart not in shown]
    if strangers:
        raise AssetError(f"{where}: not on this dashboard: {', '.join(strangers)}")
    return {
        "id": filter_id(short["name"]),
        "name": short["name"],
        "type": "NATIVE_FILTER",
        "filterType": kind,
        "description": short.get("description", ""),
        "targets": _targets(short, datasets),
        "controlValues": {
            "multiSelect": short.get("multiple", True),
            "enableEmptyFilter": short.get("required", False),
            "defaultToFirstItem": short.get("first", False),
            "searchAllOptions": False,
            "inverseSelection": False,
            **({"sortAscending": False} if short.get("descending") else {}),
        },
        **({"requiredFirst": True} if short.get("first") else {}),  # or it is shown and not applied
        "defaultDataMask": _mask(short),
        "cascadeParentIds": [filter_id(name) for name in short.get("under", [])],
        "scope": {"rootPath": ["ROOT_ID"], "excluded": [shown[c] for c in short.get("not_for", [])]},
        "chartsInScope": [],
        "tabsInScope": [],
    }


def _targets(short: Short, datasets: dict[str, Short]) -> list[dict[str, Any]]:
    if "dataset" not in short:
        return [{}]
    uuid = datasets[short["dataset"]].get("uuid", identity("dataset", short["dataset"]))
    return [{"datasetUuid": uuid, "column": {"name": short["column"]}}]


def _mask(short: Short) -> dict[str, Any]:
    """What the filter begins with."""
    if "default" not in short:
        return {"filterState": {}, "extraFormData": {}}
    value = short["default"]
    if short.get("kind") == "time":
        return {"filterState": {"value": value}, "extraFormData": {"time_range": value}}
    values = value if isinstance(value, list) else [value]
    chosen = [{"col": short["column"], "op": "IN", "val": values}]
    return {"filterState": {"value": values}, "extraFormData": {"filters": chosen}}


def short(
    exported: dict[str, Any], keys: dict[str, str], names: dict[str, str], charts: dict[int, str]
) -> Short:
    """The short form. `keys`: uuid -> dataset, `names`: id -> filter, `charts`: number -> chart."""
    target = (exported.get("targets") or [{}])[0]
    control = exported.get("controlValues", {})
    said: Short = {"name": exported["name"]}
    if target.get("datasetUuid"):
        said |= {"column": target["column"]["name"], "dataset": keys[target["datasetUuid"]]}
    kind = {v: k for k, v in KINDS.items()}[exported["filterType"]]
    under = [names[parent] for parent in exported.get("cascadeParentIds", []) if parent in names]
    excluded = exported.get("scope", {}).get("excluded", [])
    default = exported.get("defaultDataMask", {}).get("filterState", {}).get("value")
    first = bool(control.get("defaultToFirstItem"))
    chosen = {
        "kind": kind if kind != "select" else None,
        "description": exported.get("description"),
        "multiple": False if control.get("multiSelect") is False else None,
        "required": bool(control.get("enableEmptyFilter")),
        "first": first,
        "descending": control.get("sortAscending") is False,
        "default": None if first else default,
        "under": under,
        "not_for": sorted(charts[number] for number in excluded if number in charts),
    }
    return said | {
        word: value for word, value in chosen.items() if value or (value is False and word == "multiple")
    }
