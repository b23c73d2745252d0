"""GET /api/v1/live (server-sent events), /api/v1/live/ws (the same as JSON frames), /api/v1/live/snapshot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from anyio import CancelScope, create_task_group, move_on_after
from litestar import Request, Response, WebSocket, get, websocket
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.exceptions import ServiceUnavailableException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery
from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import Receive, Send

from api import problems
from api.identity import READ
from api.identity.gate import Gate
from api.identity.presence import BY_ITSELF
from api.live.hub import HEARTBEAT_S, FullError, Hub, Reader, Sent
from api.live.ring import BehindError
from api.services import Services

SEND_WITHIN_S = 20.0  # a reader that takes nothing for so long is let go
STREAM_S = 300.0  # then the reader comes back by itself
LOOK_S = 5.0  # whoever is signed out meanwhile hears no more
RETRY_MS = 1_000
MayRead = Callable[[], Awaitable[bool]]


class Stream(ASGIStreamingResponse):
    """Sends as long as it is taken."""

    async def send_body(self, send: Send, receive: Receive) -> None:
        """Until the reader goes, is cut, or takes nothing for `SEND_WITHIN_S`."""
        async with create_task_group() as group:
            group.start_soon(self._pass_on, send, group.cancel_scope)
            await self._listen_for_disconnect(cancel_scope=group.cancel_scope, receive=receive)

    async def _pass_on(self, send: Send, scope: CancelScope) -> None:
        async for chunk in self.iterator:
            body = chunk if isinstance(chunk, bytes) else chunk.encode()
            with move_on_after(SEND_WITHIN_S) as patience:
                await send({"type": "http.response.body", "body": body, "more_body": True})
            if patience.cancelled_caught:
                break
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        scope.cancel()


async def batches(hub: Hub, last_id: str, may_read: MayRead) -> AsyncIterator[list[Sent]]:
    """What one reader is sent, batch by batch; the last says why when it is cut.

    Raises:
        FullError: there is no room for another reader.
    """
    reader, first = hub.join(last_id)
    try:
        if first:
            yield first
        async for batch in _after(hub, reader, may_read):
            yield batch
    finally:
        hub.leave(reader)


async def _after(hub: Hub, reader: Reader, may_read: MayRead) -> AsyncIterator[list[Sent]]:
    began = beat = looked = time.monotonic()
    while time.monotonic() - began < STREAM_S:
        reader.woken.clear()
        if time.monotonic() - looked >= LOOK_S:
            looked = time.monotonic()
            if not await may_read():
                yield [_cut("signed out")]
                return
        try:
            batch = hub.take(reader)
        except BehindError as why:
            yield [_cut(f"this reader is too slow: {why}")]
            return
        if time.monotonic() - beat >= HEARTBEAT_S:
            beat = time.monotonic()
            batch.append(hub.heartbeat())
        if batch:
            yield batch
            continue
        try:
            await asyncio.wait_for(reader.woken.wait(), beat + HEARTBEAT_S - time.monotonic())
        except TimeoutError:
            continue


def _cut(reason: str) -> Sent:
    return Sent("cut", msgspec.json.encode({"reason": reason}))


def _may_read(connection: ASGIConnection[Any, Any, Any, Any], gate: Gate) -> MayRead:
    async def asked() -> bool:
        principal = await gate.principal_of(connection)
        return principal is not None and READ in principal.rights

    return asked


def as_lines(sent: Sent) -> bytes:
    """One server-sent event."""
    named = f"id: {sent.id}\n".encode() if sent.id else b""
    return named + b"event: " + sent.kind.encode() + b"\ndata: " + sent.body + b"\n\n"


def as_frame(sent: Sent) -> bytes:
    """One JSON frame."""
    return msgspec.json.encode({"id": sent.id, "event": sent.kind, "data": msgspec.Raw(sent.body)})


@get(
    "/live",
    opt=BY_ITSELF,
    operation_id="live",
    summary="Server-sent events: pnl, positions, order, signal, verdict, alert, state, feed, health",
    media_type="text/event-stream",
    responses=problems.declared(400, 401, 403, 429, 500),
)
async def live(
    request: Request[Any, Any, Any], services: NamedDependency[Services], last_event_id: FromQuery[str] = ""
) -> Stream:
    """Begins with `snapshot`, or with what was missed since `Last-Event-ID` (also `?last_event_id=`).

    Figures come as their newest, events all and in order; `reset` says that some were missed, `cut` that the
    reader was too slow. A `heartbeat` comes each half second.
    """
    hub = services.hub
    taken = batches(
        hub, request.headers.get("last-event-id", "") or last_event_id, _may_read(request, services.gate)
    )
    try:
        first = await anext(taken)
    except FullError as err:
        raise ServiceUnavailableException(str(err)) from err

    async def lines() -> AsyncIterator[bytes]:
        try:
            yield f"retry: {RETRY_MS}\n\n".encode() + b"".join(map(as_lines, first))
            async for batch in taken:
                yield b"".join(map(as_lines, batch))
        finally:
            await taken.aclose()  # type: ignore[attr-defined]

    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return Stream(iterator=lines(), media_type="text/event-stream", headers=headers, status_code=200)


@websocket("/live/ws", opt=BY_ITSELF)
async def live_frames(
    socket: WebSocket[Any, Any, Any], services: NamedDependency[Services], last_event_id: FromQuery[str] = ""
) -> None:
    """The same; each frame is {"id", "event", "data"}. One that is cut is told why in its last."""
    await socket.accept()
    taken = batches(services.hub, last_event_id, _may_read(socket, services.gate))

    async def send(scope: CancelScope) -> None:
        async for batch in taken:
            for each in batch:
                with move_on_after(SEND_WITHIN_S) as patience:
                    await socket.send_data(as_frame(each), mode="text")
                if patience.cancelled_caught:
                    break
        scope.cancel()

    try:
        async with create_task_group() as group:
            group.start_soon(send, group.cancel_scope)
            await _until_gone(socket)
            group.cancel_scope.cancel()
    finally:
        await taken.aclose()  # type: ignore[attr-defined]


async def _until_gone(socket: WebSocket[Any, Any, Any]) -> None:
    """A reader says nothing; whatever it says is dropped until it goes."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


@get(
    "/live/snapshot",
    opt=BY_ITSELF,
    operation_id="live_snapshot",
    summary="Everything the streams say now, in one answer",
    responses={
        200: ResponseSpec(dict[str, Any], generate_examples=False, description="Figures by kind"),
        **problems.declared(401, 403, 429, 500),
    },
)
async def snapshot(services: NamedDependency[Services]) -> Response[bytes]:
    """Figures by kind, the most recent events, and the day's curve as [at_ms, gross_paise, net_paise]."""
    return Response(
        services.hub.snapshot(), media_type="application/json", headers={"cache-control": "no-store"}
    )


ROUTES = [live, live_frames, snapshot]
