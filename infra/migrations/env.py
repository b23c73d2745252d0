"""Alembic environment: online only, on the connection `infra.postgres.migrate` opened."""

from __future__ import annotations

from alembic import context

from infra.postgres.tables import METADATA

connection = context.config.attributes.get("connection")
if connection is None:
    raise RuntimeError("run migrations through infra.postgres.migrate.migrate(url)")
context.configure(connection=connection, target_metadata=METADATA, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
