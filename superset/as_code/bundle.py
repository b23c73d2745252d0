"""The whole folder as one bundle that Superset imports, and Superset's export as the whole folder again."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlsplit

from as_code import charts, dashboards, datasets, folder
from as_code.folder import Short
from as_code.identity import DATABASE, identity

Bundle = dict[str, dict[str, Any]]  # path in the bundle -> content
Assets = dict[str, dict[str, Short]]


def full(assets: Assets, models: dict[str, datasets.Model], database: str) -> Bundle:
    """Datasets, charts and dashboards as Superset imports them; without the connection.

    Raises:
        folder.AssetError: a file names what is not there.
    """
    found: Bundle = {}
    for key, short in assets["datasets"].items():
        found[f"datasets/ClickHouse/{key}.yaml"] = datasets.full(key, short, models.get(key), database)
    for key, short in assets["charts"].items():
        found[f"charts/{key}.yaml"] = charts.full(key, short, assets["datasets"])
    for key, short in assets["dashboards"].items():
        found[f"dashboards/{key}.yaml"] = dashboards.full(key, short, assets["charts"], assets["datasets"])
    return found


def connection(url: str, password: str, database: str) -> dict[str, Any]:
    """ClickHouse as Superset's database: the reading account, nothing written, nothing uploaded."""
    place = urlsplit(url)
    secure = "?secure=true" if place.scheme == "https" else ""
    port = place.port or (8443 if secure else 8123)
    return {
        "database_name": "ClickHouse",
        "sqlalchemy_uri": f"clickhousedb://superset:{quote(password, safe='')}@{place.hostname}:{port}"
        f"/{database}_marts{secure}",
        "expose_in_sqllab": True,
        "allow_run_async": False,
        "allow_ctas": False,
        "allow_cvas": False,
        "allow_dml": False,
        "allow_file_upload": False,
        "cache_timeout": 0,
        "extra": {
            "allows_virtual_table_explore": True,
            "metadata_params": {},
            # a session for each query would count as open for a minute: nothing here needs one
            "engine_params": {"connect_args": {"compress": False, "autogenerate_session_id": False}},
        },
        "uuid": DATABASE,
        "version": "1.0.0",
    }


def shortened(exported: Bundle, present: Assets) -> Assets:
    """The folder an export comes to. `present` gives known things their names; new ones get their title's."""
    parts = {kind: _of_kind(exported, kind) for kind in folder.KINDS}
    keys = {kind: _keys(kind, parts[kind], present[kind]) for kind in folder.KINDS}
    short: Assets = {kind: {} for kind in folder.KINDS}
    for found in parts["datasets"]:
        key = keys["datasets"][found["uuid"]]
        short["datasets"][key] = datasets.short(key, found, present["datasets"].get(key, {}))
    for found in parts["charts"]:
        key = keys["charts"][found["uuid"]]
        short["charts"][key] = charts.short(key, found, keys["datasets"][found["dataset_uuid"]])
    for found in parts["dashboards"]:
        key = keys["dashboards"][found["uuid"]]
        short["dashboards"][key] = dashboards.short(key, found, keys["charts"], keys["datasets"])
    return short


def _of_kind(exported: Bundle, kind: str) -> list[dict[str, Any]]:
    found = [content for path, content in exported.items() if path.startswith(f"{kind}/")]
    return sorted(found, key=lambda content: str(content["uuid"]))


def _keys(kind: str, exported: list[dict[str, Any]], present: dict[str, Short]) -> dict[str, str]:
    """uuid -> file's name: the one it has, else one made of its title that no other has."""
    noun = kind.removesuffix("s")
    known = {said.get("uuid", identity(noun, key)): key for key, said in present.items()}
    keys = {content["uuid"]: known[content["uuid"]] for content in exported if content["uuid"] in known}
    for content in exported:
        if content["uuid"] in keys:
            continue
        title = content.get("table_name") or content.get("slice_name") or content["dashboard_title"]
        wanted = name = re.sub(r"[^a-z0-9]+", "_" if kind != "dashboards" else "-", title.lower()).strip("_-")
        number = 2
        while name in keys.values() or name in present:
            name, number = f"{wanted}_{number}", number + 1
        keys[content["uuid"]] = name
    return keys
