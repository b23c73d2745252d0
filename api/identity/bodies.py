"""What sign-in is asked and answers, as JSON. Times in UTC; secrets only where they are made, and once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from api.identity.principal import STEP_UP_NS, Principal
from infra.postgres.sign_ins import SessionRow, TokenRow

Scope = Literal["read", "operate", "own"]
#: No control characters: PostgreSQL keeps no zero byte.
EMAIL = "^[!-~]+@[!-~]+$"
TITLE = "^[ -~]+$"
Code = Annotated[str, Meta(pattern="^([0-9]{3} ?[0-9]{3})?$")]


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Either a one-time code or a recovery code goes with the password."""

    email: Annotated[str, Meta(min_length=3, max_length=254, pattern=EMAIL)]
    password: Annotated[str, Meta(min_length=1, max_length=256)]
    totp: Code = ""
    recovery_code: Annotated[str, Meta(max_length=40)] = ""

    def __repr__(self) -> str:
        return "SignIn(...)"


class StepUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A code of the authenticator that was not used yet."""

    totp: Annotated[str, Meta(pattern="^[0-9]{3} ?[0-9]{3}$")]

    def __repr__(self) -> str:
        return "StepUp(...)"


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a program shall be able to do, and for how long."""

    name: Annotated[str, Meta(min_length=1, max_length=60, pattern=TITLE)]
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=3)]
    days: Annotated[int, Meta(ge=1, le=365)] = 90


class Who(msgspec.Struct, frozen=True):
    """Who asks, and what he may do. `csrf_token` goes with every unsafe request of a session.

    `ends_in_s`: when the session ends if nobody uses it; null where none was asked about.
    """

    id: str
    name: str
    role: str
    rights: list[str]
    way: str
    session: str
    fresh_until: str | None
    csrf_token: str
    ends_in_s: float | None = None


class SessionShown(msgspec.Struct, frozen=True):
    """A place where somebody is signed in."""

    id: str
    email: str
    began_at: str
    seen_at: str
    address: str
    agent: str
    own: bool


class TokenShown(msgspec.Struct, frozen=True):
    """A program's token, without what opens anything."""

    id: str
    email: str
    name: str
    scopes: list[str]
    made_at: str
    ends_at: str
    revoked: bool


class TokenMade(msgspec.Struct, frozen=True):
    """Shown this once. `token` goes into `Authorization: Bearer`."""

    token: str
    about: TokenShown

    def __repr__(self) -> str:
        return f"TokenMade({self.about.id})"


def who(principal: Principal, csrf_token: str, now: int, ends_at: int = 0) -> Who:
    """`csrf_token` "" where none is needed; `now`, `ends_at` ns UTC, 0 where nothing ends."""
    until = utc(principal.fresh_at + STEP_UP_NS) if principal.fresh(now) else None
    ends_in_s = max(ends_at - now, 0) / 1e9 if ends_at else None
    rights = sorted(principal.rights)
    return Who(
        principal.id, principal.name, principal.role.value, rights, principal.way, principal.session, until,
        csrf_token, ends_in_s,
    )  # fmt: skip


def session_shown(row: SessionRow, own: str) -> SessionShown:
    """`own`: the name of the session that asks."""
    began, seen = utc(row.began_at_ns), utc(row.seen_at_ns)
    return SessionShown(row.session_id, row.email, began, seen, row.address, row.agent, row.session_id == own)


def token_shown(row: TokenRow) -> TokenShown:
    made, ends = utc(row.made_at_ns), utc(row.ends_at_ns)
    return TokenShown(
        row.token_id, row.email, row.name, row.scopes, made, ends, row.revoked_at_ns is not None
    )


def utc(at: int) -> str:
    """ISO 8601 from ns UTC."""
    return datetime.fromtimestamp(at / 1e9, UTC).isoformat(timespec="seconds")
