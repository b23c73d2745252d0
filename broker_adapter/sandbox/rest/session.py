"""Login, tokens and the user: /connect/login, /session/token, /user/*."""

from __future__ import annotations

from litestar import delete, get, post
from litestar.response import Redirect

from broker_adapter.sandbox import rows
from broker_adapter.sandbox.errors import bad_input
from broker_adapter.sandbox.rest.desk import Call, Desk, Reply, desk_of, form_of, success


@get("/connect/login")
async def login(request: Call) -> Redirect:
    query = request.query_params
    return Redirect(
        desk_of(request).accounts.login(query.get("api_key", ""), query.get("redirect_params", ""))
    )


@post("/session/token", status_code=200)
async def make_session(request: Call) -> Reply:
    desk, form = desk_of(request), await form_of(request)
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
    desk_of(request).accounts.logout(query.get("api_key", ""), query.get("access_token", ""))
    return success(True)


@get("/user/profile")
async def profile(request: Call) -> Reply:
    return success(_user())


@get("/user/margins")
async def margins(request: Call) -> Reply:
    return success({"equity": _margins(desk_of(request))})


@get("/user/margins/{segment:str}")
async def segment_margins(request: Call) -> Reply:
    if request.path_params["segment"] != "equity":
        raise bad_input("Invalid segment: the sandbox has equity only.")
    return success(_margins(desk_of(request)))


PUBLIC = (login, make_session, end_session)
PRIVATE = (profile, margins, segment_margins)


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
