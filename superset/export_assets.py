"""Write the dashboards of a Superset home back into short forms: only what was changed changes.

Run by the Python of Superset's own environment. `--check` writes nothing and ends with 1 where a file would
change. Prints `changed <file>` for each.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
OWNER = "owner"


def main() -> int:
    """0 when done; 1 with `--check` where the folder differs from the home."""
    from as_code import folder
    from superset.app import create_app

    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true")
    arguments.add_argument("--into", type=Path, default=HERE / "assets")
    said = arguments.parse_args()
    with create_app().app_context():
        changed = folder.write(said.into, short_forms(said.into), check=said.check)
    for path in changed:
        print(f"changed {path}")
    return 1 if said.check and changed else 0


def exported() -> dict[str, dict[str, Any]]:
    """Every dataset, chart and dashboard of the home as Superset tells it: path -> content."""
    from superset.commands.export.assets import ExportAssetsCommand
    from superset.utils.core import override_user

    from superset import security_manager

    with override_user(security_manager.find_user(OWNER)):
        told = {path: yaml.safe_load(content()) for path, content in ExportAssetsCommand().run()}
    return {path: c for path, c in told.items() if path.startswith(("datasets/", "charts/", "dashboards/"))}


def short_forms(present: Path = HERE / "assets") -> dict[str, dict[str, Any]]:
    """The same, short; names as in the folder `present`."""
    from as_code import bundle, folder

    return bundle.shortened(exported(), folder.read(present))


if __name__ == "__main__":
    sys.exit(main())
