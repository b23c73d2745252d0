"""The stores and what they remember of the last run, for the morning's checks."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from infra.postgres.embedded import PostgresError, database_url
from infra.postgres.tables import runs
from kitepilot.cli.readiness.judgement import LastRun
from kitepilot.config import Config
from kitepilot.run import Run

TIMEOUT_S = 3


def last_run(config: Config, home: Path, besides: str) -> LastRun | None:
    """The newest run of this mode but `besides`, from PostgreSQL; where that is silent, from its folder."""
    try:
        with _connection(config, home) as db:
            query = sa.select(runs.c.run_id, runs.c.result)
            query = query.where(runs.c.mode == config.mode, runs.c.run_id != besides)
            row = db.execute(query.order_by(runs.c.started_at.desc()).limit(1)).one_or_none()
            return None if row is None else _ended(str(row.run_id), row.result)
    except (PostgresError, sa.exc.SQLAlchemyError):
        return _newest_folder(home, config.mode, besides)


def postgres_trouble(config: Config, home: Path) -> str | None:
    """None when PostgreSQL answers, else why not."""
    try:
        with _connection(config, home) as db:
            db.execute(sa.text("select 1"))
    except (PostgresError, sa.exc.SQLAlchemyError) as err:
        address = sa.make_url(config.storage.database_url or "embedded://").render_as_string()
        return f"{address} does not answer ({type(err).__name__})"
    return None


def clickhouse_trouble(config: Config, home: Path) -> str | None:
    """None when ClickHouse answers and knows us, else why not."""
    from infra.clickhouse.client import ClickHouseUnreachableError, connect

    parts = urlsplit(config.storage.clickhouse_url)
    try:
        # the driver writes to standard error where nobody listens
        socket.create_connection((parts.hostname or "", parts.port or 8123), TIMEOUT_S).close()
        connect(_nowhere(config, home), "api", database="default", wait_s=0).close()
    except OSError as err:
        return f"{config.storage.clickhouse_url} takes no connection ({type(err).__name__})"
    except ClickHouseUnreachableError as err:
        return str(err)
    return None


def log_trouble(config: Config) -> str | None:
    """None when one of the log's brokers takes a connection (the embedded log always answers)."""
    if config.log.kind == "sqlite":
        return None
    for server in config.log.bootstrap_servers.split(","):
        parts = urlsplit(f"//{server.strip()}")
        try:
            with socket.create_connection((parts.hostname or "", parts.port or 9092), TIMEOUT_S):
                return None
        except OSError:
            continue
    return f"none of {config.log.bootstrap_servers} takes a connection"


@contextmanager
def _connection(config: Config, home: Path) -> Iterator[sa.Connection]:
    url = sa.make_url(database_url(_nowhere(config, home)))
    engine = sa.create_engine(url, connect_args={"connect_timeout": TIMEOUT_S}, poolclass=sa.NullPool)
    try:
        with engine.connect() as db:
            yield db
    finally:
        engine.dispose()


def _nowhere(config: Config, home: Path) -> Run:
    """What the stores' addresses are computed from; no run of that name exists."""
    return Run("readiness", home / "runs" / "readiness", config)


def _newest_folder(home: Path, mode: str, besides: str) -> LastRun | None:
    known = [path for path in (home / "runs").glob(f"{mode}-*-*") if path.name != besides]
    folders = sorted(known, key=lambda path: path.stat().st_mtime)
    if not folders:
        return None
    try:
        return _ended(folders[-1].name, json.loads((folders[-1] / "result.json").read_text()))
    except (OSError, ValueError):
        return LastRun(folders[-1].name, None, 0)


def _ended(run_id: str, result: Any) -> LastRun:
    if not isinstance(result, dict):
        return LastRun(run_id, None, 0)
    why = str(result.get("first_difference", ""))
    return LastRun(run_id, bool(result.get("reconciled")), int(result.get("open_positions", 0)), why)
