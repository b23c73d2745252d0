"""A body arrives in good time, or the request ends with 408: nobody holds a place here by sending slowly."""

from __future__ import annotations

import asyncio

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPReceiveMessage, Receive, Scope, Send

from api.problems import Problem

FIRST_S = 10.0
BYTES_PER_S = 65_536  # each so many bytes that came allow another second


class Patience(ASGIMiddleware):
    """`first_s`: for a small body; a large one that keeps coming has longer."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, first_s: float = FIRST_S) -> None:
        self._first_s = first_s

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        loop = asyncio.get_running_loop()
        ends, whole = loop.time() + self._first_s, False

        async def timely() -> HTTPReceiveMessage:
            nonlocal ends, whole
            if whole:  # what follows is the peer going away, whenever he does
                return await receive()  # type: ignore[return-value]  # an HTTP scope receives HTTP messages
            try:
                async with asyncio.timeout_at(ends):
                    message = await receive()
            except TimeoutError as err:
                raise Problem("too_slow", "The body did not arrive in time.") from err
            if message["type"] == "http.request":
                ends += len(message.get("body", b"")) / BYTES_PER_S
                whole = not message.get("more_body", False)
            return message  # type: ignore[return-value]  # as above

        await next_app(scope, timely, send)
