"""Somebody who may sign in, as the command line makes him: checks, hashes, seals, and what to show once."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from api.identity.keys import token_key
from api.identity.one_time_codes import new_recovery_codes, new_secret, provisioning_uri, recovery_hash
from api.identity.passwords import PasswordError, Passwords, require_strong
from api.identity.principal import RIGHTS, Principal, Role
from api.identity.tokens import minted
from infra import sign_in_key
from infra.postgres import accounts, sign_ins
from infra.postgres.accounts import User
from infra.sign_in_key import SignInKey
from kitepilot.config import Config, ConfigError

MAX_ADDRESS = 254


@dataclass(frozen=True)
class Enrolment:
    """What the person is shown once; its text form shows none of it."""

    email: str
    secret: str = field(repr=False)
    uri: str = field(repr=False)
    codes: list[str] = field(repr=False)


def require_new(db: sa.Connection, email: str) -> str:
    """The address as it is kept. Raises `ConfigError` for none, or one that is there."""
    address = email.strip().lower()
    if len(address) > MAX_ADDRESS or not re.fullmatch(r"[!-?A-~]+@[!-?A-~]+\.[!-?A-~]+", address):
        raise ConfigError(f"{email!r} is not an e-mail address")
    if accounts.by_email(db, address):
        raise ConfigError(f"{address} is there already: `kitepilot users reset {address}`")
    return address


def require(db: sa.Connection, email: str) -> User:
    """Raises `ConfigError` where there is nobody of that address."""
    user = accounts.by_email(db, email.strip().lower())
    if user is None:
        raise ConfigError(f"nobody has the address {email}: see `kitepilot users list`")
    return user


def enrolled(
    db: sa.Connection, config: Config, home: Path, email: str, role: str, password: str
) -> Enrolment:
    """A new person. Raises `ConfigError` for a weak password, `SecretError` without a key."""
    accounts.in_turn(db)
    user, made = _made(config, home, email, role, password, secrets.token_hex(8))
    accounts.add(db, user, map(recovery_hash, made.codes))
    return made


def renewed(db: sa.Connection, config: Config, home: Path, user: User, password: str) -> Enrolment:
    """The same person, with everything new. Raises as `enrolled`."""
    accounts.in_turn(db)
    fresh, made = _made(config, home, user.email, user.role, password, user.user_id)
    hashes = map(recovery_hash, made.codes)
    accounts.reset(db, user.user_id, fresh.password_hash, fresh.totp_secret, hashes)
    return made


def token(
    db: sa.Connection, config: Config, home: Path, user: User, name: str, scopes: list[str], days: int
) -> tuple[str, str]:
    """Id and text of a new token. Raises `ConfigError` for a scope the role has not."""
    role = Role(user.role)
    if beyond := sorted(set(scopes) - RIGHTS[role]):
        has = ", ".join(sorted(RIGHTS[role]))
        raise ConfigError(f"--scope {', '.join(beyond)} is not for {role.value}, who has: {has}")
    whose = Principal(user.user_id, user.email, role, RIGHTS[role])
    key = token_key(SignInKey(sign_in_key.key_url(config, home)).signing_key(home))
    row, text = minted(key, whose, name or "command line", frozenset(scopes), days, time.time_ns())
    sign_ins.add_token(db, row)
    return row.token_id, text


def revoke(db: sa.Connection, user: User, token_id: str) -> None:
    """Raises `ConfigError` where he has none of that id that still holds."""
    if not sign_ins.revoke_token(db, user.user_id, token_id, time.time_ns()):
        raise ConfigError(f"{user.email} has no token {token_id} that still holds")


def _made(
    config: Config, home: Path, email: str, role: str, password: str, user_id: str
) -> tuple[User, Enrolment]:
    try:
        require_strong(password, email)
    except PasswordError as err:
        raise ConfigError(f"{err}: nothing was changed") from err
    key, secret = SignInKey(sign_in_key.key_url(config, home)), new_secret()
    user = User(
        user_id=user_id,
        email=email,
        role=role,
        password_hash=Passwords().hash(password),
        totp_secret=key.seal(secret),
        totp_step=0,
        disabled=False,
    )
    return user, Enrolment(email, secret, provisioning_uri(secret, email), new_recovery_codes())
