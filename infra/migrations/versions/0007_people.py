"""Who may sign in, with what second factor, where they are signed in, and the tokens of their programs.

No secret stands here in the clear: passwords as argon2id, one-time secrets sealed with the home's key,
recovery codes and session secrets as SHA-256 of random bytes, tokens by their number alone.
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"

TABLES = """
CREATE TABLE users (
    user_id text PRIMARY KEY,
    email text NOT NULL UNIQUE CHECK (email = lower(email)),
    role text NOT NULL CHECK (role IN ('owner', 'operator', 'reader')),
    password_hash text NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
    totp_secret bytea NOT NULL,
    totp_step bigint NOT NULL DEFAULT 0,
    disabled boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE recovery_codes (
    user_id text NOT NULL REFERENCES users,
    code_hash bytea NOT NULL CHECK (octet_length(code_hash) = 32),
    used_at timestamptz,
    PRIMARY KEY (user_id, code_hash)
);
CREATE TABLE user_sessions (
    secret_hash bytea PRIMARY KEY CHECK (octet_length(secret_hash) = 32),
    session_id text NOT NULL UNIQUE,
    user_id text NOT NULL REFERENCES users,
    began_at_ns bigint NOT NULL,
    seen_at_ns bigint NOT NULL,
    fresh_at_ns bigint NOT NULL,
    address text NOT NULL,
    agent text NOT NULL
);
CREATE INDEX user_sessions_of_user ON user_sessions (user_id);
CREATE TABLE api_tokens (
    token_id text PRIMARY KEY,
    user_id text NOT NULL REFERENCES users,
    name text NOT NULL,
    scopes text[] NOT NULL CHECK (scopes <@ ARRAY['read', 'operate', 'own']),
    made_at_ns bigint NOT NULL,
    ends_at_ns bigint NOT NULL CHECK (ends_at_ns > made_at_ns),
    revoked_at_ns bigint
);
CREATE INDEX api_tokens_of_user ON api_tokens (user_id);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE api_tokens, user_sessions, recovery_codes, users")
