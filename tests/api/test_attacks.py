"""Attacks that are tried: each row of docs/reference/attacks.md names the test that tries it."""

from __future__ import annotations

import ast
import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar
from litestar.exceptions import WebSocketDisconnect
from litestar.routes import HTTPRoute, WebSocketRoute
from litestar.testing import TestClient
from served import METRICS_TOKEN, TEST_HOST, TOKEN

from api.identity.flow import Flow, Rate
from api.identity.guards import operates, owns, reads, scrapes
from api.identity.headers import MAX_BODY_BYTES
from api.identity.patience import Patience
from api.identity.principal import OPERATE, OWN, READ, RIGHTS, Role
from api.identity.recollection import Recollection
from api.identity.throttle import Bound, Throttle
from api.problems import Problem
from kitepilot import config as configuration
from kitepilot.config import ApiSection, ConfigError
from kitepilot.ports import EventLog
from kitepilot.topics import SESSION

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reference/attacks.md"
#: Routes that ask nobody who he is. One more of them is a decision, so it is written here.
OPEN = {
    "/health",
    *("/broker/postbacks", "/control/{name}"),  # signed with the API secret; by the home's token
    "/api/v1/session",  # to sign in
    *("/sign-in", "/assets/{digest:str}/{name:path}"),
}
RIGHT_OF = {reads: READ, scrapes: READ, operates: OPERATE, owns: OWN}
SECOND = 1_000_000_000


def handlers(app: Litestar) -> Iterator[tuple[str, str, Any]]:
    """Path, method and handler of everything that is served."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                for method in handler.http_methods - {"OPTIONS"}:
                    yield route.path_format, method, handler
        elif isinstance(route, WebSocketRoute):
            yield route.path_format, "WEBSOCKET", route.route_handler


def rights_asked(handler: Any) -> set[str]:
    guards = (getattr(each, "func", each) for each in handler.resolve_guards())
    return {RIGHT_OF[each] for each in guards if each in RIGHT_OF}


def test_every_route_has_a_guard_or_is_one_of_the_few_that_are_open(app: Litestar) -> None:
    served = list(handlers(app))
    assert len(served) > 30
    open_ = {path for path, _, handler in served if handler.opt.get("open")}
    assert {path for path in open_ if not path.startswith("/assets")} <= OPEN
    unguarded = [
        path
        for path, _, handler in served
        if not handler.opt.get("open") and not rights_asked(handler) and not path.startswith("/schema")
    ]
    assert unguarded == []


@pytest.mark.parametrize("role", ["stranger", "reader", "operator", "service"])
def test_no_role_gets_a_route_it_has_not(app: Litestar, client: Any, signed_in: Any, role: str) -> None:
    """Every route there is, asked by everybody who may not: refused before a body is looked at."""
    asks = client if role == "stranger" else signed_in(role, fresh=True)
    rights = frozenset() if role == "stranger" else RIGHTS[Role(role)]
    tried = 0
    for path, method, handler in handlers(app):
        lacking = rights_asked(handler) - rights
        if not lacking or handler.opt.get("open") or method == "WEBSOCKET":
            continue
        reply = asks.request(method, re.sub(r"{[^}]*}", "x", path), follow_redirects=False)
        assert reply.status_code in ({401, 303} if role == "stranger" else {403}), (method, path, reply.text)
        tried += 1
    assert tried > (0 if role in ("operator", "service") else 5)


def test_what_collects_metrics_sees_them_and_nothing_else(app: Litestar, client: Any) -> None:
    headers = {"authorization": f"Bearer {METRICS_TOKEN}"}
    assert client.get("/metrics", headers=headers).text.startswith("# HELP")
    for path, method, handler in handlers(app):
        if (
            handler.opt.get("open")
            or path == "/metrics"
            or method == "WEBSOCKET"
            or path.startswith("/schema")
        ):
            continue
        reply = client.request(method, re.sub(r"{[^}]*}", "x", path), headers=headers, follow_redirects=False)
        assert reply.status_code == 403, (method, path, reply.text)


def test_only_whether_it_works_is_told_to_a_stranger_on_this_machine(client: Any) -> None:
    assert client.get("/health").status_code == 200
    for path in ("/status", "/metrics"):
        assert client.get(path).status_code == 401, path


def test_nothing_is_framed_and_nothing_inline_runs(client: TestClient[Litestar]) -> None:
    for path in ("/sign-in", "/health", "/api/v1/session", "/nothing-there", "/"):
        reply = client.get(path, follow_redirects=False)
        policy = reply.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy and "base-uri 'none'" in policy, path
        assert "unsafe" not in policy and "http" not in policy and "*" not in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/assets/x/../../../identity/keys.py",
            "/assets/x/..%2f..%2fapp.py",
            "/assets/x/%2e%2e/%2e%2e/app.py",
        ),
        *("/assets/x//etc/passwd", "/assets/x/%00", "/api/v1/reports/..%2f..%2fapi.token"),
    ],
)
def test_no_path_leads_out_of_what_is_served(signed_in: Any, path: str) -> None:
    reply = signed_in("owner").get(path, follow_redirects=False)
    assert reply.status_code in (400, 404, 405)
    assert TOKEN not in reply.text and "root:" not in reply.text


def test_a_socket_from_a_foreign_page_is_closed(signed_in: Any) -> None:
    owner = signed_in("owner")
    for origin in ("https://evil.test", "null", f"https://{TEST_HOST}", f"http://{TEST_HOST}.evil.test"):
        owner.headers["origin"] = origin
        with pytest.raises(WebSocketDisconnect) as closed, owner.websocket_connect("/api/v1/live/ws"):
            pass
        assert closed.value.code == 4403, origin


def test_a_name_made_to_lead_here_is_not_answered(signed_in: Any) -> None:
    reply = signed_in("owner").get("/api/v1/session", headers={"host": "rebound.evil.test"})
    assert (reply.status_code, reply.json()["code"]) == (400, "bad_request")


def test_a_body_that_is_too_large_is_not_read(client: TestClient[Litestar], signed_in: Any) -> None:
    large = "x" * (MAX_BODY_BYTES + 1)
    assert client.post("/api/v1/session", json={"email": large, "password": "p"}).status_code == 413
    assert signed_in("owner").post("/api/v1/halt", json={"reason": large}).status_code == 413


@pytest.mark.parametrize(
    "body", [b"[" * 4_000, b'{"email":' * 400, b"\xff\xfe", b"!!python/object:x {}", b"null"]
)
def test_a_body_that_is_not_what_is_asked_is_refused(client: TestClient[Litestar], body: bytes) -> None:
    """Bodies become the one type that is named, by msgspec: no body chooses what is made of it."""
    reply = client.post("/api/v1/session", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 400


def test_a_form_of_another_site_cannot_be_a_command(signed_in: Any) -> None:
    owner = signed_in("owner")
    del owner.headers["x-csrf-token"]
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        reply = owner.post("/api/v1/halt", content=b'{"reason":""}', headers={"content-type": kind})
        assert (reply.status_code, reply.json()["code"]) == (403, "csrf")


@pytest.mark.parametrize("email", ["' OR '1'='1", "a@b.c'; DROP TABLE users; --", "x@y.z\x00", "\u202e@x.y"])
def test_an_address_is_never_a_statement(client: TestClient[Litestar], email: str) -> None:
    reply = client.post("/api/v1/session", json={"email": email, "password": "p", "totp": "123456"})
    assert reply.status_code in (400, 503), "refused as no address, or asked of a database that is away"


async def test_a_slow_body_is_not_waited_for() -> None:
    async def never_ends() -> Any:
        await asyncio.Event().wait()

    async def reads_it(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()

    with pytest.raises(Problem) as told:
        scope: Any = {"type": "http", "path": "/", "method": "POST"}
        await Patience(first_s=0.01)(reads_it)(scope, never_ends, never_ends)
    assert told.value.code == "too_slow"


async def test_a_slow_body_is_not_waited_for_by_what_is_served(app: Litestar) -> None:
    (patience,) = (each for each in app.middleware if isinstance(each, Patience))
    patience._first_s = 0.01

    async def never_ends() -> AsyncIterator[bytes]:
        yield b'{"email":'
        await asyncio.Event().wait()

    here = httpx.ASGITransport(app)  # type: ignore[arg-type]  # Litestar's own words for ASGI
    async with httpx.AsyncClient(transport=here, base_url=f"http://{TEST_HOST}") as slow:
        asked = slow.post(
            "/api/v1/session", content=never_ends(), headers={"content-type": "application/json"}
        )
        reply = await asyncio.wait_for(asked, 60)
    assert (reply.status_code, reply.json()["code"]) == (408, "too_slow")


async def test_what_ended_while_it_was_read_is_not_remembered() -> None:
    """A session or a token that was ended between the reading of its row and the answer."""
    known: Recollection[str, str] = Recollection(lambda: 0)
    rows = {"secret": "the owner's"}

    async def read() -> str | None:
        return rows.get("secret")

    async def read_before_it_ended() -> str | None:
        row = rows.pop("secret")
        known.forget("secret")
        return row

    assert await known.recall("secret", read_before_it_ended) is not None
    assert await known.recall("secret", read) is None


@pytest.mark.parametrize("header", ["x-http-method-override", "x-http-method", "x-method-override"])
def test_a_method_is_the_one_that_was_sent(signed_in: Any, log: EventLog, header: str) -> None:
    """A link or a picture makes a GET; no header and no parameter makes a command of it."""
    owner = signed_in("owner")
    reply = owner.get("/api/v1/halt?_method=POST", headers={header: "POST"})
    assert reply.status_code == 405
    assert log.end_offset(SESSION.name) == 0


@pytest.mark.parametrize("asked", [{"if-none-match": "*"}, {"range": "bytes=0-0"}, {"if-match": "*"}])
def test_no_condition_gets_a_stranger_past_the_door(
    client: TestClient[Litestar], asked: dict[str, str]
) -> None:
    for path in ("/api/v1/session", "/api/v1/reports", "/api/v1/alerts", "/api/v1/orders"):
        reply = client.get(path, headers=asked)
        assert reply.status_code == 401 and "etag" not in reply.headers, path


@given(st.lists(st.sampled_from([0, 0, 0, 1, 3, 9, 10, 11, 50]), min_size=12, max_size=200))
def test_no_pattern_of_guesses_gets_more_than_the_bound(pauses_s: list[int]) -> None:
    """Whatever the pauses: between two attempts past the free ones lies the lock that was promised."""
    bound = Bound(free=3, window_s=100, first_lock_s=10, longest_lock_s=40)
    throttle, now, made = Throttle(bound), 0, []
    for pause_s in pauses_s:
        now += pause_s * SECOND
        if throttle.wait_s("somebody", now) == 0:
            throttle.attempt("somebody", now)
            made.append(now)
    for first, fourth in zip(made, made[3:], strict=False):
        assert fourth - first >= 10 * SECOND


@given(st.lists(st.integers(0, 1_000).map(str), min_size=30, max_size=300))
def test_what_is_remembered_of_strangers_is_bounded(keys: list[str]) -> None:
    throttle = Throttle(Bound(free=1), remembered=20)
    for at, key in enumerate(keys):
        throttle.attempt(key, at)
    assert len(throttle) <= 20


def test_a_flood_is_slowed_down_and_halting_is_not(app: Litestar, signed_in: Any) -> None:
    flow = Flow(Rate(per_s=1, burst=2))
    assert [flow.wait_s("a", 0) > 0 for _ in range(3)] == [False, False, True]
    assert flow.wait_s("a", SECOND) == 0 and flow.wait_s("b", 0) == 0
    app.state.gate._acting = Flow(Rate(per_s=1, burst=1))
    owner = signed_in("owner")
    assert [owner.post("/api/v1/resume", json={}).status_code for _ in range(3)].count(429) >= 1
    assert owner.post("/api/v1/halt", json={}).status_code == 202


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "trade.example.com"])
def test_nobody_listens_beyond_this_machine_in_the_clear(host: str) -> None:
    with pytest.raises(ValueError, match=r"api\.tls_certificate"):
        ApiSection(host=host)
    assert not ApiSection(host=host, tls_certificate="a.pem", tls_key="a.key").local
    assert ApiSection(host=host, published_on_loopback=True).local
    with pytest.raises(ConfigError, match=r"api\.tls_certificate"):
        configuration.override(configuration.Config(), **{"api.host": host})


def test_no_secret_is_in_what_is_printed_of_a_request() -> None:
    from api.identity.bodies import SignIn, StepUp
    from api.identity.sign_in import Given

    planted = "planted-secret"
    said = [
        Given("a@b.c", planted, planted, planted),
        msgspec.json.decode(json.dumps({"email": "a@b.c", "password": planted}), type=SignIn),
        StepUp("123456"),
    ]
    assert planted not in repr(said) and "123456" not in repr(said)


def test_a_refusal_repeats_no_secret(client: TestClient[Litestar]) -> None:
    planted = "planted-secret"
    for body in ({"email": "a@b.c", "password": planted, "totp": planted}, {"password": planted}):
        assert planted not in client.post("/api/v1/session", json=body).text
    reply = client.get("/api/v1/session", headers={"authorization": f"Bearer {planted}"})
    assert reply.status_code == 401 and planted not in reply.text


def test_every_attack_of_the_page_is_tried() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text()))
    there = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert named and named - there == set()
