"""Where things stand on a dashboard: rows read from top to bottom, and Superset's grid of ids.

Short: a list of rows. A row is a list of items (`chart`, `text`, `column`), or one of `header`, `divider`,
`tabs`. Widths are twelfths of the page, heights Superset's units (8 pixels).
"""

from __future__ import annotations

from typing import Any

from as_code.folder import AssetError
from as_code.identity import identity

Position = dict[str, Any]
Row = Any
WIDTH, HEIGHT = 4, 50
GRID = "GRID_ID"


class Grid:
    """Superset's position tree while it is written; ids are numbered as they come."""

    def __init__(self, dashboard: str, charts: dict[str, dict[str, Any]]) -> None:
        self.dashboard = dashboard
        self.charts = charts
        self.shown: dict[str, int] = {}  # chart -> its number on this dashboard
        self.nodes: Position = {}

    def add(self, kind: str, parents: list[str], meta: dict[str, Any]) -> str:
        node = f"{kind}-{len(self.nodes):03d}"
        self.nodes[node] = {"type": kind, "id": node, "children": [], "parents": parents, "meta": meta}
        self.nodes[parents[-1]]["children"].append(node)
        return node

    def rows(self, rows: list[Row], parents: list[str]) -> None:
        for row in rows:
            if isinstance(row, list):
                node = self.add("ROW", parents, {"background": "BACKGROUND_TRANSPARENT"})
                for item in row:
                    self.item(item, [*parents, node])
            elif "tabs" in row:
                tabs = self.add("TABS", parents, {})
                for tab in row["tabs"]:
                    node = self.add(
                        "TAB", [*parents, tabs], {"text": tab["title"], "defaultText": "Tab title"}
                    )
                    self.rows(tab["rows"], [*parents, tabs, node])
            elif "header" in row:
                meta = {"text": row["header"], "headerSize": "MEDIUM_HEADER"}
                self.add("HEADER", parents, meta | {"background": "BACKGROUND_TRANSPARENT"})
            elif "divider" in row:
                self.add("DIVIDER", parents, {})
            else:
                raise AssetError(f"dashboards/{self.dashboard}.yaml: not a row: {row}")

    def item(self, item: dict[str, Any], parents: list[str]) -> None:
        size = {"width": item.get("width", WIDTH), "height": item.get("height", HEIGHT)}
        if "chart" in item:
            key = item["chart"]
            if key not in self.charts:
                raise AssetError(f"dashboards/{self.dashboard}.yaml: no chart {key!r} in assets/charts")
            number = self.shown.setdefault(key, len(self.shown) + 1)
            name = {"sliceNameOverride": item["name"]} if "name" in item else {}
            uuid = self.charts[key].get("uuid", identity("chart", key))
            meta = {"chartId": number, "uuid": uuid, "sliceName": self.charts[key].get("name", key)}
            self.add("CHART", parents, meta | size | name)
        elif "text" in item:
            self.add("MARKDOWN", parents, {"code": item["text"], **size})
        elif "column" in item:
            meta = {"width": size["width"], "background": "BACKGROUND_TRANSPARENT"}
            node = self.add("COLUMN", parents, meta)
            for inner in item["column"]:
                self.item(inner, [*parents, node])
        else:
            raise AssetError(f"dashboards/{self.dashboard}.yaml: not an item of a row: {item}")


def full(dashboard: str, title: str, rows: list[Row], charts: dict[str, dict[str, Any]]) -> Grid:
    """The position tree. Raises `AssetError` for a chart that is not there or a row that is none."""
    grid = Grid(dashboard, charts)
    grid.nodes = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": [GRID]},
        GRID: {"type": "GRID", "id": GRID, "children": [], "parents": ["ROOT_ID"]},
        "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": title}},
    }
    if len(rows) == 1 and isinstance(rows[0], dict) and "tabs" in rows[0]:  # tabs over the whole page
        grid.nodes["ROOT_ID"]["children"] = []
        grid.rows(rows, ["ROOT_ID"])
    else:
        grid.rows(rows, ["ROOT_ID", GRID])
    return grid


def short(position: Position, keys: dict[str, str]) -> list[Row]:
    """The rows of an exported position tree. `keys`: uuid of a chart -> its file's name."""
    top = position["ROOT_ID"]["children"]
    if top and position[top[0]]["type"] == "GRID":
        top = position[top[0]]["children"]
    return [_row(position, node, keys) for node in top]


def _row(position: Position, node: str, keys: dict[str, str]) -> Row:
    found = position[node]
    kind, children = found["type"], found.get("children", [])
    if kind == "ROW":
        return [_item(position, child, keys) for child in children]
    if kind == "TABS":
        tabs = [position[tab] for tab in children]
        return {
            "tabs": [
                {"title": tab["meta"]["text"], "rows": [_row(position, row, keys) for row in tab["children"]]}
                for tab in tabs
            ]
        }
    if kind == "HEADER":
        return {"header": found["meta"]["text"]}
    if kind == "DIVIDER":
        return {"divider": True}
    return [_item(position, node, keys)]  # dropped straight onto the page


def _item(position: Position, node: str, keys: dict[str, str]) -> dict[str, Any]:
    found = position[node]
    meta = found["meta"]
    size = {} if meta.get("width", WIDTH) == WIDTH else {"width": meta["width"]}
    if found["type"] == "COLUMN":
        return {**size, "column": [_item(position, child, keys) for child in found["children"]]}
    size |= {} if meta.get("height", HEIGHT) == HEIGHT else {"height": meta["height"]}
    if found["type"] == "MARKDOWN":
        return {"text": meta["code"], **size}
    name = {"name": meta["sliceNameOverride"]} if meta.get("sliceNameOverride") else {}
    return {"chart": keys[meta["uuid"]], **size, **name}
