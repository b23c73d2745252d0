"""The gate: is the request for us and of our own page, who asks, and not too often?

Each way of proving oneself is asked in turn. A stranger passes, or the door to sign in would be shut:
`api.identity.guards` stand before each route.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from litestar.enums import ScopeType
from litestar.exceptions import WebSocketException
from litestar.middleware.authentication import AbstractAuthenticationMiddleware, AuthenticationResult

from api.identity.flow import ACTING, READING, STRANGER, Flow
from api.identity.peers import SAFE_METHODS, Connection, Names, address, method_of
from api.identity.principal import BY_HOME, BY_SESSION, METRICS, RIGHTS, Principal, Role
from api.problems import Problem

Way = Callable[[Connection], Awaitable[Principal | None]]
Proof = Callable[[Connection, Principal], bool]
FORGED = "csrf"
RETRY_AFTER = "Retry-After"


def _unproven(_: Connection, __: Principal) -> bool:
    return False


class Gate:
    """The ways to prove who one is, first one first. `now`: machine clock, ns UTC.

    `proves_its_page`: whether an unsafe request by cookie was made by a page of ours.
    """

    def __init__(
        self,
        ways: Sequence[Way],
        now: Callable[[], int] = time.time_ns,
        *,
        names: Names | None = None,
        proves_its_page: Proof = _unproven,
    ) -> None:
        self._ways = tuple(ways)
        self.now = now
        self._names = names or Names((), tls=False)
        self._proves_its_page = proves_its_page
        self._strangers, self._reading, self._acting = Flow(STRANGER), Flow(READING), Flow(ACTING)

    async def admit(self, connection: Connection) -> Principal | None:
        """Who asks; None for a stranger.

        Raises:
            Problem, WebSocketException: two lengths, for another host, from another page, too often.
        """
        if "content-length" in connection.headers and "transfer-encoding" in connection.headers:
            raise _refusal(
                connection, "bad_request", "Two lengths are said of one body.", {"Connection": "close"}
            )
        if not self._names.ours(connection):
            raise _refusal(connection, "bad_request", "The Host header names another host; see api.hosts.")
        socket = connection.scope["type"] == ScopeType.WEBSOCKET
        acts = not socket and method_of(connection) not in SAFE_METHODS
        if (acts or socket) and not self._names.same_page(connection):
            raise _refusal(connection, FORGED, "The request was made by a page of another origin.")
        principal = await self.principal_of(connection)
        connection.scope["user"] = principal  # whoever is refused from here on is in the audit by his name
        if principal is not None and principal.way == BY_SESSION:
            self._require_own_page(connection, principal, acts, socket)
        self._require_pace(connection, principal, acts)
        return principal

    async def principal_of(self, connection: Connection) -> Principal | None:
        """Who asks, by the first way that knows."""
        for way in self._ways:
            if (principal := await way(connection)) is not None:
                return principal
        return None

    def _require_own_page(
        self, connection: Connection, principal: Principal, acts: bool, socket: bool
    ) -> None:
        """A cookie comes along whoever asks: the page has to prove that it is ours."""
        if socket and "origin" not in connection.headers:
            raise _refusal(connection, FORGED, "A WebSocket by cookie carries the page's Origin.")
        if acts and not _opt(connection, "open") and not self._proves_its_page(connection, principal):
            raise _refusal(connection, FORGED, "The header x-csrf-token is not the one of this session.")

    def _require_pace(self, connection: Connection, principal: Principal | None, acts: bool) -> None:
        """What stops trading is marked `always`, and is never refused for its pace."""
        if _opt(connection, "always"):
            return
        now = self.now()
        if principal is None:
            wait = self._strangers.wait_s(address(connection), now)
        else:
            wait = (self._acting if acts else self._reading).wait_s(principal.id, now)
        if wait:
            raise _refusal(
                connection, "too_many_requests", "Too many requests.", {RETRY_AFTER: str(int(wait) + 1)}
            )


class Authentication(AbstractAuthenticationMiddleware):
    """`request.user` is a Principal, or None."""

    async def authenticate_request(self, connection: Connection) -> AuthenticationResult:
        gate: Gate = connection.app.state.gate
        principal = await gate.admit(connection)
        return AuthenticationResult(user=principal, auth=principal and principal.session)


def by_home_token(token: str) -> Way:
    """Whoever can read the home: `Authorization: Bearer <token>` is the role service. Needs no database."""
    return _by_token(token, Principal("service", "service", Role.SERVICE, RIGHTS[Role.SERVICE], way=BY_HOME))


def by_metrics_token(token: str) -> Way:
    """Whoever collects metrics: its token opens those and nothing else. Needs no database."""
    return _by_token(token, Principal("metrics", "metrics", Role.SERVICE, frozenset({METRICS}), way=BY_HOME))


def _by_token(token: str, holder: Principal) -> Way:
    wanted = f"Bearer {token}".encode()

    async def way(connection: Connection) -> Principal | None:
        said = connection.headers.get("authorization", "").encode()
        return holder if token and hmac.compare_digest(said, wanted) else None

    return way


def _opt(connection: Connection, name: str) -> bool:
    handler = connection.scope.get("route_handler")
    return bool(handler and handler.opt.get(name))


def _refusal(
    connection: Connection, code: str, detail: str, headers: Mapping[str, str] | None = None
) -> Exception:
    if connection.scope["type"] == ScopeType.WEBSOCKET:
        return WebSocketException(code=4429 if RETRY_AFTER in (headers or ()) else 4403, detail=detail)
    return Problem(code, detail, headers=headers)
