"""The day's session with the broker: a request token in, an access token out, kept sealed for who needs it.

A person logs in once a day (exchange rules); `kitepilot login` keeps that session in the home, where every
live run and tool reads it. A paper run logs in to its sandbox by itself and keeps its own session in its
own folder, under a key drawn for that run. One process writes a session, the others read.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec

from infra.key_urls import SecretError
from infra.sealed_file import ensure_key, seal, unseal
from kitepilot.config import BrokerSection, Config
from kitepilot.market import calendar
from kitepilot.run import Run

FILE = "session.sealed"
RUN_KEY_FILE = "session.key"
KEY_VARIABLE = "KITEPILOT_KEY"
KEYRING = "keyring:kitepilot"
ENDS_AT_IST = "06:00"  # of the next day; Kite Connect documentation, read 2026-07-14
KITE_VERSION = {"X-Kite-Version": "3"}


class SessionError(RuntimeError):
    """No usable session; says what happened and that a login is needed."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What the token exchange gave us. Its text form never shows the token.

    `login_time` is the broker's IST string; `logged_in_at` is our clock, ns UTC (0: not a person's login,
    its end is not known); `rest_url` is who gave the token, and who alone may see it.
    """

    api_key: str
    access_token: str
    user_id: str
    login_time: str
    user_name: str = ""
    logged_in_at: int = 0
    rest_url: str = ""

    def __repr__(self) -> str:
        return f"Session(user_id={self.user_id!r}, login_time={self.login_time!r})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return [("user_id", self.user_id), ("login_time", self.login_time)]

    @property
    def ends_at(self) -> int:
        """ns UTC of the 06:00 IST that ends it, for a login whose `logged_in_at` is known."""
        day = calendar.ist_date(self.logged_in_at)
        end = calendar.ist_ns(day, ENDS_AT_IST)
        return end if self.logged_in_at < end else calendar.ist_ns(day + timedelta(days=1), ENDS_AT_IST)

    @property
    def authorization(self) -> dict[str, str]:
        """The request header that proves the session."""
        return {"Authorization": f"token {self.api_key}:{self.access_token}"}


# --- where sessions are kept ------------------------------------------------------------------------------


def load(run: Run) -> Session:
    """The session of a run: its own, else (live) the one a person's login left in the home.

    Raises:
        SessionError: nobody has logged in, the login has ended, or the file is damaged.
    """
    own = run.folder / FILE
    if run.config.mode == "paper" or own.exists():
        return _read(own, _run_key(run))
    return held(run.home, run.config, time.time_ns())


def save(run: Run, session: Session) -> None:
    """Keep a session for this run alone. Raises `SecretError` or OSError when that is impossible."""
    seal(run.folder / FILE, msgspec.json.encode(session), _run_key(run))


def held(home: Path, config: Config, now: int) -> Session:
    """The day's session of this home. `now` is ns UTC.

    Raises:
        SessionError: no login, an ended one, one for another key or another broker, or no key to open it.
    """
    session = _read(home / FILE, key_url(config))
    if session.logged_in_at and now >= session.ends_at:
        raise SessionError(
            f"the login of {session.user_id} ended at {calendar.to_ist(session.ends_at):%Y-%m-%d %H:%M} IST: "
            "a login is needed (`kitepilot login`)"
        )
    if session.api_key != config.broker.api_key or session.rest_url != config.broker.rest_url:
        raise SessionError(
            f"the stored login is one at {session.rest_url} for the API key {session.api_key}, "
            f"not at {config.broker.rest_url} for {config.broker.api_key}: a login is needed"
        )
    return session


def hold(home: Path, config: Config, session: Session) -> Path:
    """Keep the day's session in the home; returns the file. Raises `SecretError` or OSError."""
    home.mkdir(parents=True, exist_ok=True)
    seal(home / FILE, msgspec.json.encode(session), key_url(config))
    return home / FILE


def forget(home: Path) -> bool:
    """Remove the day's session from the home; whether there was one."""
    path = home / FILE
    existed = path.exists()
    path.unlink(missing_ok=True)
    return existed


def key_url(config: Config) -> str:
    """Where the key to the day's session lies: configured, else `$KITEPILOT_KEY`, else the keyring."""
    chosen = config.broker.token_key_url
    return chosen or (f"env:{KEY_VARIABLE}" if os.environ.get(KEY_VARIABLE) else f"{KEYRING}/key")


def require_key(config: Config) -> None:
    """Raises `SecretError` when a session could not be sealed, before anybody logs in for nothing."""
    ensure_key(key_url(config))


def _run_key(run: Run) -> str:
    return (run.folder / RUN_KEY_FILE).absolute().as_uri()


def _read(path: Path, key: str) -> Session:
    try:
        if not path.exists():
            raise SessionError(f"no session in {path}: a login is needed")
        return msgspec.json.decode(unseal(path, key), type=Session)
    except (SecretError, OSError) as err:
        raise SessionError(f"{err}: a login is needed") from err
    except (msgspec.DecodeError, msgspec.ValidationError) as err:
        raise SessionError(f"{path} is damaged ({err}): a login is needed") from err


# --- the broker's side ------------------------------------------------------------------------------------


def connection(broker: BrokerSection) -> httpx.Client:
    """An HTTP client for the broker's REST address. Its request lines are kept out of the log: some of the
    session's calls carry the token in the URL."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return httpx.Client(
        base_url=broker.rest_url,
        timeout=broker.request_timeout_s,
        headers=KITE_VERSION,
        trust_env=not is_loopback(broker.rest_url),
    )


def exchange(http: httpx.Client, api_key: str, request_token: str, api_secret: str) -> Session:
    """`POST /session/token` with the checksum Kite asks for. Raises `SessionError` when refused."""
    checksum = hashlib.sha256(f"{api_key}{request_token}{api_secret}".encode()).hexdigest()
    form = {"api_key": api_key, "request_token": request_token, "checksum": checksum}
    try:
        reply = http.post("/session/token", data=form)
        body = reply.json()
    except (httpx.HTTPError, ValueError) as err:
        raise SessionError(f"token exchange with {http.base_url} failed: {err}; log in again") from err
    if not isinstance(body, dict) or reply.status_code != 200:
        told = body.get("message") if isinstance(body, dict) else None
        raise SessionError(f"token exchange refused: {told or reply.status_code}; log in again")
    try:
        return msgspec.convert({**body["data"], "api_key": api_key}, Session)
    except (KeyError, TypeError, msgspec.ValidationError) as err:
        raise SessionError(f"token exchange gave no session: {err}") from err


def end(http: httpx.Client, session: Session) -> None:
    """`DELETE /session/token`: the broker forgets the token. An already dead one is no error.

    Raises:
        SessionError: the broker could not be asked, so the token may still live.
    """
    query = {"api_key": session.api_key, "access_token": session.access_token}
    try:
        reply = http.delete("/session/token", params=query, headers=session.authorization)
    except httpx.HTTPError as err:
        raise SessionError(f"{http.base_url} could not be told of the logout ({type(err).__name__})") from err
    if reply.status_code not in (200, 400, 403):
        raise SessionError(f"{http.base_url} answered the logout with {reply.status_code}")


def login_to_sandbox(run: Run, api_secret: str) -> str:
    """Log in as a person would, exchange the token, store the session; returns the access token.

    Raises:
        SessionError: nobody answers, the redirect carries no request token, or the exchange is refused.
    """
    broker = run.config.broker
    with connection(broker) as http:
        request_token = _request_token(http, broker.api_key)
        session = exchange(http, broker.api_key, request_token, api_secret)
    save(run, session)
    return session.access_token


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
