"""Addresses machines around us know: GET /health, /status, /metrics; POST /broker/postbacks, /control."""

from __future__ import annotations

from functools import partial
from typing import Any

from anyio import to_thread
from litestar import MediaType, Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from prometheus_client import CONTENT_TYPE_LATEST

from api import problems
from api.control import MAX_BYTES as MAX_COMMAND_BYTES
from api.identity.guards import ALWAYS, OPEN, reads, scrapes
from api.postbacks import MAX_BYTES
from api.resources.status import Health, Status, health_of, status_of
from api.services import Services
from kitepilot.ports import LogError


def words(*statuses: int) -> dict[int, ResponseSpec]:
    """The refusals of an operation that answers machines by a word, not by a problem."""
    return {status: ResponseSpec(dict[str, str], generate_examples=False) for status in statuses}


@get("/health", opt=OPEN, operation_id="health", summary="Is this process doing its work?")
async def health(services: NamedDependency[Services]) -> Response[Health]:
    """200 while the log is being followed, 503 with the reason otherwise."""
    found = health_of(services.view)
    return Response(found, status_code=200 if found.status == "ok" else 503)


@get(
    "/status",
    guards=[reads],
    operation_id="status",
    responses=problems.declared(401, 403, 429, 500),
    summary="The run, the account and the flow of messages",
)
async def status(services: NamedDependency[Services]) -> Status:
    """Money in integer paise, times in UTC and IST, counts since the run began."""
    return status_of(services)


@get(
    "/metrics",
    guards=[scrapes],
    operation_id="metrics",
    responses=problems.declared(401, 403, 429, 500),
    media_type=MediaType.TEXT,
    summary="Prometheus text format",
)
async def metrics(request: Request[Any, Any, State]) -> Response[bytes]:
    """All there is, of a second ago at most."""
    body = await request.app.state.scrape.text()
    return Response(body, headers={"content-type": CONTENT_TYPE_LATEST})


@post(
    "/broker/postbacks",
    opt={**OPEN, **ALWAYS},  # signed with the API secret
    operation_id="postback",
    status_code=200,
    request_max_body_size=MAX_BYTES,
    responses=words(400, 403, 413, 503),
    summary="An order update of the broker, signed with the API secret",
)
async def postback(
    request: Request[Any, Any, State], services: NamedDependency[Services]
) -> Response[dict[str, str]]:
    """200 when taken, also for one that was taken before; 403 when the checksum is wrong, 400 unreadable.

    503 log_unreachable: it could not be kept; the broker tries again.
    """
    body = await request.body()
    desk = services.postbacks
    try:
        code, word = await to_thread.run_sync(partial(desk.take, body), limiter=desk.lane)
    except LogError:
        code, word = 503, "log_unreachable"
    return Response({"status": word}, status_code=code)


@post(
    "/control/{name:str}",
    opt={**OPEN, **ALWAYS},  # the desk itself asks for the home's token
    operation_id="control",
    status_code=200,
    request_max_body_size=MAX_COMMAND_BYTES,
    responses=words(400, 401, 403, 404, 409, 413, 503),
    summary="Flatten, halt or reduce; by the holder of the home's token",
)
async def control(
    name: FromPath[str], request: Request[Any, Any, State], services: NamedDependency[Services]
) -> Response[dict[str, str]]:
    """200 said to the decisions, asked of the watchdog, or repeated; 401 without the token; else refused."""
    desk = services.control
    if not desk.permits(request.headers.get("authorization", "")):
        return Response({"status": "refused", "reason": "the token of this home is asked"}, status_code=401)
    body = await request.body()
    code, told = await to_thread.run_sync(partial(desk.take, name, body), limiter=services.commands.lane)
    return Response(told, status_code=code)


ROUTES = (health, status, metrics, postback, control)
