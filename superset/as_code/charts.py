"""A chart: its kind, its dataset and the parameters its author chose."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from as_code.folder import AssetError, Short
from as_code.identity import identity
from as_code.units import cell_format

EXPLORE = Path(__file__).with_name("explore_defaults.yaml")

#: What Superset writes into every chart: ids of this installation, or drawn anew each time.
NOISE = {
    *("datasource", "slice_id", "dashboards", "dashboardId", "url_params", "extra_form_data", "viz_type"),
    *(
        "optionName",
        "filterOptionName",
        "datasourceWarning",
        "granularity_sqla",
        "isNew",
        "isExtra",
        "annotation_layers",
    ),
    *(
        "query_context",
        "sliceId",
        "label_colors",
        "shared_label_colors",
        "map_label_colors",
        "own_color_scheme",
    ),
    *("dashboard_color_scheme", "color_scheme_domain"),
}
COLUMN_WORDS = {"column_name"}  # of a column inside a parameter; the rest is the dataset's


def full(key: str, short: Short, datasets: dict[str, Short]) -> dict[str, Any]:
    """What Superset imports.

    Raises:
        AssetError: no such dataset, or the file lacks its name, dataset or kind.
    """
    for word in ("name", "dataset", "viz"):
        if word not in short:
            raise AssetError(f"charts/{key}.yaml: `{word}` is missing")
    if short["dataset"] not in datasets:
        raise AssetError(f"charts/{key}.yaml: no dataset {short['dataset']!r} in assets/datasets")
    params = {"adhoc_filters": [], "time_range": "No filter"} | short.get("params", {})
    if short["viz"] == "table":
        params["column_config"] = _cells(params, params.get("column_config", {}))
    return {
        "slice_name": short["name"],
        "description": short.get("description"),
        "viz_type": short["viz"],
        "params": {"viz_type": short["viz"], "datasource": "", **params},
        "query_context": None,
        "cache_timeout": None,
        "uuid": short.get("uuid", identity("chart", key)),
        "dataset_uuid": datasets[short["dataset"]].get("uuid", identity("dataset", short["dataset"])),
        "version": "1.0.0",
    }


def _cells(params: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """How each column of a table is shown: what its name says, then what the author said."""
    shown = {c: cell_format(c) for c in params.get("all_columns", []) if isinstance(c, str)}
    return {column: form for column, form in shown.items() if form} | said


def short(key: str, exported: dict[str, Any], dataset: str) -> Short:
    """The short form of what Superset exported: what differs from what it would assume anyway."""
    said: Short = {"name": exported["slice_name"], "dataset": dataset, "viz": exported["viz_type"]}
    if exported.get("description"):
        said["description"] = exported["description"]
    if exported["uuid"] != identity("chart", key):
        said["uuid"] = exported["uuid"]
    params = {k: v for k, v in quiet(exported.get("params") or {}).items() if v is not None}
    params["adhoc_filters"] = [f for f in params.get("adhoc_filters", []) if not _filters_nothing(f)]
    if said["viz"] == "table":
        named = _cells(params, {})
        said_forms = sorted(params.get("column_config", {}).items())  # Superset keeps no order of its own
        kept = {c: form for c, form in said_forms if form != named.get(c)}
        params["column_config"] = kept
    assumed = {"adhoc_filters": [], "time_range": "No filter", "column_config": {}} | assumed_by(said["viz"])
    params = {k: v for k, v in params.items() if not (k in assumed and v == assumed[k])}
    if params:
        said["params"] = dict(sorted(params.items()))
    return said


def _filters_nothing(found: dict[str, Any]) -> bool:
    """The editor's empty filter over the time column."""
    return found.get("operator") == "TEMPORAL_RANGE" and found.get("comparator") == "No filter"


@cache
def _explore_defaults() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(EXPLORE.read_text()) if EXPLORE.exists() else {}


def assumed_by(viz: str) -> dict[str, Any]:
    """What the chart editor writes of itself into a chart of this kind when it is saved."""
    return _explore_defaults().get(viz, {})


def quiet(node: Any) -> Any:
    """Without Superset's noise, at any depth."""
    if isinstance(node, list):
        return [quiet(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "column_name" in node and "id" in node:
        return {k: v for k, v in node.items() if k in COLUMN_WORDS}
    return {k: quiet(v) for k, v in node.items() if k not in NOISE}
