"""The book of record: runs, intents, orders, order events, fills, consumer offsets."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE runs (
    run_id text PRIMARY KEY,
    mode text NOT NULL CHECK (mode IN ('paper', 'live')),
    session_date date NOT NULL,
    seed bigint NOT NULL,
    feed text NOT NULL,
    config_hash text NOT NULL,
    config text NOT NULL,
    code_version text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    result jsonb
);
CREATE TABLE intents (
    run_id text NOT NULL REFERENCES runs,
    intent_id text NOT NULL CHECK (intent_id ~ '^[A-Z2-7]{18}$'),
    seq bigint NOT NULL CHECK (seq >= 0),
    signal_id text NOT NULL,
    verdict_id text NOT NULL,
    config_hash text NOT NULL,
    strategy text NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('entry', 'exit', 'square_off')),
    token bigint NOT NULL,
    tradingsymbol text NOT NULL,
    side text NOT NULL CHECK (side IN ('BUY', 'SELL')),
    quantity bigint NOT NULL CHECK (quantity > 0),
    order_type text NOT NULL,
    limit_price_paise bigint NOT NULL CHECK (limit_price_paise >= 0),
    validity text NOT NULL,
    decision_price_paise bigint NOT NULL,
    event_at_ns bigint NOT NULL,
    journaled_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, intent_id)
);
CREATE TABLE orders (
    run_id text NOT NULL,
    intent_id text NOT NULL,
    slice integer NOT NULL CHECK (slice BETWEEN 0 AND 99),
    tag text NOT NULL CHECK (tag ~ '^[A-Z0-9]{1,20}$'),
    order_id text,
    status text NOT NULL,
    venue_status text NOT NULL DEFAULT '',
    quantity bigint NOT NULL CHECK (quantity > 0),
    filled_quantity bigint NOT NULL DEFAULT 0 CHECK (filled_quantity >= 0),
    outcome text NOT NULL DEFAULT '',
    message text NOT NULL DEFAULT '',
    submitted_at timestamptz,
    replied_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, intent_id, slice),
    FOREIGN KEY (run_id, intent_id) REFERENCES intents,
    CONSTRAINT orders_tag_once_per_run UNIQUE (run_id, tag),
    CONSTRAINT orders_order_id_once_per_run UNIQUE (run_id, order_id)
);
CREATE TABLE order_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id text NOT NULL REFERENCES runs,
    seq bigint NOT NULL CHECK (seq >= 0),
    intent_id text NOT NULL,
    order_id text NOT NULL,
    kind text NOT NULL,
    body text NOT NULL,
    session_seq bigint,
    session_body text,
    at_ns bigint NOT NULL,
    machine_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((session_seq IS NULL) = (session_body IS NULL)),
    CONSTRAINT order_events_seq_once_per_run UNIQUE (run_id, seq),
    CONSTRAINT order_events_session_seq_once_per_run UNIQUE (run_id, session_seq)
);
CREATE TABLE fills (
    run_id text NOT NULL,
    order_id text NOT NULL,
    trade_id text NOT NULL,
    intent_id text NOT NULL,
    token bigint NOT NULL,
    tradingsymbol text NOT NULL,
    side text NOT NULL CHECK (side IN ('BUY', 'SELL')),
    quantity bigint NOT NULL CHECK (quantity > 0),
    price_paise bigint NOT NULL CHECK (price_paise > 0),
    traded_at_ns bigint NOT NULL,
    journaled_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, order_id, trade_id),
    FOREIGN KEY (run_id, intent_id) REFERENCES intents
);
CREATE TABLE consumer_offsets (
    run_id text NOT NULL REFERENCES runs,
    consumer text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL CHECK (next_offset >= 0),
    PRIMARY KEY (run_id, consumer, topic, partition)
);
"""

# Append-only even for the owner of the table; only a superuser who drops the trigger can rewrite history.
TRIGGERS = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % refused: the table is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER order_events_append_only BEFORE UPDATE OR DELETE ON order_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER order_events_no_truncate BEFORE TRUNCATE ON order_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER fills_append_only BEFORE UPDATE OR DELETE ON fills
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER fills_no_truncate BEFORE TRUNCATE ON fills
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER intents_append_only BEFORE UPDATE OR DELETE ON intents
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER intents_no_truncate BEFORE TRUNCATE ON intents
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

# People read IST. `to_timestamp` keeps microseconds: the exact nanoseconds stay in the base tables.
VIEWS = """
CREATE FUNCTION ns_to_ist(ns bigint) RETURNS timestamp LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    $$ SELECT (timestamp '1970-01-01' + (ns / 1000) * interval '1 microsecond') + interval '5 hours 30 minutes' $$;
CREATE VIEW intents_ist AS
    SELECT i.*, ns_to_ist(i.event_at_ns) AS event_at_ist,
        i.journaled_at AT TIME ZONE 'Asia/Kolkata' AS journaled_at_ist
    FROM intents i;
CREATE VIEW orders_ist AS
    SELECT o.*, o.submitted_at AT TIME ZONE 'Asia/Kolkata' AS submitted_at_ist,
        o.replied_at AT TIME ZONE 'Asia/Kolkata' AS replied_at_ist,
        o.updated_at AT TIME ZONE 'Asia/Kolkata' AS updated_at_ist
    FROM orders o;
CREATE VIEW fills_ist AS
    SELECT f.*, ns_to_ist(f.traded_at_ns) AS traded_at_ist FROM fills f;
CREATE VIEW order_events_ist AS
    SELECT e.*, ns_to_ist(e.at_ns) AS at_ist, e.machine_at AT TIME ZONE 'Asia/Kolkata' AS machine_at_ist
    FROM order_events e;
CREATE VIEW runs_ist AS
    SELECT r.*, r.started_at AT TIME ZONE 'Asia/Kolkata' AS started_at_ist,
        r.ended_at AT TIME ZONE 'Asia/Kolkata' AS ended_at_ist
    FROM runs r;
"""


def upgrade() -> None:
    for script in (TABLES, TRIGGERS, VIEWS):
        op.execute(script)


def downgrade() -> None:
    for view in ("runs_ist", "order_events_ist", "fills_ist", "orders_ist", "intents_ist"):
        op.execute(f"DROP VIEW {view}")
    for table in ("consumer_offsets", "fills", "order_events", "orders", "intents", "runs"):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION ns_to_ist(bigint)")
    op.execute("DROP FUNCTION refuse_change()")
