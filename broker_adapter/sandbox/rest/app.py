"""The ASGI application on the broker's REST address: routes, who may come in, refusals."""

from __future__ import annotations

import logging

import msgspec
from litestar import Litestar, Response, Router
from litestar.exceptions import HTTPException

from broker_adapter.sandbox.errors import KiteError
from broker_adapter.sandbox.rest import (
    calculators,
    candles,
    elsewhere,
    instruments,
    orders,
    portfolio,
    quotes,
    session,
)
from broker_adapter.sandbox.rest.desk import Call, Desk, Reply, desk_of

MAX_BODY_BYTES = 64 * 1024

log = logging.getLogger(__name__)


def build_rest(desk: Desk) -> Litestar:
    """Litestar for one desk; handlers know nothing of faults, which a middleware around it makes."""
    private = Router(
        "/",
        before_request=_authorise,
        route_handlers=[
            *session.PRIVATE, *orders.PRIVATE, *portfolio.PRIVATE, *quotes.PRIVATE, *instruments.PRIVATE,
            *candles.PRIVATE, *calculators.PRIVATE,            *elsewhere.PRIVATE,
        ],
    )  # fmt: skip
    app = Litestar(
        route_handlers=[*session.PUBLIC, private],
        exception_handlers={KiteError: _refused, HTTPException: _wrong_call, Exception: _broken},
        openapi_config=None,
        logging_config=None,
        request_max_body_size=MAX_BODY_BYTES,
    )
    app.state.desk = desk
    return app


async def _authorise(request: Call) -> None:
    desk = desk_of(request)
    desk.accounts.check_header(request.headers.get("authorization", ""))
    scope = request.route_handler.opt.get("scope", "other")
    if scope == "placement":
        desk.limiter.admit_placement()
    else:
        desk.limiter.admit(scope)


def _refused(_: Call, error: KiteError) -> Reply:
    return Response(
        msgspec.json.encode(error.envelope()), media_type="application/json", status_code=error.status
    )


def _wrong_call(request: Call, error: HTTPException) -> Reply:
    texts = {404: "Route not found", 405: "Method not allowed"}
    message = texts.get(error.status_code, error.detail)
    return _refused(request, KiteError(error.status_code, "GeneralException", message))


def _broken(request: Call, error: Exception) -> Reply:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _refused(request, KiteError(500, "GeneralException", "Something went wrong in the sandbox."))
