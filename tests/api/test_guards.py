"""Every route asks who it is, and gives nobody what his role has not."""

import time
from collections.abc import Callable

import pytest
from litestar import Litestar, get, post, websocket
from litestar.connection import WebSocket
from litestar.exceptions import WebSocketDisconnect
from litestar.testing import TestClient
from served import TOKEN

from api.identity.guards import fresh, operates, owns, reads
from api.identity.home_proof import GOOD_S, SECOND, proof

SignedIn = Callable[..., TestClient[Litestar]]


@get("/see", guards=[reads])
async def see() -> str:
    return "seen"


@post("/stop", guards=[operates])
async def stop() -> str:
    return "stopped"


@post("/go", guards=[owns, fresh])
async def go() -> str:
    return "going"


@get("/forgotten")
async def forgotten() -> str:
    return "whoever is known"


@websocket("/stream", guards=[reads])
async def stream(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("seen")
    await socket.close()


@pytest.fixture
def app(app: Litestar) -> Litestar:
    for route in (see, stop, go, forgotten, stream):
        app.register(route)
    return app


#: role -> what (GET /see, POST /stop, POST /go, POST /go with a fresh code) answers
ANSWERS = {
    "owner": (200, 201, 403, 201),
    "operator": (200, 201, 403, 403),
    "reader": (200, 403, 403, 403),
}


@pytest.mark.parametrize("role", ANSWERS)
def test_a_role_gets_what_it_has_and_nothing_else(signed_in: SignedIn, role: str) -> None:
    stale, just_now = signed_in(role), signed_in(role, fresh=True)
    answers = (stale.get("/see"), stale.post("/stop"), stale.post("/go"), just_now.post("/go"))
    assert tuple(each.status_code for each in answers) == ANSWERS[role]


def test_the_homes_token_sees_and_stops_and_makes_nothing_larger(signed_in: SignedIn) -> None:
    service = signed_in("service")
    assert [service.get("/see").status_code, service.post("/stop").status_code] == [200, 201]
    assert service.post("/go").status_code == 403


def test_a_proof_of_the_homes_token_sees_for_half_a_minute_and_stops_nothing(
    client: TestClient[Litestar],
) -> None:
    now = time.time_ns()

    def asks(method: str, path: str, token: str = TOKEN, at: int = now) -> int:
        headers = {"authorization": f"Bearer {proof(token, at)}"}
        return client.request(method, path, headers=headers).status_code

    assert [asks("GET", path) for path in ("/see", "/status", "/metrics")] == [200, 200, 200]
    assert [asks("POST", "/stop"), asks("POST", "/control/halt")] == [403, 401]
    for at in (now - 2 * GOOD_S * SECOND, now + 2 * GOOD_S * SECOND):
        assert asks("GET", "/status", at=at) == 401, "over, or of a clock that is not this machine's"
    assert asks("GET", "/status", token="another") == 401


def test_a_stranger_gets_nothing_and_a_route_without_a_guard_is_no_hole(
    client: TestClient[Litestar],
) -> None:
    for answer in (client.get("/see"), client.post("/stop"), client.post("/go"), client.get("/forgotten")):
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


def test_the_owner_is_told_that_a_fresh_code_is_what_lacks(signed_in: SignedIn) -> None:
    assert "step_up_required" in signed_in("owner").post("/go").text


def test_a_strangers_socket_is_closed_before_anything_is_said(
    client: TestClient[Litestar], signed_in: SignedIn
) -> None:
    with pytest.raises(WebSocketDisconnect) as closed, client.websocket_connect("/stream"):
        pass
    assert closed.value.code == 4401
    with signed_in("reader").websocket_connect("/stream") as open_:
        assert open_.receive_text() == "seen"
