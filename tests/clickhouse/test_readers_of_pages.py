"""Dashboards ask many small questions at once: none of them may use up what the server can hold open."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from infra.clickhouse import accounts
from kitepilot.run import Run

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "superset"))

from as_code.bundle import connection

pytestmark = pytest.mark.stack


def test_a_chart_leaves_no_session_open_on_the_server(run: Run) -> None:
    """Each question of Superset is a connection of its own; a session would count as open for a minute after
    it, and a reader who leafs through six pages would meet the server's limit of open sessions."""
    folder = accounts.folder_of(run.home)
    if not folder.is_dir():
        pytest.skip("a server of somebody else's: its passwords are not known")
    made = connection(run.config.storage.clickhouse_url, accounts.password(folder, "superset"), "default")
    address = made["sqlalchemy_uri"].replace("/default_marts", "/default")
    engine = create_engine(address, poolclass=NullPool, **made["extra"]["engine_params"])
    with engine.connect() as asking:
        assert asking.execute(text("SELECT 1")).scalar() == 1
        driver = asking.connection.dbapi_connection.client
        assert "session_id" not in driver.params
