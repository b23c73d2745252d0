"""The book of record as SQLAlchemy Core tables. Migrations create them; a test holds the two equal.

Times are `timestamptz` (UTC) for people and `bigint` nanoseconds where order matters; money is bigint
paise; every row belongs to a run.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

METADATA = sa.MetaData()
UTC_TIME = sa.TIMESTAMP(timezone=True)

runs = sa.Table(
    "runs",
    METADATA,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("mode", sa.Text, nullable=False),
    sa.Column("session_date", sa.Date, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("feed", sa.Text, nullable=False),
    sa.Column("config_hash", sa.Text, nullable=False),
    sa.Column("config", sa.Text, nullable=False),
    sa.Column("code_version", sa.Text, nullable=False),
    sa.Column("started_at", UTC_TIME, nullable=False, server_default=sa.text("clock_timestamp()")),
    sa.Column("ended_at", UTC_TIME),
    sa.Column("result", JSONB),
)

intents = sa.Table(
    "intents",
    METADATA,
    sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id"), primary_key=True),
    sa.Column("intent_id", sa.Text, primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("signal_id", sa.Text, nullable=False),
    sa.Column("verdict_id", sa.Text, nullable=False),
    sa.Column("config_hash", sa.Text, nullable=False),
    sa.Column("strategy", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("tradingsymbol", sa.Text, nullable=False),
    sa.Column("side", sa.Text, nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("order_type", sa.Text, nullable=False),
    sa.Column("limit_price_paise", sa.BigInteger, nullable=False),
    sa.Column("validity", sa.Text, nullable=False),
    sa.Column("decision_price_paise", sa.BigInteger, nullable=False),
    sa.Column("event_at_ns", sa.BigInteger, nullable=False),
    sa.Column("journaled_at", UTC_TIME, nullable=False, server_default=sa.text("clock_timestamp()")),
    sa.Column("protection_bps", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("attempt", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("models", ARRAY(sa.Text), nullable=False, server_default="{}"),
)

orders = sa.Table(
    "orders",
    METADATA,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("intent_id", sa.Text, primary_key=True),
    sa.Column("slice", sa.Integer, primary_key=True),
    sa.Column("tag", sa.Text, nullable=False),
    sa.Column("order_id", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("venue_status", sa.Text, nullable=False, server_default=""),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("filled_quantity", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("outcome", sa.Text, nullable=False, server_default=""),
    sa.Column("message", sa.Text, nullable=False, server_default=""),
    sa.Column("submitted_at", UTC_TIME),
    sa.Column("replied_at", UTC_TIME),
    sa.Column("updated_at", UTC_TIME, nullable=False, server_default=sa.text("clock_timestamp()")),
    sa.ForeignKeyConstraint(["run_id", "intent_id"], ["intents.run_id", "intents.intent_id"]),
    sa.UniqueConstraint("run_id", "tag", name="orders_tag_once_per_run"),
    sa.UniqueConstraint("run_id", "order_id", name="orders_order_id_once_per_run"),
)

order_events = sa.Table(
    "order_events",
    METADATA,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id"), nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("intent_id", sa.Text, nullable=False),
    sa.Column("order_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("session_seq", sa.BigInteger),
    sa.Column("session_body", sa.Text),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("machine_at", UTC_TIME, nullable=False, server_default=sa.text("clock_timestamp()")),
    sa.UniqueConstraint("run_id", "seq", name="order_events_seq_once_per_run"),
    sa.UniqueConstraint("run_id", "session_seq", name="order_events_session_seq_once_per_run"),
)

fills = sa.Table(
    "fills",
    METADATA,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("order_id", sa.Text, primary_key=True),
    sa.Column("trade_id", sa.Text, primary_key=True),
    sa.Column("intent_id", sa.Text, nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("tradingsymbol", sa.Text, nullable=False),
    sa.Column("side", sa.Text, nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("price_paise", sa.BigInteger, nullable=False),
    sa.Column("traded_at_ns", sa.BigInteger, nullable=False),
    sa.Column("journaled_at", UTC_TIME, nullable=False, server_default=sa.text("clock_timestamp()")),
    sa.ForeignKeyConstraint(["run_id", "intent_id"], ["intents.run_id", "intents.intent_id"]),
)

consumer_offsets = sa.Table(
    "consumer_offsets",
    METADATA,
    sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id"), primary_key=True),
    sa.Column("consumer", sa.Text, primary_key=True),
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("next_offset", sa.BigInteger, nullable=False),
)

foreign_orders = sa.Table(
    "foreign_orders",
    METADATA,
    sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id"), primary_key=True),
    sa.Column("order_id", sa.Text, primary_key=True),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("tradingsymbol", sa.Text, nullable=False),
    sa.Column("side", sa.Text, nullable=False),
    sa.Column("product", sa.Text, nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("filled_quantity", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("venue_status", sa.Text, nullable=False),
    sa.Column("placed_by", sa.Text, nullable=False),
    sa.Column("by_broker", sa.Boolean, nullable=False),
    sa.Column("seen_at_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_at_ns", sa.BigInteger, nullable=False),
)

foreign_fills = sa.Table(
    "foreign_fills",
    METADATA,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("order_id", sa.Text, primary_key=True),
    sa.Column("trade_id", sa.Text, primary_key=True),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("tradingsymbol", sa.Text, nullable=False),
    sa.Column("side", sa.Text, nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("price_paise", sa.BigInteger, nullable=False),
    sa.Column("by_broker", sa.Boolean, nullable=False),
    sa.Column("traded_at_ns", sa.BigInteger, nullable=False),
    sa.Column("journaled_at", UTC_TIME, nullable=False, server_default=sa.text("clock_timestamp()")),
    sa.ForeignKeyConstraint(["run_id", "order_id"], ["foreign_orders.run_id", "foreign_orders.order_id"]),
)

reconciliations = sa.Table(
    "reconciliations",
    METADATA,
    sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id"), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("occasion", sa.Text, nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("orders", sa.BigInteger, nullable=False),
    sa.Column("trades", sa.BigInteger, nullable=False),
    sa.Column("positions", sa.BigInteger, nullable=False),
    sa.Column("differences", JSONB, nullable=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("journaled_at", UTC_TIME, nullable=False, server_default=sa.text("clock_timestamp()")),
)

findings = sa.Table(
    "findings",
    METADATA,
    sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id"), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("machine_at", UTC_TIME, nullable=False, server_default=sa.text("clock_timestamp()")),
)

audit = sa.Table(
    "audit",
    METADATA,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("log_offset", sa.BigInteger, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("intent_id", sa.Text, nullable=False),
    sa.Column("order_id", sa.Text, nullable=False),
    sa.Column("event_at", sa.BigInteger, nullable=False),
    sa.Column("recorded_at", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("prev_hash", sa.LargeBinary, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.Index("audit_of_run", "run_id", "seq"),
    sa.Index("audit_of_intent", "intent_id", postgresql_where=sa.text("intent_id <> ''")),
    sa.Index("audit_of_order", "order_id", postgresql_where=sa.text("order_id <> ''")),
    sa.Index("audit_of_subject", "subject", postgresql_where=sa.text("subject <> ''")),
)

audit_seals = sa.Table(
    "audit_seals",
    METADATA,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("session_date", sa.Date, nullable=False),
    sa.Column("first_seq", sa.BigInteger, nullable=False),
    sa.Column("last_seq", sa.BigInteger, nullable=False, unique=True),
    sa.Column("statement", sa.Text, nullable=False),
    sa.Column("signature", sa.Text, nullable=False),
    sa.Column("public_key", sa.Text, nullable=False),
)

audit_streams = sa.Table(
    "audit_streams",
    METADATA,
    sa.Column("log", sa.Text, primary_key=True),
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("turn", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("first_offset", sa.BigInteger, nullable=False),
    sa.Column("next_offset", sa.BigInteger, nullable=False),
    sa.Column("records", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
)

audit_sources = sa.Table(
    "audit_sources",
    METADATA,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("last_seq", sa.BigInteger, nullable=False),
)

risk_profiles = sa.Table(
    "risk_profiles",
    METADATA,
    sa.Column("mode", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("profile", JSONB, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("active_from_ns", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("created_at", UTC_TIME, nullable=False, server_default=sa.text("clock_timestamp()")),
)

watchdog_orders = sa.Table(
    "watchdog_orders",
    METADATA,
    sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id"), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("at", UTC_TIME, nullable=False),
    sa.Column("session_at_ns", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("config_hash", sa.Text, nullable=False),
    sa.Column("intent_id", sa.Text, nullable=False),
    sa.Column("tag", sa.Text, nullable=False),
    sa.Column("order_id", sa.Text, nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("tradingsymbol", sa.Text, nullable=False),
    sa.Column("side", sa.Text, nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("protection_bps", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("copied_at", UTC_TIME, nullable=False, server_default=sa.text("clock_timestamp()")),
)

models = sa.Table(
    "models",
    METADATA,
    sa.Column("model_id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("artifact_sha256", sa.Text, nullable=False),
    sa.Column("card", JSONB, nullable=False),
    sa.Column("data_from", sa.Date, nullable=False),
    sa.Column("data_to", sa.Date, nullable=False),
    sa.Column("data_hash", sa.Text, nullable=False),
    sa.Column("features_hash", sa.Text, nullable=False),
    sa.Column("code_version", sa.Text, nullable=False),
    sa.Column("metrics", JSONB, nullable=False),
    sa.Column("parent", sa.Text, sa.ForeignKey("models.model_id")),
    sa.Column("training_run", sa.Text, nullable=False),
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("registered_by", sa.Text, nullable=False),
    sa.Column("registered_at", UTC_TIME, nullable=False, server_default=sa.text("clock_timestamp()")),
)

model_stages = sa.Table(
    "model_stages",
    METADATA,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("model_id", sa.Text, sa.ForeignKey("models.model_id"), nullable=False),
    sa.Column("from_stage", sa.Text),
    sa.Column("to_stage", sa.Text, nullable=False),
    sa.Column("move", sa.Text, nullable=False),
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("evidence", JSONB, nullable=False),
    sa.Column("at", UTC_TIME, nullable=False, server_default=sa.text("clock_timestamp()")),
    sa.Index("model_stages_of_model", "model_id", "seq"),
)

model_evidence = sa.Table(
    "model_evidence",
    METADATA,
    sa.Column("seq", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("model_id", sa.Text, sa.ForeignKey("models.model_id"), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("body", JSONB, nullable=False),
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Column("at", UTC_TIME, nullable=False, server_default=sa.text("clock_timestamp()")),
    sa.UniqueConstraint("model_id", "kind", "subject"),
)

users = sa.Table(
    "users",
    METADATA,
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("email", sa.Text, nullable=False, unique=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("password_hash", sa.Text, nullable=False),
    sa.Column("totp_secret", sa.LargeBinary, nullable=False),
    sa.Column("totp_step", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("disabled", sa.Boolean, nullable=False, server_default=sa.text("false")),
    sa.Column("created_at", UTC_TIME, nullable=False, server_default=sa.text("clock_timestamp()")),
    sa.Column("changed_at", UTC_TIME, nullable=False, server_default=sa.text("clock_timestamp()")),
)

recovery_codes = sa.Table(
    "recovery_codes",
    METADATA,
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.user_id"), primary_key=True),
    sa.Column("code_hash", sa.LargeBinary, primary_key=True),
    sa.Column("used_at", UTC_TIME),
)

user_sessions = sa.Table(
    "user_sessions",
    METADATA,
    sa.Column("secret_hash", sa.LargeBinary, primary_key=True),
    sa.Column("session_id", sa.Text, nullable=False, unique=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.user_id"), nullable=False),
    sa.Column("began_at_ns", sa.BigInteger, nullable=False),
    sa.Column("seen_at_ns", sa.BigInteger, nullable=False),
    sa.Column("fresh_at_ns", sa.BigInteger, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("agent", sa.Text, nullable=False),
    sa.Index("user_sessions_of_user", "user_id"),
)

api_tokens = sa.Table(
    "api_tokens",
    METADATA,
    sa.Column("token_id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.user_id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("scopes", ARRAY(sa.Text), nullable=False),
    sa.Column("made_at_ns", sa.BigInteger, nullable=False),
    sa.Column("ends_at_ns", sa.BigInteger, nullable=False),
    sa.Column("revoked_at_ns", sa.BigInteger),
    sa.Index("api_tokens_of_user", "user_id"),
)
