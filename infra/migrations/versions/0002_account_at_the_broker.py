"""What the account does besides our orders: foreign orders and fills, reconciliations, the findings told."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

TABLES = """
ALTER TABLE intents
    ADD COLUMN protection_bps bigint NOT NULL DEFAULT 0,
    ADD COLUMN attempt bigint NOT NULL DEFAULT 0;
CREATE TABLE foreign_orders (
    run_id text NOT NULL REFERENCES runs,
    order_id text NOT NULL,
    token bigint NOT NULL,
    tradingsymbol text NOT NULL,
    side text NOT NULL CHECK (side IN ('BUY', 'SELL')),
    product text NOT NULL,
    quantity bigint NOT NULL,
    filled_quantity bigint NOT NULL CHECK (filled_quantity >= 0),
    status text NOT NULL,
    venue_status text NOT NULL,
    placed_by text NOT NULL,
    by_broker boolean NOT NULL,
    seen_at_ns bigint NOT NULL,
    updated_at_ns bigint NOT NULL,
    PRIMARY KEY (run_id, order_id)
);
CREATE TABLE foreign_fills (
    run_id text NOT NULL,
    order_id text NOT NULL,
    trade_id text NOT NULL,
    token bigint NOT NULL,
    tradingsymbol text NOT NULL,
    side text NOT NULL CHECK (side IN ('BUY', 'SELL')),
    quantity bigint NOT NULL CHECK (quantity > 0),
    price_paise bigint NOT NULL CHECK (price_paise > 0),
    by_broker boolean NOT NULL,
    traded_at_ns bigint NOT NULL,
    journaled_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, order_id, trade_id),
    FOREIGN KEY (run_id, order_id) REFERENCES foreign_orders
);
CREATE TABLE reconciliations (
    run_id text NOT NULL REFERENCES runs,
    seq bigint NOT NULL,
    occasion text NOT NULL,
    verdict text NOT NULL CHECK (verdict IN ('equal', 'healed', 'halt')),
    orders bigint NOT NULL,
    trades bigint NOT NULL,
    positions bigint NOT NULL,
    differences jsonb NOT NULL,
    at_ns bigint NOT NULL,
    journaled_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, seq)
);
CREATE TABLE findings (
    run_id text NOT NULL REFERENCES runs,
    seq bigint NOT NULL CHECK (seq >= 0),
    kind text NOT NULL,
    body text NOT NULL,
    at_ns bigint NOT NULL,
    machine_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, seq)
);
"""
APPEND_ONLY = ("foreign_fills", "reconciliations", "findings")


def upgrade() -> None:
    op.execute(TABLES)
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def downgrade() -> None:
    for table in ("findings", "reconciliations", "foreign_fills", "foreign_orders"):
        op.execute(f"DROP TABLE {table}")
    op.execute("ALTER TABLE intents DROP COLUMN protection_bps, DROP COLUMN attempt")
