"""The gate: asks each way of proving oneself in turn, and leaves who it is on the connection.

It refuses nobody by itself, or the door to sign in would be shut: `api.identity.guards` do.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from litestar.connection import ASGIConnection
from litestar.middleware.authentication import AbstractAuthenticationMiddleware, AuthenticationResult

from api.identity.principal import RIGHTS, Principal, Role

Connection = ASGIConnection[Any, Any, Any, Any]
Way = Callable[[Connection], Awaitable[Principal | None]]


class Gate:
    """The ways to prove who one is, first one first. `now`: machine clock, ns UTC."""

    def __init__(self, ways: Sequence[Way], now: Callable[[], int] = time.time_ns) -> None:
        self._ways = tuple(ways)
        self.now = now

    async def principal_of(self, connection: Connection) -> Principal | None:
        """Who asks; None for a stranger."""
        for way in self._ways:
            if (principal := await way(connection)) is not None:
                return principal
        return None


class Authentication(AbstractAuthenticationMiddleware):
    """`request.user` is a Principal, or None."""

    async def authenticate_request(self, connection: Connection) -> AuthenticationResult:
        gate: Gate = connection.app.state.gate
        principal = await gate.principal_of(connection)
        return AuthenticationResult(user=principal, auth=principal and principal.session)


def by_home_token(token: str) -> Way:
    """Whoever can read the home: `Authorization: Bearer <token>` is the role service. Needs no database."""
    wanted = f"Bearer {token}".encode()
    service = Principal("service", "service", Role.SERVICE, RIGHTS[Role.SERVICE])

    async def way(connection: Connection) -> Principal | None:
        said = connection.headers.get("authorization", "").encode()
        return service if token and hmac.compare_digest(said, wanted) else None

    return way
