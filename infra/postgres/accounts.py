"""People who may sign in, and their second factor, in PostgreSQL. Each function is a part of one transaction.

Secrets come here as they are kept: hashed or sealed. What may happen once (a one-time code's step, a recovery
code) is taken by one statement, so of two requests at once one gets it.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import sqlalchemy as sa

from infra.postgres.tables import api_tokens, recovery_codes, user_sessions, users

SEALING = 0x6B706B6579  # the number of PostgreSQL's lock for it


class User(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `users`. `totp_secret` is sealed; its text form shows no secret."""

    user_id: str
    email: str
    role: str
    password_hash: str
    totp_secret: bytes
    totp_step: int  # of the last one-time code taken: unix time // 30
    disabled: bool

    def __repr__(self) -> str:
        return f"User({self.email}, {self.role}{', disabled' if self.disabled else ''})"


_NAMES = [users.c[name] for name in User.__struct_fields__]


def in_turn(db: sa.Connection) -> None:
    """Until this transaction ends nobody else seals: take the turn first, then read the key."""
    db.execute(sa.select(sa.func.pg_advisory_xact_lock(SEALING)))


def by_email(db: sa.Connection, email: str) -> User | None:
    """Disabled ones too. `email` in lower case."""
    return _user(db, users.c.email == email)


def by_id(db: sa.Connection, user_id: str) -> User | None:
    return _user(db, users.c.user_id == user_id)


def everyone(db: sa.Connection) -> list[User]:
    """By e-mail."""
    rows = db.execute(sa.select(*_NAMES).order_by(users.c.email)).mappings()
    return [User(**{str(name): value for name, value in row.items()}) for row in rows]


def add(db: sa.Connection, user: User, code_hashes: Iterable[bytes]) -> None:
    """Raises `sqlalchemy.exc.IntegrityError` for an e-mail that is there already."""
    db.execute(sa.insert(users).values(msgspec.structs.asdict(user)))
    _keep_codes(db, user.user_id, code_hashes)


def reset(
    db: sa.Connection, user_id: str, password_hash: str, totp_secret: bytes, hashes: Iterable[bytes]
) -> None:
    """A new password, a new second factor and new recovery codes; every session and token of his ends."""
    change = {"password_hash": password_hash, "totp_secret": totp_secret, "totp_step": 0}
    _change(db, user_id, change)
    db.execute(sa.delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
    _keep_codes(db, user_id, hashes)
    end_everything(db, user_id)


def disable(db: sa.Connection, user_id: str, disabled: bool) -> None:
    """Shut out, or let in again; shutting out ends every session and token."""
    _change(db, user_id, {"disabled": disabled})
    if disabled:
        end_everything(db, user_id)


def rehash(db: sa.Connection, user_id: str, password_hash: str) -> None:
    """The same password, hashed with today's cost."""
    _change(db, user_id, {"password_hash": password_hash})


def reseal(db: sa.Connection, user_id: str, totp_secret: bytes) -> None:
    """The same one-time secret, sealed with another key."""
    _change(db, user_id, {"totp_secret": totp_secret})


def take_step(db: sa.Connection, user_id: str, step: int) -> bool:
    """Whether a one-time code of `step` may count: once, and never after a later one."""
    taken = (
        sa.update(users)
        .where(users.c.user_id == user_id, users.c.totp_step < step, users.c.disabled.is_(False))
        .values(totp_step=step)
    )
    return db.execute(taken).rowcount == 1


def take_recovery_code(db: sa.Connection, user_id: str, code_hash: bytes) -> bool:
    """Whether the recovery code may count: once."""
    taken = (
        sa.update(recovery_codes)
        .where(
            recovery_codes.c.user_id == user_id,
            recovery_codes.c.code_hash == code_hash,
            recovery_codes.c.used_at.is_(None),
        )
        .values(used_at=sa.func.clock_timestamp())
    )
    return db.execute(taken).rowcount == 1


def codes_left(db: sa.Connection, user_id: str) -> int:
    """Recovery codes that were not used yet."""
    left = sa.select(sa.func.count()).where(
        recovery_codes.c.user_id == user_id, recovery_codes.c.used_at.is_(None)
    )
    return int(db.execute(left).scalar_one())


def end_everything(db: sa.Connection, user_id: str) -> None:
    """Every session and token of his."""
    db.execute(sa.delete(user_sessions).where(user_sessions.c.user_id == user_id))
    now = sa.cast(sa.func.extract("epoch", sa.func.clock_timestamp()) * 1_000_000_000, sa.BigInteger)
    live = (api_tokens.c.user_id == user_id) & api_tokens.c.revoked_at_ns.is_(None)
    db.execute(sa.update(api_tokens).where(live).values(revoked_at_ns=now))


def _user(db: sa.Connection, condition: sa.ColumnElement[bool]) -> User | None:
    row = db.execute(sa.select(*_NAMES).where(condition)).mappings().one_or_none()
    return User(**{str(name): value for name, value in row.items()}) if row else None


def _change(db: sa.Connection, user_id: str, change: dict[str, object]) -> None:
    changed = sa.update(users).where(users.c.user_id == user_id)
    db.execute(changed.values(**change, changed_at=sa.func.clock_timestamp()))


def _keep_codes(db: sa.Connection, user_id: str, hashes: Iterable[bytes]) -> None:
    db.execute(sa.insert(recovery_codes), [{"user_id": user_id, "code_hash": each} for each in hashes])
