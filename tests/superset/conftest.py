"""The dashboards over a traded paper day: one Superset for all tests that need a browser or the API.

`$KITEPILOT_DASHBOARDS_HOME` names the home of a paper day that was traded already (it is copied); without it
one is traded here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "superset"))

from served_dashboards import Served, chromium, missing, serve, traded_home  # noqa: E402


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Superset with every dashboard over a traded day."""
    if reason := missing():
        pytest.skip(reason)
    home = traded_home(tmp_path_factory.mktemp("dashboards"))
    with serve(home) as found:
        yield found


@pytest.fixture(scope="session")
def browser_program() -> str:
    program = chromium()
    if program is None:
        pytest.skip("no Chromium: apt-get install chromium")
    pytest.importorskip("playwright", reason="playwright is not installed: `make bootstrap`")
    return program


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures go: `$KITEPILOT_SCREENSHOTS`, to look at them; else nowhere that lasts."""
    given = os.environ.get("KITEPILOT_SCREENSHOTS")
    folder = Path(given) if given else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
