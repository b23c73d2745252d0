"""Alembic, driven from code: the migrations travel with the package and need no ini file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config as AlembicConfig

SCRIPTS = Path(__file__).parent.parent / "migrations"
LOCK_KEY = 0x4B495445  # "KITE": one migrator at a time


def alembic_config(url: str) -> AlembicConfig:
    """Alembic's configuration for `url`. The connection itself is handed over by `migrate`."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["url"] = url
    return config


def migrate(url: str, revision: str = "head") -> None:
    """Upgrade the database at `url` (SQLAlchemy URL) to `revision`; several callers at once are safe."""
    run_command(url, lambda config: command.upgrade(config, revision))


def downgrade(url: str, revision: str = "base") -> None:
    """Take the schema back to `revision`. For tests and for an operator who knows why."""
    run_command(url, lambda config: command.downgrade(config, revision))


def run_command(url: str, do: Callable[[AlembicConfig], None]) -> None:
    """Run one Alembic command on its own connection, under an advisory lock."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    config = alembic_config(url)
    try:
        with engine.begin() as connection:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
            config.attributes["connection"] = connection
            do(config)
    finally:
        engine.dispose()
