"""Sessions of people and tokens of programs in PostgreSQL: by hash of the secret, or by number.

Times are ns UTC. What has ended is deleted where it is found; a token's row stays, for the audit names it.
"""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from infra.postgres.tables import api_tokens, user_sessions, users


class SessionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A session and whose it is. `session_id` names it, and opens nothing."""

    session_id: str
    user_id: str
    email: str
    role: str
    began_at_ns: int
    seen_at_ns: int
    fresh_at_ns: int
    address: str
    agent: str


class TokenRow(msgspec.Struct, frozen=True, kw_only=True):
    """A program's token, and whose it is. `token_id` is its `jti`."""

    token_id: str
    user_id: str
    email: str
    role: str
    name: str
    scopes: list[str]
    made_at_ns: int
    ends_at_ns: int
    revoked_at_ns: int | None


_OWN = [user_sessions.c[name] for name in SessionRow.__struct_fields__ if name not in ("email", "role")]
_TOKEN = [api_tokens.c[name] for name in TokenRow.__struct_fields__ if name not in ("email", "role")]
_SESSIONS = sa.select(*_OWN, users.c.email, users.c.role).join_from(
    user_sessions, users, user_sessions.c.user_id == users.c.user_id
)
_TOKENS = sa.select(*_TOKEN, users.c.email, users.c.role).join_from(
    api_tokens, users, api_tokens.c.user_id == users.c.user_id
)


def begin(db: sa.Connection, secret_hash: bytes, row: SessionRow, keep: int) -> None:
    """A new session; of a person's sessions the `keep` newest stay."""
    own = {each.name: getattr(row, each.name) for each in _OWN}
    db.execute(sa.insert(user_sessions).values(secret_hash=secret_hash, **own))
    newest = (
        sa.select(user_sessions.c.secret_hash)
        .where(user_sessions.c.user_id == row.user_id)
        .order_by(user_sessions.c.began_at_ns.desc())
        .limit(keep)
    )
    surplus = (user_sessions.c.user_id == row.user_id) & user_sessions.c.secret_hash.not_in(newest)
    db.execute(sa.delete(user_sessions).where(surplus))


def by_secret(db: sa.Connection, secret_hash: bytes) -> SessionRow | None:
    """The session, unless its person is shut out."""
    wanted = _SESSIONS.where(user_sessions.c.secret_hash == secret_hash, users.c.disabled.is_(False))
    row = db.execute(wanted).mappings().one_or_none()
    return SessionRow(**{str(k): v for k, v in row.items()}) if row else None


def seen(db: sa.Connection, secret_hash: bytes, at_ns: int) -> None:
    """The session was used at `at_ns`; never moves back."""
    later = (user_sessions.c.secret_hash == secret_hash) & (user_sessions.c.seen_at_ns < at_ns)
    db.execute(sa.update(user_sessions).where(later).values(seen_at_ns=at_ns))


def rotate(db: sa.Connection, old: bytes, new: bytes, fresh_at_ns: int) -> bool:
    """The session goes on under another secret, with a fresh one-time code; the old secret opens nothing."""
    change = {"secret_hash": new, "fresh_at_ns": fresh_at_ns}
    turned = sa.update(user_sessions).where(user_sessions.c.secret_hash == old).values(**change)
    return db.execute(turned).rowcount == 1


def end(db: sa.Connection, secret_hash: bytes) -> None:
    db.execute(sa.delete(user_sessions).where(user_sessions.c.secret_hash == secret_hash))


def end_by_id(db: sa.Connection, user_id: str | None, session_id: str) -> bool:
    """End a session by its name; `user_id` None: whosesoever."""
    named = user_sessions.c.session_id == session_id
    if user_id is not None:
        named &= user_sessions.c.user_id == user_id
    return db.execute(sa.delete(user_sessions).where(named)).rowcount == 1


def sessions(db: sa.Connection, user_id: str | None, began_after: int, seen_after: int) -> list[SessionRow]:
    """Those that still hold, newest first; what has ended is deleted on the way. None: everybody's."""
    over = (user_sessions.c.began_at_ns <= began_after) | (user_sessions.c.seen_at_ns <= seen_after)
    db.execute(sa.delete(user_sessions).where(over))
    wanted = _SESSIONS.order_by(user_sessions.c.began_at_ns.desc())
    if user_id is not None:
        wanted = wanted.where(user_sessions.c.user_id == user_id)
    return [SessionRow(**{str(k): v for k, v in row.items()}) for row in db.execute(wanted).mappings()]


def add_token(db: sa.Connection, row: TokenRow) -> None:
    db.execute(sa.insert(api_tokens).values({each.name: getattr(row, each.name) for each in _TOKEN}))


def token(db: sa.Connection, token_id: str) -> TokenRow | None:
    """The token, unless its person is shut out; revoked and ended ones too."""
    wanted = _TOKENS.where(api_tokens.c.token_id == token_id, users.c.disabled.is_(False))
    row = db.execute(wanted).mappings().one_or_none()
    return TokenRow(**{str(k): v for k, v in row.items()}) if row else None


def tokens(db: sa.Connection, user_id: str | None, limit: int) -> list[TokenRow]:
    """The newest `limit`, newest first; None: everybody's."""
    wanted = _TOKENS.order_by(api_tokens.c.made_at_ns.desc()).limit(limit)
    if user_id is not None:
        wanted = wanted.where(api_tokens.c.user_id == user_id)
    return [TokenRow(**{str(k): v for k, v in row.items()}) for row in db.execute(wanted).mappings()]


def revoke_token(db: sa.Connection, user_id: str | None, token_id: str, at_ns: int) -> bool:
    """Whether it was there and not revoked before; None: whosesoever."""
    named = (api_tokens.c.token_id == token_id) & api_tokens.c.revoked_at_ns.is_(None)
    if user_id is not None:
        named &= api_tokens.c.user_id == user_id
    return db.execute(sa.update(api_tokens).where(named).values(revoked_at_ns=at_ns)).rowcount == 1
