"""A dashboard: its title, filters and rows."""

from __future__ import annotations

from typing import Any

from as_code import filters, layout
from as_code.folder import AssetError, Short
from as_code.identity import identity

COLOURS = "supersetColors"


def full(key: str, short: Short, charts: dict[str, Short], datasets: dict[str, Short]) -> dict[str, Any]:
    """What Superset imports. Its address is `/superset/dashboard/<file's name>/`.

    Raises:
        AssetError: the file lacks its title or rows, or names what is not there.
    """
    for word in ("title", "rows"):
        if word not in short:
            raise AssetError(f"dashboards/{key}.yaml: `{word}` is missing")
    grid = layout.full(key, short["title"], short["rows"], charts)
    return {
        "dashboard_title": short["title"],
        "description": short.get("description"),
        "slug": key,
        "css": short.get("css", ""),
        "published": True,
        "uuid": short.get("uuid", identity("dashboard", key)),
        "position": grid.nodes,
        "metadata": {
            "refresh_frequency": short.get("refresh_s", 0),
            "color_scheme": short.get("colours", COLOURS),
            "label_colors": short.get("label_colours", {}),
            "cross_filters_enabled": short.get("cross_filters", True),
            "timed_refresh_immune_slices": [],
            "expanded_slices": {},
            "native_filter_configuration": [
                filters.full(key, said, datasets, grid.shown) for said in short.get("filters", [])
            ],
        },
        "version": "1.0.0",
    }


def short(
    key: str, exported: dict[str, Any], chart_keys: dict[str, str], dataset_keys: dict[str, str]
) -> Short:
    """The short form of what Superset exported. Keys: uuid -> file's name."""
    metadata = exported.get("metadata") or {}
    native = metadata.get("native_filter_configuration", [])
    names = {found["id"]: found["name"] for found in native}
    numbers = {
        node["meta"]["chartId"]: chart_keys[node["meta"]["uuid"]]
        for node in exported["position"].values()
        if isinstance(node, dict) and node.get("type") == "CHART" and node["meta"].get("uuid") in chart_keys
    }
    chosen = {
        "title": exported["dashboard_title"],
        "description": exported.get("description"),
        "uuid": exported["uuid"] if exported["uuid"] != identity("dashboard", key) else None,
        "refresh_s": metadata.get("refresh_frequency"),
        "colours": metadata["color_scheme"]
        if metadata.get("color_scheme") not in (None, "", COLOURS)
        else None,
        "label_colours": metadata.get("label_colors"),
        "css": exported.get("css"),
        "filters": [
            filters.short(f, dataset_keys, names, numbers) for f in native if f.get("type") == "NATIVE_FILTER"
        ],
    }
    said = {word: value for word, value in chosen.items() if value}
    if metadata.get("cross_filters_enabled") is False:
        said["cross_filters"] = False
    return said | {"rows": layout.short(exported["position"], chart_keys)}
