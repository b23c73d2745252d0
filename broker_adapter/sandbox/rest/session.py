"""Login, tokens and the user: /connect/login, /session/*, /user/*."""

from __future__ import annotations

from litestar import delete, get, post
from litestar.response import Redirect

from broker_adapter.sandbox import rows
from broker_adapter.sandbox.errors import KiteError, bad_credentials, bad_input
from broker_adapter.sandbox.rest.desk import Call, Desk, Reply, desk_of, form_of, required, success


@get("/connect/login")
async def login(request: Call) -> Redirect:
    query = request.query_params
    accounts = desk_of(request).accounts
    return Redirect(accounts.login(query.get("api_key", ""), query.get("redirect_params", "")))


@post("/session/token", status_code=200)
async def make_session(request: Call) -> Reply:
    desk, form = desk_of(request), await form_of(request)
    token = desk.accounts.exchange(*required(form, "api_key", "request_token", "checksum"))
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
    if not query.get("access_token"):
        raise bad_credentials()  # also for a refresh token: ordinary keys have none
    desk_of(request).accounts.logout(query.get("api_key", ""), query["access_token"])
    return success(True)


@post("/session/refresh_token", status_code=200)
async def refresh_session(request: Call) -> Reply:
    """Kite renews only for platforms it approved; an ordinary key has an empty refresh token."""
    required(await form_of(request), "api_key", "refresh_token", "checksum")
    raise KiteError(403, "TokenException", "Token is invalid or has expired.")


@get("/user/profile")
async def profile(request: Call) -> Reply:
    return success(_user())


@get("/user/profile/full")
async def full_profile(request: Call) -> Reply:
    user = _user()
    return success(
        {
            **user,
            "twofa_type": "totp",
            "phone": "*0000",
            "bank_accounts": [{"name": "PAPER BANK", "branch": "", "account": "*0000"}],
            "dp_ids": [],
            "pan": "*000P",
            "tags": [],
            "password_timestamp": "1970-01-01 00:00:00",
            "twofa_timestamp": "1970-01-01 00:00:00",
            "meta": {"poa": "physical", "silo": "", "account_blocks": []},
        }
    )


@get("/user/margins")
async def margins(request: Call) -> Reply:
    return success({segment: _margins(desk_of(request), segment) for segment in ("equity", "commodity")})


@get("/user/margins/{segment:str}")
async def segment_margins(request: Call) -> Reply:
    segment = request.path_params["segment"]
    if segment not in ("equity", "commodity"):
        raise bad_input("Invalid `segment`: expected equity or commodity.")
    return success(_margins(desk_of(request), segment))


PUBLIC = (login, make_session, end_session, refresh_session)
PRIVATE = (profile, full_profile, margins, segment_margins)


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


def _margins(desk: Desk, segment: str) -> rows.Row:
    """Commodity is a segment this account has not opened."""
    if segment == "commodity":
        return rows.margins_row(0, 0, 0, enabled=False)
    rms = desk.exchange.rms
    return rows.margins_row(rms.cash_paise, rms.used_margin_paise(), rms.pnl_paise())
