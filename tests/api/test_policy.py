"""Who may do what: one line for every route, and every route asked by everybody in every state.

A new route without a line here fails, and so does a line that is not kept.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from litestar import Litestar
from litestar.exceptions import WebSocketDisconnect
from litestar.testing import TestClient
from served import TEST_HOST
from test_attacks import handlers

from api.identity.flow import Flow, Rate
from api.identity.principal import RIGHTS, Role
from infra.audit.acts import acts_log
from kitepilot.audit.acts import decode_act
from kitepilot.run import Run

#: A line is: method, path, and what it asks for. `signed` and `token`
#: ask for a checksum and for the home's token, in the handler; `person` is not for programs.
POLICY = """
GET / read
GET /alerts read
GET /api/v1/alerts read
POST /api/v1/alerts/acknowledge operate
GET /api/v1/audit read
GET /api/v1/backtests read
POST /api/v1/backtests operate
GET /api/v1/backtests/{backtest_id} read
POST /api/v1/backtests/{backtest_id}/cancel operate
GET /api/v1/backtests/{backtest_id}/report read
GET /api/v1/candles read
GET /api/v1/commands read
GET /api/v1/commands/{command_id} read
GET /api/v1/config read
GET /api/v1/config/history read
GET /api/v1/config/file own
POST /api/v1/config/reload own
GET /api/v1/datasets read
GET /api/v1/features read
GET /api/v1/fills read
POST /api/v1/flatten operate
POST /api/v1/halt operate
GET /api/v1/health read
GET /api/v1/instruments read
GET /api/v1/intents read
GET /api/v1/live read
GET /api/v1/live/snapshot read
WEBSOCKET /api/v1/live/ws read
GET /api/v1/models read
GET /api/v1/models/compare read
GET /api/v1/models/{model_id} read
GET /api/v1/models/{model_id}/gates read
POST /api/v1/models/{model_id}/promote own+fresh
POST /api/v1/models/{model_id}/rollback own+fresh
GET /api/v1/orders read
GET /api/v1/orders/{name} read
POST /api/v1/orders/{name}/cancel operate
GET /api/v1/pnl read
GET /api/v1/positions read
GET /api/v1/quotes read
GET /api/v1/readiness read
POST /api/v1/readiness/check operate
GET /api/v1/reports read
GET /api/v1/reports/{run_id}/{name} read
POST /api/v1/resume own+fresh
GET /api/v1/risk read
POST /api/v1/risk/preview read
POST /api/v1/risk/profile operate
GET /api/v1/risk/profiles read
GET /api/v1/runs read
GET /api/v1/runs/{run_id} read
DELETE /api/v1/session read+person
GET /api/v1/session read
POST /api/v1/session open
POST /api/v1/session/step-up read+person
GET /api/v1/sessions read
DELETE /api/v1/sessions/{session_id} read+person
GET /api/v1/signals read
POST /api/v1/signals read
GET /api/v1/status read
GET /api/v1/strategies read
POST /api/v1/strategies/{name}/disable operate
POST /api/v1/strategies/{name}/enable own+fresh
GET /api/v1/timeline read
GET /api/v1/timeline/{name} read
GET /api/v1/tokens read
POST /api/v1/tokens read+fresh+person
DELETE /api/v1/tokens/{token_id} read+person
POST /api/v1/trading/start own+fresh
POST /api/v1/trading/stop operate
GET /assets/{digest}/{name} open
POST /broker/postbacks signed
GET /chart read
POST /control/{name} token
GET /day read
GET /health open
GET /metrics read
GET /readiness read
GET /research read
GET /risk read
GET /runs read
GET /schema known
GET /schema/elements known
GET /schema/oauth2-redirect.html known
GET /schema/openapi.json known
GET /schema/openapi.yaml known
GET /schema/openapi.yml known
GET /schema/rapidoc known
GET /schema/redoc known
GET /schema/swagger known
GET /schema/{path} known
GET /settings read
GET /sign-in open
GET /status read
GET /strategies read
"""
ASKED = {
    (method, path): frozenset(asks.split("+"))
    for method, path, asks in (line.split() for line in POLICY.split("\n") if line)
}
OPEN = {"open", "signed", "token"}
FOREIGN = ("another origin", "another site, says the browser")
UNPROVEN = ("no csrf token", "another's csrf token")
REFUSALS = {"sign_in_required", "not_permitted", "step_up_required", "csrf"}
#: state -> how a request of somebody who is signed in departs from a right one
STATES: dict[str, dict[str, str]] = {
    "as it should be": {},
    "no csrf token": {"x-csrf-token": ""},
    "another's csrf token": {"x-csrf-token": "0" * 64},
    "another origin": {"origin": "https://evil.test"},
    "another site, says the browser": {"sec-fetch-site": "cross-site"},
}
SAFE = ("GET", "HEAD")
READ_IN = (
    "another site, says the browser",
)  # which of them a reading route is asked in: all are alike to it
NO_RIGHT = {"fresh", "person", "known"}
PLENTY = Rate(per_s=100_000, burst=100_000)


def path_of(template: str) -> str:
    return re.sub(r"{[^}]*}", "x", template)


def refusal(reply: Any) -> str:
    """The code of a refusal by policy; "" for any other answer."""
    if reply.status_code in (301, 302, 303, 307) and "/sign-in" in reply.headers.get("location", ""):
        return "sign_in_required"
    if reply.status_code not in (401, 403) or "problem+json" not in reply.headers.get("content-type", ""):
        return ""
    code = str(reply.json()["code"])
    return code if code in REFUSALS else ""


def expected(asks: frozenset[str], method: str, role: str, state: str, *, fresh: bool) -> set[str]:
    """The refusals that policy allows for; "" is none."""
    by_cookie = role in ("reader", "operator", "owner")
    if method not in SAFE and state in FOREIGN:
        return {"csrf"}
    if method not in SAFE and state in UNPROVEN and by_cookie and not asks & OPEN:
        return {"csrf"}
    if asks & OPEN:
        return {""}
    if role == "stranger":
        return {"sign_in_required"}
    if not asks - NO_RIGHT <= RIGHTS[Role(role)]:
        return {"not_permitted"}
    if "fresh" in asks and not (fresh and by_cookie):
        return {"step_up_required"}
    return {"not_permitted", ""} if "person" in asks and role == "service" else {""}


def test_every_route_has_its_line_and_every_line_its_route(app: Litestar) -> None:
    served = {(method, path) for path, method, _ in handlers(app) if method != "HEAD"}
    assert served == set(ASKED), "write down who may: this is the decision"


@pytest.mark.parametrize("role", ["stranger", "reader", "operator", "owner", "service"])
def test_every_route_answers_everybody_as_the_policy_says(
    app: Litestar, client: TestClient[Litestar], signed_in: Any, role: str
) -> None:
    gate = app.state.gate
    gate._strangers, gate._acting = Flow(PLENTY), Flow(PLENTY)
    known = [client] * 2 if role == "stranger" else [signed_in(role), signed_in(role, fresh=True)]
    for state, fresh in [("as it should be", False), *((each, True) for each in STATES)]:
        headers = {"content-type": "application/json", **STATES[state]}
        for (method, path), asks in ASKED.items():
            may = expected(asks, method, role, state, fresh=fresh)
            if method == "WEBSOCKET" or (path.endswith("/live") and "" in may):  # a stream does not end
                continue
            if method in SAFE and state not in READ_IN:
                continue
            reply = known[fresh].request(
                method, path_of(path), content=b"?", headers=headers, follow_redirects=False
            )
            assert refusal(reply) in may, (method, path, role, state, fresh, reply.status_code, reply.text)


def test_whatever_is_no_reading_is_in_the_audit_granted_or_refused(run: Run, signed_in: Any) -> None:
    acting = {(method, path_of(path)) for method, path in ASKED if method not in (*SAFE, "WEBSOCKET")}
    kinds = {"content-type": "application/json"}
    for role, headers in {"owner": kinds, "reader": kinds, "operator": {**kinds, "x-csrf-token": ""}}.items():
        asks = signed_in(role)
        for method, path in acting:
            asks.request(method, path, content=b"?", headers=headers)
    log = acts_log(run.home)
    reader = log.reader({("acts", 0): 0})
    acts = [decode_act(record.value) for record in reader.poll(10_000)]
    reader.close()
    log.close()
    for role in ("owner", "reader", "operator"):
        facts = [each.facts for each in acts if each.by == f"{role}@example.test from testclient"]
        assert {(each["method"], each["path"]) for each in facts if "method" in each} >= acting, role
        assert all(each["status"] >= 400 for each in facts if role == "operator" and "method" in each)


@pytest.mark.parametrize("role", ["stranger", "owner"])
@pytest.mark.parametrize("origin", [f"http://{TEST_HOST}", "https://evil.test"])
def test_a_socket_opens_for_those_who_read_and_on_our_page_alone(
    client: TestClient[Litestar], signed_in: Any, role: str, origin: str
) -> None:
    asks = client if role == "stranger" else signed_in(role)
    asks.headers["origin"] = origin
    for (method, path), wanted in ASKED.items():
        if method != "WEBSOCKET":
            continue
        assert wanted == {"read"}
        if role == "owner" and "evil" not in origin:
            with asks.websocket_connect(path) as open_:
                assert open_.receive_text()
        else:
            with pytest.raises(WebSocketDisconnect) as closed, asks.websocket_connect(path):
                pass
            assert closed.value.code in (4401, 4403)
