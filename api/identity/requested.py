"""Whatever is no reading -> the audit: who asked, from where, for what, and how it was answered."""

from __future__ import annotations

import typing

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from api.identity.deeds import Deeds
from api.identity.peers import SAFE_METHODS, address
from api.identity.principal import Principal
from kitepilot.audit.acts import REQUESTED

COMMAND_HEADER = b"x-command-id"


class Requested(ASGIMiddleware):
    """Records after the answer is on its way, so that nothing waits for it.

    Strangers' requests are not taken up: there is no end to them; the sign-in records what they try.
    """

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        if typing.cast(HTTPScope, scope)["method"] in SAFE_METHODS:
            await next_app(scope, receive, send)
            return
        status, command = 500, ""

        async def watched(message: Message) -> None:
            nonlocal status, command
            if message["type"] == "http.response.start":
                status = message["status"]
                command = dict(message["headers"]).get(COMMAND_HEADER, b"").decode()
            await send(message)

        try:
            await next_app(scope, receive, watched)
        finally:
            await self._record(scope, status, command)

    async def _record(self, scope: Scope, status: int, command: str) -> None:
        principal = scope.get("user")
        if not isinstance(principal, Principal):
            return
        app = scope["litestar_app"]
        deeds: Deeds = app.state.services.identity.deeds
        facts: dict[str, str | int] = {
            "method": typing.cast(HTTPScope, scope)["method"],
            "path": scope["path"][:200],
            "status": status,
            "way": principal.way,
            "role": principal.role.value,
        }
        if command:
            facts["command_id"] = command
        await deeds.record(
            REQUESTED,
            principal.session or principal.id,
            principal.name,
            address(ASGIConnection(scope)),
            **facts,
        )
