"""Tokens of programs: a JWT of one algorithm, for this API, with an end, and a row that must be there.

What is signed says who and until when; what the program may do stands in PostgreSQL, where it can be taken
back. A token cannot give a fresh one-time code, so what asks for one is not done by programs.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial

import jwt

from api.identity.accounts import Accounts, AccountsAwayError
from api.identity.peers import Connection
from api.identity.principal import BY_TOKEN, OPERATE, READ, Principal, Role
from api.identity.recollection import Recollection
from infra.postgres import sign_ins
from infra.postgres.sign_ins import TokenRow

ALGORITHM = "HS256"
AUDIENCE = "kitepilot-api"
ISSUER = "kitepilot"
SECOND = 1_000_000_000
DAY_NS = 86_400 * SECOND
LONGEST_DAYS = 365
LISTED = 200
MAX_CHARACTERS = 2_048
REQUIRED = ["exp", "iat", "nbf", "jti", "sub", "aud", "iss"]


class Tokens:
    """Makes, checks and revokes them. `now`: machine clock, ns UTC."""

    def __init__(self, accounts: Accounts, key: bytes, now: Callable[[], int]) -> None:
        self._accounts = accounts
        self._key = key
        self._now = now
        self._known: Recollection[str, TokenRow] = Recollection(now)

    async def make(
        self, principal: Principal, name: str, scopes: frozenset[str], days: int
    ) -> tuple[str, TokenRow]:
        """The token, shown this once, and its row. Raises `AccountsAwayError`."""
        row, text = minted(self._key, principal, name, scopes, days, self._now())
        await self._accounts(partial(sign_ins.add_token, row=row))
        return text, row

    async def way(self, connection: Connection) -> Principal | None:
        """Whose program it is; None for no token of ours that holds, or while nobody can be asked."""
        said = connection.headers.get("authorization", "")
        scheme, _, text = said.partition(" ")
        if scheme.lower() != "bearer" or text.count(".") != 2 or len(text) > MAX_CHARACTERS:
            return None
        claims = self._claims(text)
        if claims is None:
            return None
        token_id = claims["jti"]
        try:
            found = await self._known.recall(
                token_id, lambda: self._accounts(partial(sign_ins.token, token_id=token_id))
            )
        except AccountsAwayError:
            return None
        if found is None or not self._holds(found.row) or found.row.user_id != claims["sub"]:
            return None
        row = found.row
        scopes = frozenset(row.scopes) & frozenset({READ, OPERATE} if found.away else row.scopes)
        return Principal(row.user_id, row.email, Role(row.role), scopes, 0, row.token_id, BY_TOKEN)

    async def all_of(self, user_id: str | None) -> list[TokenRow]:
        """The newest 200; None: everybody's."""
        return await self._accounts(partial(sign_ins.tokens, user_id=user_id, limit=LISTED))

    async def revoke(self, user_id: str | None, token_id: str) -> bool:
        """Whether there was one to revoke; None: whosesoever."""
        turn = partial(sign_ins.revoke_token, user_id=user_id, token_id=token_id, at_ns=self._now())
        try:
            return await self._accounts(turn)
        finally:  # not before: a request in between would be remembered
            self._known.forget(token_id)

    def _claims(self, text: str) -> dict[str, str] | None:
        try:
            claims = jwt.decode(
                text,
                self._key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": REQUIRED, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            return None
        now = self._now() // SECOND
        timely = (
            all(isinstance(claims[name], int) for name in ("exp", "nbf"))
            and claims["nbf"] <= now < claims["exp"]
        )
        named = all(isinstance(claims[name], str) for name in ("jti", "sub"))
        return claims if timely and named else None

    def _holds(self, row: TokenRow) -> bool:
        return row.revoked_at_ns is None and self._now() < row.ends_at_ns


def minted(
    key: bytes, principal: Principal, name: str, scopes: frozenset[str], days: int, now: int
) -> tuple[TokenRow, str]:
    """The row to keep and the text to hand over, of whole seconds."""
    made_at = now - now % SECOND
    row = TokenRow(
        token_id=secrets.token_hex(8),
        user_id=principal.id,
        email=principal.name,
        role=principal.role.value,
        name=name,
        scopes=sorted(scopes & principal.rights),
        made_at_ns=made_at,
        ends_at_ns=made_at + days * DAY_NS,
        revoked_at_ns=None,
    )
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": row.user_id,
        "jti": row.token_id,
        "iat": row.made_at_ns // SECOND,
        "nbf": row.made_at_ns // SECOND,
        "exp": row.ends_at_ns // SECOND,
        "scope": " ".join(row.scopes),
    }
    return row, jwt.encode(claims, key, algorithm=ALGORITHM)
