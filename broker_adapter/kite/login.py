"""A person's daily login: the page to open, the redirect that comes back to this machine, the request token.

User id, password and second factor are typed into the broker's page and nowhere else. A random `state`
travels through the page (`redirect_params`): a redirect without it was not asked for by this login.
"""

from __future__ import annotations

import hmac
import http.server
import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from broker_adapter.kite.session import SessionError, is_loopback
from kitepilot.config import BrokerSection

KITE_ROOT = "https://api.kite.trade"
KITE_LOGIN = "https://kite.zerodha.com/connect/login"
CONNECTION_TIMEOUT_S = 5.0
MAX_TOKEN = 128
DONE = "KitePilot has what it needs. You can close this page and go back to the terminal."
REFUSED = "This is not the login that KitePilot is waiting for. Start again from the terminal."


def login_url(broker: BrokerSection, state: str) -> str:
    """The page where the person logs in: Kite's own, or that of a sandbox at `broker.rest_url`."""
    root = broker.rest_url.rstrip("/")
    page = KITE_LOGIN if root == KITE_ROOT else f"{root}/connect/login"
    query = {"v": "3", "api_key": broker.api_key, "redirect_params": urlencode({"state": state})}
    return f"{page}?{urlencode(query)}"


def request_token(answer: str, state: str | None) -> str:
    """The request token in what came back: the redirect's URL, or (typed by a person) the bare token.

    `state` is what the redirect must carry; None where a person hands over an address of an earlier attempt.

    Raises:
        SessionError: the redirect belongs to another login, tells of a failure, or carries no token.
    """
    answer = answer.strip()
    if "?" not in answer:
        return _plausible(answer)
    query = parse_qs(urlsplit(answer).query)
    if state is not None and not hmac.compare_digest(
        "".join(query.get("state", [])).encode(), state.encode()
    ):
        raise SessionError("the redirect does not belong to this login (its state differs): log in again")
    if query.get("status") != ["success"]:
        raise SessionError("the broker's page reports that the login did not succeed: log in again")
    return _plausible("".join(query.get("request_token", [])))


def _plausible(token: str) -> str:
    if not token.isascii() or not token.isalnum() or len(token) > MAX_TOKEN:
        raise SessionError("no request token there: give the whole address the browser was sent to")
    return token


class Redirect:
    """Waits on the redirect address for the one request that carries the login's state."""

    def __init__(self, server: http.server.HTTPServer, answers: queue.Queue[str]) -> None:
        self._server = server
        self._answers = answers

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def wait(self, timeout_s: float) -> str:
        """The redirect's path and query. Raises `SessionError` when none comes in time."""
        try:
            return self._answers.get(timeout=timeout_s)
        except queue.Empty as err:
            raise SessionError(
                f"no login within {timeout_s:.0f} s; if the browser is on another machine, run "
                "`kitepilot login --paste` and paste the address it was sent to"
            ) from err


@contextmanager
def listening(redirect_url: str, state: str) -> Iterator[Redirect]:
    """Listen on the redirect URL's loopback port until the block ends.

    Raises:
        SessionError: the URL is not `http://` on this machine, or its port is taken.
    """
    parts = urlsplit(redirect_url)
    if parts.scheme != "http" or not is_loopback(redirect_url) or parts.port is None:
        raise SessionError(
            f"broker.redirect_url {redirect_url} is not http://127.0.0.1:PORT/PATH: `kitepilot login --paste`"
        )
    answers: queue.Queue[str] = queue.Queue(1)
    handler = type("Handler", (_Handler,), {"path_wanted": parts.path, "state": state, "answers": answers})
    try:
        server = _server(parts.hostname or "127.0.0.1", parts.port, handler)
    except OSError as err:
        raise SessionError(
            f"cannot listen on {redirect_url} ({err.strerror}): stop what does, or `kitepilot login --paste`"
        ) from err
    over = threading.Event()
    thread = threading.Thread(target=_serve, args=(server, over), name="login redirect", daemon=True)
    thread.start()
    try:
        yield Redirect(server, answers)
    finally:
        over.set()
        thread.join()
        server.server_close()


def _serve(server: http.server.HTTPServer, over: threading.Event) -> None:
    """Until `over`. The library's own loop is not used: ending it waits for ever if it ended before."""
    server.timeout = 0.1
    while not over.is_set():
        server.handle_request()


def _server(host: str, port: int, handler: Any) -> http.server.HTTPServer:
    class Server(http.server.ThreadingHTTPServer):
        """A thread per connection: browsers open some that they never use."""

        address_family = socket.AF_INET6 if host == "::1" else socket.AF_INET
        daemon_threads = True
        block_on_close = False

    return Server(("127.0.0.1" if host == "localhost" else host, port), handler)


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = CONNECTION_TIMEOUT_S
    path_wanted = ""
    state = ""
    answers: queue.Queue[str]

    def do_GET(self) -> None:  # the name the library calls
        parts = urlsplit(self.path)
        if parts.path.rstrip("/") != self.path_wanted.rstrip("/"):
            self._say(404, REFUSED)
            return
        told = "".join(parse_qs(parts.query).get("state", []))
        if not hmac.compare_digest(told.encode(), self.state.encode()):
            self._say(403, REFUSED)
            return
        self._say(200, DONE)
        with suppress(queue.Full):  # a page loaded twice: the first has the token
            self.answers.put_nowait(self.path)

    def _say(self, status: int, text: str) -> None:
        page = f"<!doctype html><meta charset=utf-8><title>KitePilot</title><p>{text}</p>\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: the request line carries the request token."""
