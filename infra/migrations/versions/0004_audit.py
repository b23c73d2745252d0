"""The audit: an append-only chain of records, its seals, and how far the topics were read into it."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

TABLES = """
CREATE TABLE audit (
    seq bigint PRIMARY KEY CHECK (seq > 0),
    run_id text NOT NULL,
    kind text NOT NULL,
    source text NOT NULL,
    topic text NOT NULL,
    log_offset bigint NOT NULL,
    subject text NOT NULL,
    intent_id text NOT NULL,
    order_id text NOT NULL,
    event_at bigint NOT NULL,
    recorded_at bigint NOT NULL,
    body text NOT NULL,
    prev_hash bytea NOT NULL CHECK (length(prev_hash) = 32),
    hash bytea NOT NULL CHECK (length(hash) = 32)
);
CREATE INDEX audit_of_run ON audit (run_id, seq);
CREATE INDEX audit_of_intent ON audit (intent_id) WHERE intent_id <> '';
CREATE INDEX audit_of_order ON audit (order_id) WHERE order_id <> '';
CREATE INDEX audit_of_subject ON audit (subject) WHERE subject <> '';
CREATE TABLE audit_seals (
    number bigint PRIMARY KEY CHECK (number > 0),
    run_id text NOT NULL,
    session_date date NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL UNIQUE CHECK (last_seq >= first_seq),
    statement text NOT NULL,
    signature text NOT NULL,
    public_key text NOT NULL
);
CREATE TABLE audit_streams (
    log text NOT NULL,
    topic text NOT NULL,
    turn bigint NOT NULL,
    run_id text NOT NULL,
    first_offset bigint NOT NULL,
    next_offset bigint NOT NULL CHECK (next_offset >= first_offset),
    records bigint NOT NULL,
    digest bytea NOT NULL CHECK (length(digest) = 32),
    PRIMARY KEY (log, topic, turn)
);
CREATE TABLE audit_sources (
    run_id text NOT NULL,
    topic text NOT NULL,
    source text NOT NULL,
    last_seq bigint NOT NULL,
    PRIMARY KEY (run_id, topic, source)
);
"""
APPEND_ONLY = ("audit", "audit_seals")
VIEW = """
CREATE VIEW audit_ist AS
    SELECT a.*, ns_to_ist(a.event_at) AS event_at_ist, ns_to_ist(a.recorded_at) AS recorded_at_ist
    FROM audit a;
"""


def upgrade() -> None:
    op.execute(TABLES)
    for table in APPEND_ONLY:
        # ALWAYS: not skipped either by a session that calls itself a replica
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change();"
            f"CREATE TRIGGER {table}_no_truncate BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();"
            f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only;"
            f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_truncate;"
            f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM PUBLIC, CURRENT_USER"
        )
    op.execute(VIEW)


def downgrade() -> None:
    op.execute("DROP VIEW audit_ist")
    for table in ("audit_sources", "audit_streams", "audit_seals", "audit"):
        op.execute(f"DROP TABLE {table}")
