"""Kite's REST, as far as intraday equity needs it: every reply in Kite's envelope, refusals too."""

from __future__ import annotations

import csv
import gzip
import io
import logging
import urllib.parse
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, Router, delete, get, post, put
from litestar.exceptions import HTTPException
from litestar.response import Redirect

from broker_adapter.sandbox import rows
from broker_adapter.sandbox.accounts import Accounts
from broker_adapter.sandbox.admission import not_found
from broker_adapter.sandbox.errors import KiteError, bad_input
from broker_adapter.sandbox.exchange import Exchange
from broker_adapter.sandbox.limits import RateLimiter
from broker_adapter.sandbox.session_clock import SessionClock

CSV_COLUMNS = (
    "instrument_token", "exchange_token", "tradingsymbol", "name", "last_price", "expiry", "strike",
    "tick_size", "lot_size", "instrument_type", "segment", "exchange",
)  # fmt: skip
MAX_BODY_BYTES = 64 * 1024
MAX_QUOTES, MAX_LTPS = 500, 1000

log = logging.getLogger(__name__)

Call = Request[Any, Any, Any]
Reply = Response[bytes]


@dataclass
class Desk:
    """What the handlers share; one per sandbox, kept in the app's state as `desk`."""

    accounts: Accounts
    exchange: Exchange
    clock: SessionClock
    limiter: RateLimiter


def build_rest(desk: Desk) -> Litestar:
    """The ASGI application on the broker's REST address."""
    private = Router(
        "/",
        before_request=_authorise,
        route_handlers=[
            profile, margins, segment_margins,
            place, modify, cancel, orders, order_history, order_trades, trades,
            positions, holdings, quote, ohlc, ltp, instruments, exchange_instruments,
        ],
    )  # fmt: skip
    app = Litestar(
        route_handlers=[login, make_session, end_session, private],
        exception_handlers={KiteError: _refused, HTTPException: _wrong_call, Exception: _broken},
        openapi_config=None,
        logging_config=None,
        request_max_body_size=MAX_BODY_BYTES,
    )
    app.state.desk = desk
    return app


# --- session ----------------------------------------------------------------------------------------------


@get("/connect/login")
async def login(request: Call) -> Redirect:
    query = request.query_params
    return Redirect(_desk(request).accounts.login(query.get("api_key", ""), query.get("redirect_params", "")))


@post("/session/token", status_code=200)
async def make_session(request: Call) -> Reply:
    desk, form = _desk(request), await _form(request)
    wanted = [form.get(name, "") for name in ("api_key", "request_token", "checksum")]
    if not all(wanted):
        raise bad_input("Missing or empty field `api_key`, `request_token` or `checksum`")
    token = desk.accounts.exchange(*wanted)
    session = {
        **_user(),
        "api_key": desk.accounts.api_key,
        "access_token": token,
        "public_token": token[::-1],
        "enctoken": "",
        "refresh_token": "",
        "silo": "",
        "login_time": rows.stamp(desk.clock.now()),
    }
    return success(session)


@delete("/session/token", status_code=200)
async def end_session(request: Call) -> Reply:
    query = request.query_params
    _desk(request).accounts.logout(query.get("api_key", ""), query.get("access_token", ""))
    return success(True)


@get("/user/profile")
async def profile(request: Call) -> Reply:
    return success(_user())


@get("/user/margins")
async def margins(request: Call) -> Reply:
    return success({"equity": _margins(_desk(request))})


@get("/user/margins/{segment:str}")
async def segment_margins(request: Call) -> Reply:
    if request.path_params["segment"] != "equity":
        raise bad_input("Invalid segment: the sandbox has equity only.")
    return success(_margins(_desk(request)))


# --- orders -----------------------------------------------------------------------------------------------


@post("/orders/{variety:str}", status_code=200, opt={"scope": "placement"})
async def place(request: Call) -> Reply:
    _regular(request)
    desk, form = _desk(request), await _form(request)
    return success({"order_id": desk.exchange.place(form, desk.clock.now())})


@put("/orders/{variety:str}/{order_id:str}", opt={"scope": "order"})
async def modify(request: Call) -> Reply:
    _regular(request)
    desk, form = _desk(request), await _form(request)
    return success(
        {"order_id": desk.exchange.modify(request.path_params["order_id"], form, desk.clock.now())}
    )


@delete("/orders/{variety:str}/{order_id:str}", status_code=200, opt={"scope": "order"})
async def cancel(request: Call) -> Reply:
    _regular(request)
    desk = _desk(request)
    return success({"order_id": desk.exchange.cancel(request.path_params["order_id"], desk.clock.now())})


@get("/orders")
async def orders(request: Call) -> Reply:
    return success([rows.order_row(order) for order in _desk(request).exchange.book.orders.values()])


@get("/orders/{order_id:str}")
async def order_history(request: Call) -> Reply:
    order_id = request.path_params["order_id"]
    history = _desk(request).exchange.book.histories.get(order_id)
    if history is None:
        raise not_found(order_id)
    return success([rows.order_row(order) for order in history])


@get("/orders/{order_id:str}/trades")
async def order_trades(request: Call) -> Reply:
    order_id = request.path_params["order_id"]
    book = _desk(request).exchange.book
    if order_id not in book.orders:
        raise not_found(order_id)
    return success([rows.trade_row(trade) for trade in book.trades_of(order_id)])


@get("/trades")
async def trades(request: Call) -> Reply:
    return success([rows.trade_row(trade) for trade in _desk(request).exchange.book.trades])


# --- portfolio and market data ----------------------------------------------------------------------------


@get("/portfolio/positions")
async def positions(request: Call) -> Reply:
    held = position_rows(_desk(request).exchange)
    return success({"net": held, "day": held})


@get("/portfolio/holdings")
async def holdings(request: Call) -> Reply:
    return success([])


@get("/quote", opt={"scope": "quote"})
async def quote(request: Call) -> Reply:
    return success(_quotes(request, MAX_QUOTES, rows.quote_row))


@get("/quote/ohlc", opt={"scope": "quote"})
async def ohlc(request: Call) -> Reply:
    return success(_quotes(request, MAX_LTPS, rows.ohlc_row))


@get("/quote/ltp", opt={"scope": "quote"})
async def ltp(request: Call) -> Reply:
    return success(
        _quotes(request, MAX_LTPS, lambda row, packet: rows.ltp_row(row, int(packet["last_price"])))
    )


@get("/instruments")
async def instruments(request: Call) -> Reply:
    return Response(
        _instruments_csv(_desk(request).exchange),
        media_type="text/csv",
        headers={"Content-Encoding": "gzip"},
    )


@get("/instruments/{exchange:str}")
async def exchange_instruments(request: Call) -> Reply:
    if request.path_params["exchange"] != "NSE":
        raise bad_input("Invalid exchange: the sandbox is NSE only.")
    return Response(
        _instruments_csv(_desk(request).exchange),
        media_type="text/csv",
        headers={"Content-Encoding": "gzip"},
    )


# --- shapes ---------------------------------------------------------------------------------------------


def success(data: object) -> Reply:
    body = msgspec.json.encode({"status": "success", "data": data})
    return Response(body, media_type="application/json")


def position_rows(exchange: Exchange) -> list[rows.Row]:
    """Kite's position rows, in order of first trade; closed ones stay with quantity 0."""
    market = exchange.market
    return [
        rows.position_row(market.instruments[token], tally, market.last_paise(token))
        for token, tally in exchange.book.tallies.items()
    ]


def _user() -> rows.Row:
    return {
        "user_id": rows.USER_ID,
        "user_type": "individual",
        "email": "paper@kitepilot.invalid",
        "user_name": "Paper Trader",
        "user_shortname": "Paper",
        "broker": "ZERODHA",
        "exchanges": ["NSE"],
        "products": ["MIS"],
        "order_types": ["MARKET", "LIMIT", "SL", "SL-M"],
        "avatar_url": None,
        "meta": {"demat_consent": "physical"},
    }


def _margins(desk: Desk) -> rows.Row:
    rms = desk.exchange.rms
    return rows.margins_row(rms.cash_paise, rms.used_margin_paise(), rms.pnl_paise())


def _quotes(request: Call, limit: int, render: Any) -> dict[str, rows.Row]:
    """Symbols without a packet yet, or unknown, are absent, as at Kite. Tokens may be given as numbers."""
    keys = request.query_params.getall("i", [])
    if not keys or len(keys) > limit:
        raise bad_input(f"`i` must be given 1 to {limit} times.")
    market = _desk(request).exchange.market
    found = {}
    for key in keys:
        symbol = key.removeprefix("NSE:")
        row = (
            market.instruments.get(int(key))
            if key.isascii() and key.isdigit()
            else market.by_symbol.get(symbol)
        )
        packet = market.row(row.token) if row else None
        if row is not None and packet is not None:
            found[key] = render(row, packet)
    return found


def _instruments_csv(exchange: Exchange) -> bytes:
    """Kite's twelve columns; numeric zeros instead of empties; gzip without a time stamp, so stable."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in exchange.market.instruments.values():
        tick = f"{row.tick_size_paise / 100:g}"
        writer.writerow(
            (row.token, row.exchange_token, row.tradingsymbol, row.name, 0, "", 0, tick, row.lot_size, "EQ",
             row.segment, "NSE")
        )  # fmt: skip
    return gzip.compress(text.getvalue().encode(), mtime=0)


# --- requests -------------------------------------------------------------------------------------------


def _desk(request: Call) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


async def _form(request: Call) -> dict[str, str]:
    """An urlencoded body; the last of a repeated field counts."""
    try:
        body = (await request.body()).decode()
        return dict(urllib.parse.parse_qsl(body, keep_blank_values=True, max_num_fields=100))
    except ValueError as err:
        raise bad_input("The request body is not a form.") from err


def _regular(request: Call) -> None:
    if request.path_params["variety"] != "regular":
        raise bad_input("The sandbox takes variety `regular` only.")


async def _authorise(request: Call) -> None:
    desk = _desk(request)
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
