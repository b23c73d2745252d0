"""Versions of the risk profile: written once, never changed."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

TABLE = """
CREATE TABLE risk_profiles (
    mode text NOT NULL CHECK (mode IN ('paper', 'live')),
    version bigint NOT NULL CHECK (version > 0),
    profile jsonb NOT NULL,
    origin text NOT NULL CHECK (origin IN ('configuration', 'owner')),
    active_from_ns bigint NOT NULL CHECK (active_from_ns >= 0),
    created_by text NOT NULL,
    reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (mode, version)
);
CREATE TRIGGER risk_profiles_append_only BEFORE UPDATE OR DELETE ON risk_profiles
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER risk_profiles_no_truncate BEFORE TRUNCATE ON risk_profiles
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    op.execute(TABLE)


def downgrade() -> None:
    op.execute("DROP TABLE risk_profiles")
