"""ASGI middleware around the REST side: requests get the replies that the armed faults give them.

The handlers behind it know nothing of faults. It also writes the Date header, because a venue whose clock is
wrong sends a wrong one.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
import urllib.parse
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import formatdate
from typing import Any, cast

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from broker_adapter.sandbox.errors import KiteError
from broker_adapter.sandbox.fault_board import NS_PER_S, Armed, FaultBoard
from broker_adapter.sandbox.orders import Handling
from broker_adapter.sandbox.rest.desk import HANDLING

MAX_BODY_BYTES = 64 * 1024
TRANSPORT = "kitepilot.transport"
JSON = b"application/json"
STAMP = re.compile(rb'"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)"')
TIMED_OUT = "Order request timed out. Please check the order book and confirm before placing again."
WEB_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"

#: Replies in Kite's envelope: status, error_type, message. The texts of 502 and 504 are ours.
REFUSALS: dict[str, tuple[int, str, str]] = {
    "timed_out_400": (400, "OrderException", TIMED_OUT),
    "too_many_requests": (429, "NetworkException", "Too many requests"),
    "bad_gateway_502": (502, "DataException", "The order system's answer was not understood."),
    "unavailable_503": (503, "NetworkException", "Service unavailable."),
    "gateway_timeout_504": (504, "NetworkException", "Gateway timed out."),
    "oms_unreachable": (503, "NetworkException", "Request failed (kitetrade-oms)"),
    "ip_refused": (
        403, "PermissionException",
        "IP (203.0.113.7) is not allowed to place orders for this app. "
        "Update allowed IPs on the Kite developer console.",
    ),
    "no_ips": (403, "PermissionException", "No IPs configured for this app."),
    "day_cap": (429, "NetworkException", "Maximum allowed order requests exceeded"),
}  # fmt: skip
REFUSAL = "RMS:Blocked by a fault switch"
ALWAYS_REACHED = ("timeout_after_accept", "timed_out_400", "no_content_type")


class LeakyProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's protocol that hands its transport on in the scope, so that a fault can cut the connection."""

    app: ASGIApp

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        plain: ASGIApp = self.app

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            cast(dict[str, Any], scope)["extensions"] = {TRANSPORT: transport}
            await plain(scope, receive, send)

        self.app = app


class FaultyReplies:
    """Wraps the REST application. `expire` ends all access tokens; `machine_s` is the epoch in seconds."""

    def __init__(
        self,
        app: ASGIApp,
        board: FaultBoard,
        expire: Callable[[], object],
        machine_s: Callable[[], float] = time.time,
    ) -> None:
        self._app = app
        self._board = board
        self._expire = expire
        self._machine_s = machine_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            await self._http(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        send = self._dated(send)
        if self._board.strike("venue", only=("token_expired",)):
            self._expire()
        route = f"{scope['method']} {scope['path']}"
        placement = route.startswith("POST /orders/")
        if placement:
            self._board.count_order()
        if self._board.quiet:
            await self._app(scope, receive, send)
            return
        receive, form = await _form(receive)
        about = {"route": route, "symbol": form.get("tradingsymbol", ""), "tag": form.get("tag", "")}
        reply = self._board.strike("reply", **about)
        if placement:
            stuck = self._board.strike("order", only=("stuck_order",), **about)
            refused = self._board.strike("order", only=("rms_rejected",), **about)
            cast(dict[str, Any], scope)[HANDLING] = handling_of(reply, stuck, refused)
        if skew := self.skew_s():
            send = _skewed(send, skew)
        if reply is None:
            await self._app(scope, receive, send)
        else:
            await self._spoil(reply, scope, receive, send)

    def skew_s(self) -> int:
        """Seconds by which the venue's stamps are ahead at this moment."""
        skew = self._board.standing("clock_skew")
        return round(skew.number_of("seconds")) if skew else 0

    async def _spoil(self, hit: Armed, scope: HTTPScope, receive: Receive, send: Send) -> None:
        name = hit.fault.name
        reached = name in ALWAYS_REACHED or hit.parameters.get("reached") == "yes"
        reply = await self._handled(scope, receive) if reached else []
        if name == "timeout_after_accept":
            await _stay_silent(receive, hit.number_of("hold_s"))
            await _cut(scope, receive)
        elif name == "reset_mid_reply":
            await _half(reply, send)
            await _cut(scope, receive)
        elif name == "no_content_type":
            for message in reply:
                await send(_without(message, b"content-type"))
        elif name == "html_error":
            await _answer(send, 502, WEB_PAGE, b"text/html")
        else:
            status, kind, text = REFUSALS[name]
            body = msgspec.json.encode(KiteError(status, kind, text).envelope())
            await _answer(send, status, body, JSON)

    async def _handled(self, scope: HTTPScope, receive: Receive) -> list[Message]:
        """The reply the request would have got."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, keep)
        return messages

    def _dated(self, send: Send) -> Send:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = formatdate(self._machine_s() + self.skew_s(), usegmt=True).encode()
                message["headers"] = [*message.get("headers", []), (b"date", date)]
            await send(message)

        return dated


def shift_stamps(body: bytes, seconds: int) -> bytes:
    """Every quoted `yyyy-mm-dd hh:mm:ss` moved; the length stays."""

    def moved(found: re.Match[bytes]) -> bytes:
        at = datetime.fromisoformat(found[1].decode()) + timedelta(seconds=seconds)
        return b'"' + at.isoformat(" ").encode() + b'"'

    return STAMP.sub(moved, body)


def handling_of(reply: Armed | None, stuck: Armed | None, refused: Armed | None) -> Handling:
    """What the order system is to do with this placement, for the handler to pass on."""
    held_s = reply.number_of("live_after_s") if reply and reply.fault.name == "timed_out_400" else 0.0
    stuck_s = stuck.number_of("stuck_s") if stuck else 0.0
    return Handling(round(held_s * NS_PER_S), round(stuck_s * NS_PER_S), REFUSAL if refused else "")


async def _form(receive: Receive) -> tuple[Receive, dict[str, str]]:
    """The body read ahead, and a `receive` that gives it again. A body that is no form matches nothing."""
    body, more = b"", True
    while more and len(body) <= MAX_BODY_BYTES:
        message: Any = await receive()
        body += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
    first: list[Any] = [{"type": "http.request", "body": body, "more_body": more}]

    async def again() -> Any:
        return first.pop() if first else await receive()

    try:
        return again, dict(urllib.parse.parse_qsl(body.decode(), max_num_fields=100))
    except ValueError:
        return again, {}


def _skewed(send: Send, seconds: int) -> Send:
    async def skewed(message: Message) -> None:
        if message["type"] == "http.response.body":
            message["body"] = shift_stamps(message["body"], seconds)
        await send(message)

    return skewed


async def _answer(send: Send, status: int, body: bytes, kind: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _half(reply: list[Message], send: Send) -> None:
    """The head of the reply and half of its body; without a reply nothing."""
    for message in reply:
        if message["type"] == "http.response.body":
            body = message["body"]
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            return
        await send(message)


async def _stay_silent(receive: Receive, seconds: float) -> None:
    """Until the client gives up, at most so long (machine time)."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return


async def _cut(scope: HTTPScope, receive: Receive) -> None:
    """Reset the connection, and wait until the server has noticed."""
    extensions = cast(dict[str, asyncio.Transport], scope.get("extensions") or {})
    transport = extensions.get(TRANSPORT)
    if transport is None:
        raise ConnectionResetError("the connection was cut by a fault")
    reset(transport)
    while (await receive())["type"] != "http.disconnect":
        pass


def reset(transport: asyncio.Transport) -> None:
    """Close with RST, so that the peer sees a reset and not an orderly end; nothing if it left already."""
    if transport.is_closing():
        return
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()


def _without(message: Message, header: bytes) -> Message:
    if message["type"] == "http.response.start":
        message["headers"] = [(k, v) for k, v in message["headers"] if k.lower() != header]
    return message
