"""The day's login and logout: from a person at the broker's page to the sealed session in the home."""

from __future__ import annotations

import getpass
import os
import secrets
import sys
import time
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from broker_adapter.kite import login as page
from broker_adapter.kite import session as sessions
from broker_adapter.kite.session import KEYRING, Session, SessionError
from infra import key_urls
from infra.audit.acts import record_act
from infra.key_urls import NoSecretError, SecretError
from kitepilot.audit.acts import LOGGED_IN, LOGGED_OUT, LOGIN_FAILED
from kitepilot.config import Config
from kitepilot.market import calendar

API_SECRET_VARIABLE = "KITEPILOT_API_SECRET"  # noqa: S105 the name of the variable, not a secret
EARLY_IST = "07:30"  # logins before it have been seen to end with the broker's nightly clean-up (forum, 2025)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Held:
    """The stored login as `--status` shows it; everything but the token."""

    user_id: str
    user_name: str
    api_key: str
    broker: str
    login_time: str
    ends_at: str


@dataclass(frozen=True)
class Way:
    """How the request token comes: `answer` has it, `paste` asks for it, else the redirect brings it."""

    answer: str | None = None
    paste: bool = False
    browser: bool = True
    wait_s: float = 300.0
    remember: bool = False  # keep the API secret in the keyring


def log_in(config: Config, home: Path, way: Way, say: Say) -> Held:
    """Lead a person through the login and keep the session.

    Raises:
        SessionError: no redirect, refused, or another person's login. SecretError: no api secret or no key.
        OSError: the session cannot be written.
    """
    secret = api_secret(config)  # asked for first: a request token lives for a few minutes only
    sessions.require_key(config)
    state = secrets.token_urlsafe(24)
    if way.answer:
        token = page.request_token(way.answer, None)
    else:
        token = page.request_token(_ask(config, state, way, say), state)
    broker = config.broker
    with sessions.connection(broker) as http:
        session = sessions.exchange(http, broker.api_key, token, secret)
        if broker.user_id and session.user_id != broker.user_id:
            sessions.end(http, session)
            record_act(home, LOGIN_FAILED, session.user_id, why=f"broker.user_id is {broker.user_id}")
            raise SessionError(
                f"{session.user_id} logged in, but broker.user_id is {broker.user_id}: nothing was kept"
            )
    session = msgspec.structs.replace(session, logged_in_at=time.time_ns(), rest_url=broker.rest_url)
    sessions.hold(home, config, session)
    record_act(home, LOGGED_IN, session.user_id, broker=broker.rest_url, api_key=broker.api_key)
    if way.remember:
        key_urls.write(secret_place(config), secret)
    return _shown(session)


def log_out(config: Config, home: Path) -> str:
    """End the session at the broker and forget it; returns what happened, for a person.

    Raises:
        SessionError: the broker could not be told; the session is forgotten here all the same.
    """
    try:
        session = sessions.held(home, config, time.time_ns())
    except SessionError as err:
        return (
            f"forgotten; nothing to end at the broker ({err})" if sessions.forget(home) else "not logged in"
        )
    sessions.forget(home)
    record_act(home, LOGGED_OUT, session.user_id, broker=session.rest_url)
    with sessions.connection(config.broker) as http:
        sessions.end(http, session)
    return f"{session.user_id} is logged out"


def status(config: Config, home: Path) -> Held:
    """The stored login. Raises `SessionError` when there is none that still holds."""
    return _shown(sessions.held(home, config, time.time_ns()))


def too_early(now: int) -> bool:
    """Whether a login at `now` (ns UTC) may not outlive the broker's clean-up of this morning."""
    day = calendar.ist_date(now)
    return calendar.ist_ns(day, sessions.ENDS_AT_IST) <= now < calendar.ist_ns(day, EARLY_IST)


def api_secret(config: Config) -> str:
    """The API secret: configured place, environment, keyring, else asked for at the terminal, never echoed.

    Raises:
        SecretError: nowhere, and nobody to ask.
    """
    place = config.broker.api_secret_url
    if place:
        return key_urls.read(place)
    for url in (f"env:{API_SECRET_VARIABLE}", secret_place(config)):
        try:
            return key_urls.read(url)
        except SecretError:
            continue
    if not sys.stdin.isatty():
        raise SecretError(
            f"no API secret: set ${API_SECRET_VARIABLE}, or run `kitepilot login` at a terminal"
        )
    secret = getpass.getpass(f"API secret of {config.broker.api_key} (from developers.kite.trade): ").strip()
    if not secret:
        raise NoSecretError("no API secret was given")
    return secret


def secret_place(config: Config) -> str:
    """Where `--remember` keeps the API secret."""
    return config.broker.api_secret_url or f"{KEYRING}/{config.broker.api_key}"


def _ask(config: Config, state: str, way: Way, say: Say) -> str:
    url = page.login_url(config.broker, state)
    if way.paste:
        say(f"Log in here, in any browser:\n{url}\nThen paste the address it was sent to (it is not shown).")
        return getpass.getpass("address: ")
    with page.listening(config.broker.redirect_url, state) as redirect:
        say(f"Log in here; this terminal waits {way.wait_s:.0f} s for the browser to come back:\n{url}")
        if way.browser and _has_screen():
            webbrowser.open(url)
        return redirect.wait(way.wait_s)


def _has_screen() -> bool:
    """Whether a browser would open beside this terminal and not inside it."""
    return sys.platform in ("darwin", "win32") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def _shown(session: Session) -> Held:
    return Held(
        user_id=session.user_id,
        user_name=session.user_name,
        api_key=session.api_key,
        broker=session.rest_url,
        login_time=session.login_time,
        ends_at=f"{calendar.to_ist(session.ends_at):%Y-%m-%d %H:%M} IST",
    )
