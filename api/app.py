"""Routes: GET /health, /status, /metrics from the snapshot; POST /broker/postbacks, /control to the log."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from anyio import to_thread
from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.datastructures import State
from litestar.openapi import OpenAPIConfig
from litestar.params import FromPath
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from api.control import MAX_BYTES as MAX_COMMAND_BYTES
from api.control import ControlDesk
from api.identity.gate import Authentication, Gate
from api.identity.guards import OPEN, known
from api.metrics import SnapshotCollector
from api.postbacks import MAX_BYTES, PostbackDesk
from api.view import View
from kitepilot import __version__

IST = ZoneInfo("Asia/Kolkata")


def _times(at_ns: int) -> dict[str, str | None]:
    """The same instant for machines and for the desk; nulls before the first one."""
    if not at_ns:
        return {"utc": None, "ist": None}
    instant = datetime.fromtimestamp(at_ns / 1e9, UTC)
    return {"utc": instant.isoformat(timespec="milliseconds"), "ist": instant.astimezone(IST).isoformat()}


@get("/health", opt=OPEN, operation_id="health", summary="Is this process doing its work?")
async def health(state: State) -> Response[dict[str, str]]:
    """200 while the log is being followed, 503 with the reason otherwise."""
    view: View = state.view
    ok, reason = view.healthy()
    body = {"status": "ok" if ok else "failing", "reason": reason, "version": __version__}
    return Response(body, status_code=200 if ok else 503)


@get("/status", opt=OPEN, operation_id="status", summary="The run, the account and the flow of messages")
async def status(state: State) -> dict[str, Any]:
    """Money in integer paise, times in UTC and IST, counts since the run began."""
    view: View = state.view
    s = view.snapshot
    account = s.account
    return {
        "run_id": s.run_id or view.run.run_id,
        "mode": s.mode,
        "session_date": s.session_date,
        "config_hash": s.config_hash,
        "session_time": _times(s.marked_at),
        "trading_state": s.state.value,
        "trading_state_reason": s.state_reason,
        "trading_state_rule": s.state_rule,
        "feed": s.feed,
        "realised_paise": account.realised_paise if account else 0,
        "unrealised_paise": account.unrealised_paise if account else 0,
        "charges_paise": account.charges_paise if account else 0,
        "open_positions": account.open_positions if account else 0,
        "gross_exposure_paise": account.gross_exposure_paise if account else 0,
        "working_orders": account.working_orders if account else 0,
        "orders": account.orders if account else 0,
        "fills": account.fills if account else 0,
        "loss_paise": account.loss_paise if account else 0,
        "worst_case_paise": account.worst_case_paise if account else 0,
        "drawdown_paise": account.drawdown_paise if account else 0,
        "trades": account.trades if account else 0,
        "profile_version": account.profile_version if account else 0,
        "signals": dict(s.signals),
        "approved": s.approved,
        "denials": dict(s.denials),
        "order_events": dict(s.orders),
        "dead_letters": dict(s.dead_letters),
        "lag": dict(view.lag),
        "foreign_orders": list(s.foreign_orders.values()),
        "reconciliation": s.reconciliation,
        "alarms": list(s.alarms),
        "models": dict(s.models),
        "drifts": list(s.drifts),
        "postbacks": dict(state.postbacks.counts),
    }


@get(
    "/metrics",
    opt=OPEN,
    operation_id="metrics",
    media_type=MediaType.TEXT,
    summary="Prometheus text format",
)
async def metrics(request: Request[Any, Any, State]) -> Response[bytes]:
    """All gauges and counters of `api.metrics`."""
    body = generate_latest(request.app.state.registry)
    return Response(body, headers={"content-type": CONTENT_TYPE_LATEST})


@post(
    "/broker/postbacks",
    opt=OPEN,  # signed with the API secret
    operation_id="postback",
    status_code=200,
    request_max_body_size=MAX_BYTES,
    summary="An order update of the broker, signed with the API secret",
)
async def postback(request: Request[Any, Any, State]) -> Response[dict[str, str]]:
    """200 when taken, also for one that was taken before; 403 when the checksum is wrong, 400 unreadable."""
    body = await request.body()
    code, word = await to_thread.run_sync(partial(request.app.state.postbacks.take, body))
    return Response({"status": word}, status_code=code)


@post(
    "/control/{name:str}",
    opt=OPEN,  # the desk itself asks for the home's token
    operation_id="control",
    status_code=200,
    request_max_body_size=MAX_COMMAND_BYTES,
    summary="Flatten, halt, reduce or resume; by the holder of the home's token",
)
async def control(name: FromPath[str], request: Request[Any, Any, State]) -> Response[dict[str, str]]:
    """200 said to the decisions, asked of the watchdog, or repeated; 401 without the token; else refused."""
    desk: ControlDesk = request.app.state.control
    if not desk.permits(request.headers.get("authorization", "")):
        return Response({"status": "refused", "reason": "the token of this home is asked"}, status_code=401)
    body = await request.body()
    code, told = await to_thread.run_sync(partial(desk.take, name, body))
    return Response(told, status_code=code)


def create_app(view: View, postbacks: PostbackDesk, desk: ControlDesk, gate: Gate) -> Litestar:
    """The application over one view; the caller starts and stops the view. Every route is behind `gate`."""
    registry = CollectorRegistry()
    registry.register(SnapshotCollector(view, postbacks.counts))
    return Litestar(
        [health, status, metrics, postback, control],
        state=State(
            {"view": view, "registry": registry, "postbacks": postbacks, "control": desk, "gate": gate}
        ),
        middleware=[Authentication],
        guards=[known],
        openapi_config=OpenAPIConfig(title="KitePilot", version=__version__),
    )
