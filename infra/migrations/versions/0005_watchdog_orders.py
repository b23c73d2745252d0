"""What the watchdog sent, copied from its journal."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

TABLE = """
CREATE TABLE watchdog_orders (
    run_id text NOT NULL REFERENCES runs,
    seq bigint NOT NULL CHECK (seq >= 0),
    at timestamptz NOT NULL,
    session_at_ns bigint NOT NULL,
    kind text NOT NULL,
    config_hash text NOT NULL,
    intent_id text NOT NULL,
    tag text NOT NULL,
    order_id text NOT NULL,
    token bigint NOT NULL,
    tradingsymbol text NOT NULL,
    side text NOT NULL CHECK (side IN ('BUY', 'SELL')),
    quantity bigint NOT NULL CHECK (quantity > 0),
    protection_bps bigint NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    copied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, seq)
);
"""


def upgrade() -> None:
    op.execute(TABLE)
    op.execute(
        "CREATE TRIGGER watchdog_orders_append_only BEFORE UPDATE OR DELETE ON watchdog_orders "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER watchdog_orders_no_truncate BEFORE TRUNCATE ON watchdog_orders "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    op.execute("DROP TABLE watchdog_orders")
