"""The sandbox's own address: start, pace, credit, faults, and the exchange's book for the reconciliation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import msgspec
from litestar import Litestar, Request, Response, delete, get, post, put

from broker_adapter.sandbox import rows
from broker_adapter.sandbox.exchange import Exchange
from broker_adapter.sandbox.fault_board import Armed, FaultBoard, FaultError, Script, Switch
from broker_adapter.sandbox.rest import position_rows
from broker_adapter.sandbox.session_clock import SessionClock
from broker_adapter.sandbox.ticker import Ticker

Call = Request[Any, Any, Any]
Reply = Response[bytes]
T = TypeVar("T")


class Ack(msgspec.Struct, forbid_unknown_fields=True):
    """Body of /admin/ack: how far the decisions have come, ns UTC."""

    session_time_ns: int


class Pace(msgspec.Struct, forbid_unknown_fields=True):
    """Body of /admin/speed: session seconds per second."""

    speed: float | Literal["max"]


@dataclass
class Control:
    """What the admin handlers steer and show."""

    clock: SessionClock
    exchange: Exchange
    ticker: Ticker
    board: FaultBoard
    description: str
    depth: str


class BadRequestError(ValueError):
    """A body that cannot be used."""


def build_admin(control: Control) -> Litestar:
    """The ASGI application on the admin address: loopback, no credentials."""
    app = Litestar(
        route_handlers=[
            state, start, ack, speed, book, instruments,
            faults, arm_fault, clear_faults, clear_fault, follow_script,
        ],
        exception_handlers={BadRequestError: _bad_request, FaultError: _bad_request},
        openapi_config=None,
        logging_config=None,
    )  # fmt: skip
    app.state.control = control
    return app


@get("/admin/state")
async def state(request: Call) -> Reply:
    control = _control(request)
    clock, exchange = control.clock, control.exchange
    return _json(
        {
            "state": clock.state,
            "session_time_ns": clock.now(),
            "faults": len(control.board.list()),
            "flagged_sockets": control.ticker.flagged,
            "ticks_sent": control.ticker.ticks_sent,
            "sockets": control.ticker.sockets,
            "subscribed_tokens": control.ticker.subscribed_tokens,
            "speed": clock.speed,
            "orders": len(exchange.book.orders),
            "trades": len(exchange.book.trades),
            "feed": control.description,
            "depth": control.depth,
        }
    )


@post("/admin/start", status_code=200)
async def start(request: Call) -> Reply:
    _control(request).clock.start()
    return _json({"state": _control(request).clock.state})


@post("/admin/ack", status_code=200)
async def ack(request: Call) -> Reply:
    clock = _control(request).clock
    clock.ack((await _body(request, Ack)).session_time_ns)
    return _json({"session_time_ns": clock.now()})


@post("/admin/speed", status_code=200)
async def speed(request: Call) -> Reply:
    clock = _control(request).clock
    wanted = (await _body(request, Pace)).speed
    try:
        clock.set_speed(wanted)
    except ValueError as err:
        raise BadRequestError(str(err)) from err
    return _json({"speed": clock.speed})


@get("/admin/book")
async def book(request: Call) -> Reply:
    exchange = _control(request).exchange
    return _json(
        {
            "orders": [rows.order_row(order) for order in exchange.book.orders.values()],
            "trades": [
                {
                    **rows.trade_row(trade),
                    "price_paise": trade.price_paise,
                    "traded_at_ns": trade.traded_at,
                    "tag": exchange.book.orders[trade.order_id].request.tag,
                }
                for trade in exchange.book.trades
            ],
            "positions": position_rows(exchange),
        }
    )


@get("/admin/instruments")
async def instruments(request: Call) -> Reply:
    """What Kite's instruments file does not say."""
    listed = _control(request).exchange.market.instruments.values()
    return _json([row._asdict() for row in listed])


# --- faults -----------------------------------------------------------------------------------------------


@get("/admin/faults")
async def faults(request: Call) -> Reply:
    """What is armed, with how often it was asked and how often it struck."""
    board = _control(request).board
    return _json({"armed": [_armed(armed) for armed in board.list()], "waiting": board.waiting})


@post("/admin/faults", status_code=200)
async def arm_fault(request: Call) -> Reply:
    """Arm one fault; the body is a `Switch`."""
    return _json(_armed(_control(request).board.arm(await _body(request, Switch))))


@delete("/admin/faults", status_code=200)
async def clear_faults(request: Call) -> Reply:
    return _json({"cleared": _control(request).board.clear()})


@delete("/admin/faults/{number:int}", status_code=200)
async def clear_fault(request: Call) -> Reply:
    return _json({"cleared": _control(request).board.clear(request.path_params["number"])})


@put("/admin/faults/script", status_code=200)
async def follow_script(request: Call) -> Reply:
    """Everything armed gives way to a script; the body is a `Script`."""
    return _json({"waiting": _control(request).board.follow(await _body(request, Script))})


def _armed(armed: Armed) -> dict[str, object]:
    return {
        "number": armed.number,
        "fault": armed.fault.name,
        "place": armed.fault.place,
        "left": armed.left,
        "seen": armed.seen,
        "hits": armed.hits,
        "parameters": armed.parameters,
        "match": armed.switch.match,
        "probability": armed.switch.probability,
        "until": armed.switch.until,
    }


def _control(request: Call) -> Control:
    control: Control = request.app.state.control
    return control


async def _body(request: Call, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.body(), type=shape)
    except (msgspec.DecodeError, msgspec.ValidationError) as err:
        raise BadRequestError(f"{request.url.path}: {err}") from err


def _json(data: object) -> Reply:
    return Response(msgspec.json.encode(data), media_type="application/json")


def _bad_request(_: Call, error: ValueError) -> Reply:
    return Response(
        msgspec.json.encode({"error": str(error)}), media_type="application/json", status_code=400
    )
