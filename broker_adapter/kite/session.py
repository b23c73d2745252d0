"""The day's login: a request token in, an access token out, kept for this run's processes.

A person logs in once a day (exchange rules); against the sandbox the login page redirects at once. The token
file is `<run>/session.json`, mode 0600; one process writes it, the others read.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec

from kitepilot.run import Run

FILE = "session.json"
KITE_VERSION = {"X-Kite-Version": "3"}


class SessionError(RuntimeError):
    """No usable session; says what happened and that a login is needed."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What the token exchange gave us. `login_time` is an IST string of the broker."""

    api_key: str
    access_token: str
    user_id: str
    login_time: str


def login_to_sandbox(run: Run, api_secret: str) -> str:
    """Log in as a person would, exchange the token, store the session; returns the access token.

    Raises:
        SessionError: nobody answers, the redirect carries no request token, or the exchange is refused.
    """
    broker = run.config.broker
    with _client(run) as http:
        request_token = _request_token(http, broker.api_key)
        session = exchange(http, broker.api_key, request_token, api_secret)
    save(run, session)
    return session.access_token


def exchange(http: httpx.Client, api_key: str, request_token: str, api_secret: str) -> Session:
    """`POST /session/token` with the checksum Kite asks for. Raises `SessionError` when refused."""
    checksum = hashlib.sha256(f"{api_key}{request_token}{api_secret}".encode()).hexdigest()
    form = {"api_key": api_key, "request_token": request_token, "checksum": checksum}
    try:
        reply = http.post("/session/token", data=form)
        body = reply.json()
    except (httpx.HTTPError, ValueError) as err:
        raise SessionError(f"token exchange with {http.base_url} failed: {err}; log in again") from err
    if reply.status_code != 200:
        raise SessionError(f"token exchange refused: {body.get('message', reply.status_code)}; log in again")
    try:
        return msgspec.convert({**body["data"], "api_key": api_key}, Session)
    except (KeyError, TypeError, msgspec.ValidationError) as err:
        raise SessionError(f"token exchange gave no session: {err}") from err


def save(run: Run, session: Session) -> None:
    """Write the session so that no other user can read it and no reader sees half of it."""
    path = run.folder / FILE
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(session))
    fresh.replace(path)


def load(run: Run) -> Session:
    """The stored session.

    Raises:
        SessionError: nobody has logged in for this run, or the file is damaged.
    """
    path: Path = run.folder / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Session)
    except OSError as err:
        raise SessionError(f"no session in {path} ({err.strerror}): a login is needed") from err
    except (msgspec.DecodeError, msgspec.ValidationError) as err:
        raise SessionError(f"{path} is damaged ({err}): a login is needed") from err


def _client(run: Run) -> httpx.Client:
    broker = run.config.broker
    return httpx.Client(
        base_url=broker.rest_url,
        timeout=broker.request_timeout_s,
        headers=KITE_VERSION,
        trust_env=not is_loopback(broker.rest_url),
    )


def _request_token(http: httpx.Client, api_key: str) -> str:
    try:
        reply = http.get("/connect/login", params={"v": "3", "api_key": api_key})
    except httpx.HTTPError as err:
        raise SessionError(
            f"the login page of {http.base_url} does not answer: {err}; is the sandbox up?"
        ) from err
    query = parse_qs(urlsplit(reply.headers.get("location", "")).query)
    tokens = query.get("request_token", [])
    if query.get("status") != ["success"] or len(tokens) != 1:
        raise SessionError(f"the login page answered {reply.status_code} without a request token")
    return str(tokens[0])


def is_loopback(url: str) -> bool:
    """Whether `url` is this machine, which no proxy should stand before."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
