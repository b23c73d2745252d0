"""Guards of routes: `reads`, `scrapes`, `operates`, `owns`, `fresh`; a route without any says it is open.

`known` stands before every route of the application: what is not marked `opt=OPEN` asks who it is, so a
route that forgot its guard refuses strangers all the same.
"""

from __future__ import annotations

from typing import Any, NoReturn

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException, WebSocketException
from litestar.handlers import BaseRouteHandler

from api.identity.principal import METRICS, OPERATE, OWN, READ, Principal

OPEN = {"open": True}  # opt of a route that asks nobody who he is
ALWAYS = {"always": True}  # opt of what is never refused for its pace: halt, flatten, the broker
SIGN_IN = "sign_in_required"
FORBIDDEN = "not_permitted"
STEP_UP = "step_up_required"

Connection = ASGIConnection[Any, Any, Any, Any]


def known(connection: Connection, handler: BaseRouteHandler) -> None:
    """401 for a stranger, unless the route is open."""
    if not handler.opt.get("open"):
        principal_of(connection)


def reads(connection: Connection, _: BaseRouteHandler) -> None:
    """Whoever may see."""
    _allow(connection, READ)


def scrapes(connection: Connection, _: BaseRouteHandler) -> None:
    """Whoever may see, and the holder of the token that opens the metrics alone."""
    if METRICS not in principal_of(connection).scopes:
        _allow(connection, READ)


def operates(connection: Connection, _: BaseRouteHandler) -> None:
    """Whoever may stop trading. Never together with `fresh` on halt and flatten."""
    _allow(connection, OPERATE)


def owns(connection: Connection, _: BaseRouteHandler) -> None:
    """Whoever may make trading larger: resume, limits, live mode, promotion."""
    _allow(connection, OWN)


def fresh(connection: Connection, _: BaseRouteHandler) -> None:
    """A one-time code within the last five minutes (POST /api/v1/session/step-up)."""
    if not principal_of(connection).fresh(connection.app.state.gate.now()):
        _refuse(connection, 403, STEP_UP, "give a fresh one-time code first: POST /api/v1/session/step-up")


def principal_of(connection: Connection) -> Principal:
    """Who asks. Raises the 401 of a stranger."""
    principal = connection.scope.get("user")
    if not isinstance(principal, Principal):
        _refuse(connection, 401, SIGN_IN, "sign in first")
    return principal


def _allow(connection: Connection, right: str) -> None:
    principal = principal_of(connection)
    if right not in principal.rights:
        _refuse(
            connection, 403, FORBIDDEN, f"this asks for the right to {right}; {principal.role} has it not"
        )


def _refuse(connection: Connection, status: int, code: str, detail: str) -> NoReturn:
    """`extra["code"]` is the stable code of the problem; a WebSocket closes with 4401 or 4403."""
    if connection.scope["type"] == ScopeType.WEBSOCKET:
        raise WebSocketException(code=4000 + status, detail=detail)
    if status == 401:
        raise NotAuthorizedException(detail, extra={"code": code}, headers={"WWW-Authenticate": "Bearer"})
    raise PermissionDeniedException(detail, extra={"code": code})
