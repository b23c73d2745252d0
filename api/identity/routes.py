"""/api/v1/session, /api/v1/sessions, /api/v1/tokens: signing in and out, and what is signed in."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from api import problems
from api.identity.accounts import AccountsAwayError
from api.identity.bodies import (
    NewToken,
    SessionShown,
    SignIn,
    StepUp,
    TokenMade,
    TokenShown,
    Who,
    session_shown,
    token_shown,
    who,
)
from api.identity.desk import Identity
from api.identity.guards import OPEN, fresh, principal_of, reads
from api.identity.peers import address
from api.identity.principal import BY_SESSION, OWN, Principal
from api.identity.sign_in import Given, Peer, SignInDesk, unreachable
from api.problems import Problem
from kitepilot.audit.acts import SESSION_ENDED, SIGNED_OUT, TOKEN_MADE, TOKEN_REVOKED

MAX_BYTES = 4_096
Asking = Request[Any, Any, Any]
Desk = NamedDependency[Identity]
DECLARED = problems.declared(400, 401, 403, 413, 429, 500, 503)


@post(
    "/api/v1/session",
    opt=OPEN,
    operation_id="sign_in",
    request_max_body_size=MAX_BYTES,
    responses=DECLARED,
    summary="Sign in: e-mail, password, and a one-time code or a recovery code",
)
async def sign_in(data: JSONBody[SignIn], request: Asking, identity: Desk) -> Response[Who]:
    """201 with a session's cookie; 401 sign_in_refused whatever was wrong; 429 after too many attempts."""
    desk = _desk(identity)
    given = Given(data.email, data.password, data.totp, data.recovery_code)
    secret, row = await desk.sign_in(given, _peer(request))
    before = request.cookies.get(identity.sessions.cookie_name, "")
    if before:  # whoever was signed in here before is so no more
        await _ending(identity.sessions.end(before))
    principal = await _opened(identity, secret)
    shown = who(principal, identity.sessions.csrf_token(row.session_id), identity.gate.now())
    return Response(shown, cookies=[identity.sessions.cookie(secret)])


@get(
    "/api/v1/session",
    guards=[reads],
    operation_id="session",
    responses=DECLARED,
    summary="Who am I, and the token against forged requests",
)
async def session(request: Asking, identity: Desk) -> Who:
    """Of the session, the program's token, or the home's token."""
    principal = principal_of(request)
    now, sessions = identity.gate.now(), identity.sessions
    if principal.way != BY_SESSION:
        return who(principal, "", now)
    ends_at = sessions.ends_at(request.cookies.get(sessions.cookie_name, ""))
    return who(principal, sessions.csrf_token(principal.session), now, ends_at)


@delete(
    "/api/v1/session",
    guards=[reads],
    operation_id="sign_out",
    responses=DECLARED,
    summary="Sign out: the session ends",
)
async def sign_out(request: Asking, identity: Desk) -> Response[None]:
    """204; the cookie opens nothing any more."""
    principal = _person(request)
    await _ending(identity.sessions.end(request.cookies.get(identity.sessions.cookie_name, "")))
    await identity.deeds.record(SIGNED_OUT, principal.session, principal.name, address(request))
    return Response(None, cookies=[identity.sessions.cookie("")])


@post(
    "/api/v1/session/step-up",
    guards=[reads],
    status_code=200,
    operation_id="step_up",
    request_max_body_size=MAX_BYTES,
    responses=DECLARED,
    summary="Give a fresh one-time code: for five minutes what asks for one is possible",
)
async def step_up(data: JSONBody[StepUp], request: Asking, identity: Desk) -> Response[Who]:
    """200 with the session's new cookie; 403 code_refused for a wrong one, or one that was used."""
    principal = _person(request)
    old = request.cookies.get(identity.sessions.cookie_name, "")
    new = await _desk(identity).step_up(principal, old, data.totp, _peer(request))
    renewed = await _opened(identity, new)
    shown = who(renewed, identity.sessions.csrf_token(renewed.session), identity.gate.now())
    return Response(shown, cookies=[identity.sessions.cookie(new)])


@get(
    "/api/v1/sessions",
    guards=[reads],
    operation_id="sessions",
    responses=DECLARED,
    summary="Where I am signed in; `everyone=true` for the owner: where anybody is",
)
async def sessions(request: Asking, identity: Desk, everyone: FromQuery[bool] = False) -> list[SessionShown]:
    """Newest first."""
    principal = principal_of(request)
    rows = await _asked(identity.sessions.all_of(_whose(principal, everyone)))
    return [session_shown(row, principal.session) for row in rows]


@delete(
    "/api/v1/sessions/{session_id:str}",
    guards=[reads],
    operation_id="end_session",
    responses=problems.declared(400, 401, 403, 404, 429, 500, 503),
    summary="End a session of mine; the owner: anybody's",
)
async def end_session(session_id: FromPath[str], request: Asking, identity: Desk) -> None:
    """204; 404 where there is none of that name."""
    principal = _person(request)
    if not session_id.isalnum() or not await _asked(
        identity.sessions.end_by_id(_whose(principal, everyone=True), session_id)
    ):
        raise Problem("not_found", "There is no such session.")
    await identity.deeds.record(SESSION_ENDED, session_id, principal.name, address(request))


@post(
    "/api/v1/tokens",
    guards=[reads, fresh],
    operation_id="make_token",
    request_max_body_size=MAX_BYTES,
    responses=DECLARED,
    summary="A token for a program, with a part of my rights",
)
async def make_token(data: JSONBody[NewToken], request: Asking, identity: Desk) -> TokenMade:
    """201 with the token, shown this once."""
    principal = _person(request)
    scopes = frozenset(data.scopes)
    if beyond := scopes - principal.rights:
        raise Problem("not_permitted", f"You have not the right to {', '.join(sorted(beyond))} yourself.")
    text, row = await _asked(identity.tokens.make(principal, data.name, scopes, data.days))
    facts = {"name": row.name, "scopes": " ".join(row.scopes), "days": data.days}
    await identity.deeds.record(TOKEN_MADE, row.token_id, principal.name, address(request), **facts)
    return TokenMade(text, token_shown(row))


@get(
    "/api/v1/tokens",
    guards=[reads],
    operation_id="tokens",
    responses=DECLARED,
    summary="My programs' tokens; `everyone=true` for the owner: everybody's",
)
async def tokens(request: Asking, identity: Desk, everyone: FromQuery[bool] = False) -> list[TokenShown]:
    """Newest first, revoked ones too."""
    rows = await _asked(identity.tokens.all_of(_whose(principal_of(request), everyone)))
    return [token_shown(row) for row in rows]


@delete(
    "/api/v1/tokens/{token_id:str}",
    guards=[reads],
    operation_id="revoke_token",
    responses=problems.declared(400, 401, 403, 404, 429, 500, 503),
    summary="Revoke a token of mine; the owner: anybody's",
)
async def revoke_token(token_id: FromPath[str], request: Asking, identity: Desk) -> None:
    """204; 404 where there is none, or it was revoked before."""
    principal = _person(request)
    if not token_id.isalnum() or not await _asked(
        identity.tokens.revoke(_whose(principal, everyone=True), token_id)
    ):
        raise Problem("not_found", "There is no such token, or it is revoked.")
    await identity.deeds.record(TOKEN_REVOKED, token_id, principal.name, address(request))


ROUTES = (sign_in, session, sign_out, step_up, sessions, end_session, make_token, tokens, revoke_token)


def _desk(identity: Identity) -> SignInDesk:
    if identity.sign_in is None:
        raise Problem("unavailable", "Nobody can sign in: the key to the one-time codes is not to be had.")
    return identity.sign_in


def _person(request: Asking) -> Principal:
    """A program neither signs out nor makes programs."""
    principal = principal_of(request)
    if principal.way != BY_SESSION:
        raise Problem("not_permitted", "This is for people who are signed in, not for programs.")
    return principal


async def _opened(identity: Identity, secret: str) -> Principal:
    """Whose session has just begun, or has another secret now; it can have ended as quickly."""
    principal = await identity.sessions.principal(secret)
    if principal is None:
        raise Problem("sign_in_required", "The session has ended meanwhile: sign in again.")
    return principal


def _peer(request: Asking) -> Peer:
    return Peer(address(request), request.headers.get("user-agent", ""))


def _whose(principal: Principal, everyone: bool) -> str | None:
    """Whose things are meant: one's own, or for the owner (None) everybody's."""
    return None if everyone and OWN in principal.rights else principal.id


async def _asked(work: Any) -> Any:
    try:
        return await work
    except AccountsAwayError as err:
        raise unreachable() from err


async def _ending(work: Any) -> None:
    """A session that PostgreSQL cannot be told of is forgotten here, and runs out there."""
    try:
        await work
    except AccountsAwayError:
        return
