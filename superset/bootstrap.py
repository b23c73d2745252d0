"""Bring a Superset home to what this folder says: schema, roles, the owner, the connection and the assets.

Run by the Python of Superset's own environment; embedded and in compose alike. Nothing changed since the last
time: done at once. What was changed in the browser and not yet exported is kept in the home before an
import writes over it, and told as `kept <folder>`.

Environment: `$SUPERSET_HOME`, `$SUPERSET_CLICKHOUSE_URL`, `$SUPERSET_CLICKHOUSE_PASSWORD`,
`$SUPERSET_CLICKHOUSE_DATABASE` (the raw one), `$SUPERSET_DBT_MODELS` (folder of the dbt project's models).
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sys
from pathlib import Path
from typing import Any

import yaml
from export_assets import OWNER, exported, short_forms

HERE = Path(__file__).resolve().parent
OWNER_FILE = "owner.json"
STATE_FILE = "bootstrapped.json"
MIGRATED_WITH = ("requirements.lock", "superset_config.py")


def main() -> int:
    """0 when the home is as this folder says; 2 with one line where it cannot be."""
    from as_code import bundle, datasets, folder

    home = Path(os.environ["SUPERSET_HOME"])
    database = os.environ.get("SUPERSET_CLICKHOUSE_DATABASE", "kitepilot")
    try:
        assets = folder.read(HERE / "assets")
        contents = bundle.full(assets, datasets.models(dbt_models()), database)
    except folder.AssetError as err:
        sys.stderr.write(f"error: {err}\n")
        return 2
    contents["databases/ClickHouse.yaml"] = bundle.connection(
        os.environ["SUPERSET_CLICKHOUSE_URL"], os.environ["SUPERSET_CLICKHOUSE_PASSWORD"], database
    )
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    wanted = {"schema": _digest(*((HERE / name).read_text() for name in MIGRATED_WITH)), **parts(contents)}
    before = state(home)
    if wanted != {part: before.get(part) for part in wanted}:
        _bring(home, before, wanted, contents)
    return 0


def dbt_models() -> Path:
    """The dbt project's models: beside this folder, or where the environment says."""
    return Path(os.environ.get("SUPERSET_DBT_MODELS") or HERE.parent / "dbt_project" / "models")


def parts(contents: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What is remembered of an import: digests of connection and assets, and which ids are ours."""
    assets = {path: content for path, content in contents.items() if not path.startswith("databases/")}
    return {
        "connection": _digest(json.dumps(contents["databases/ClickHouse.yaml"], sort_keys=True)),
        "assets": _digest(json.dumps(assets, sort_keys=True)),
        "ours": {path: content["uuid"] for path, content in sorted(assets.items())},
    }


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def state(home: Path) -> dict[str, Any]:
    """What the last bootstrap left behind; empty for a new home."""
    try:
        return dict(json.loads((home / STATE_FILE).read_text()))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def _bring(home: Path, before: dict[str, Any], wanted: dict[str, Any], contents: dict[str, Any]) -> None:
    from superset.app import create_app

    app = create_app()
    with app.app_context():
        if before.get("schema") != wanted["schema"]:
            _migrate(app)
        owner = _owner(home)
        if before.get("assets") not in (None, wanted["assets"]):
            _keep_changes(home, before)
        _import(contents, owner)
        _remove(set(before.get("ours", {}).values()) - set(wanted["ours"].values()))
        digest = _exported_digest()
    draft = home / f"{STATE_FILE}.draft"
    draft.write_text(json.dumps(wanted | {"exported": digest}, indent=1))
    draft.replace(home / STATE_FILE)


def _migrate(app: Any) -> None:
    from flask_migrate import upgrade

    import superset
    from superset import security_manager

    upgrade(directory=str(Path(superset.__file__).parent / "migrations"))
    app.appbuilder.add_permissions(update_perms=True)
    security_manager.sync_role_definitions()


def _owner(home: Path) -> Any:
    """The one account of the home, its password drawn once and kept where only the owner reads it."""
    from superset import security_manager

    path = home / OWNER_FILE
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({"user": OWNER, "password": secrets.token_urlsafe(18)}, file)
    password = json.loads(path.read_text())["password"]
    found = security_manager.find_user(OWNER)
    if found is None:
        role = security_manager.find_role("Admin")
        found = security_manager.add_user(OWNER, "The", "owner", "owner@localhost", role, password=password)
    return found


def _import(contents: dict[str, dict[str, Any]], owner: Any) -> None:
    from superset.commands.importers.v1.assets import ImportAssetsCommand
    from superset.utils.core import override_user

    from superset import db

    metadata = {"version": "1.0.0", "type": "assets", "timestamp": "2026-01-01T00:00:00+00:00"}
    texts = {path: yaml.safe_dump(c) for path, c in {"metadata.yaml": metadata, **contents}.items()}
    with override_user(owner):
        ImportAssetsCommand(texts).run()
    db.session.commit()


def _remove(uuids: set[str]) -> None:
    """What an earlier bootstrap imported and the folder no longer has: dashboards first, datasets last."""
    from superset.connectors.sqla.models import SqlaTable
    from superset.models.dashboard import Dashboard
    from superset.models.slice import Slice

    from superset import db

    for kind in (Dashboard, Slice, SqlaTable):
        for found in db.session.query(kind).all():
            if str(found.uuid) in uuids:
                db.session.delete(found)
        db.session.commit()


def _exported_digest() -> str:
    return _digest(json.dumps(exported(), sort_keys=True, default=str))


def _keep_changes(home: Path, before: dict[str, Any]) -> None:
    """What was changed in the browser since the last import is kept before it is written over."""
    from as_code import folder

    digest = _exported_digest()
    if digest != before.get("exported"):
        kept = home / "changed_in_the_browser" / digest[:12]
        folder.write(kept, short_forms())
        print(f"kept {kept}")


if __name__ == "__main__":
    sys.exit(main())
