"""What went wrong is told with a code that stays, and nothing of the inside."""

from collections.abc import Iterator

import pytest
from litestar import Litestar, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.testing import TestClient

from api import problems
from api.problems import KINDS, Problem


@get("/secret")
async def broken() -> None:
    raise RuntimeError("password=hunter2")


@get("/refused/{code:str}")
async def refused(code: FromPath[str]) -> None:
    raise Problem(code, "not today")


@post("/number", request_max_body_size=8)
async def number(data: JSONBody[dict[str, int]], of: FromQuery[int]) -> None:
    return None


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = Litestar([broken, refused, number], exception_handlers=problems.HANDLERS)
    with TestClient(app, raise_server_exceptions=False) as made:
        yield made


@pytest.mark.parametrize("code", sorted(KINDS))
def test_every_code_is_answered_with_its_status_as_a_problem(client: TestClient, code: str) -> None:
    reply = client.get(f"/refused/{code}")
    assert reply.status_code == KINDS[code].status
    assert reply.headers["content-type"].startswith("application/problem+json")
    assert (reply.json()["code"], reply.json()["detail"]) == (code, "not today")
    assert reply.json()["type"] == f"urn:kitepilot:problem:{code}"


def test_an_unexpected_error_tells_the_asker_nothing(client: TestClient) -> None:
    reply = client.get("/secret")
    assert (reply.status_code, reply.json()["code"]) == (500, "internal")
    assert "hunter2" not in reply.text and "RuntimeError" not in reply.text


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("GET", "/nowhere", None, "not_found"),
        ("DELETE", "/secret", None, "method_not_allowed"),
        ("POST", "/number?of=x", b"{}", "bad_request"),
        ("POST", "/number?of=1", b"{", "bad_request"),
        ("POST", "/number?of=1", b'{"a": 1234567}', "too_large"),
    ],
)
def test_the_frameworks_refusals_are_problems_too(
    client: TestClient, method: str, path: str, body: bytes | None, code: str
) -> None:
    reply = client.request(method, path, content=body)
    assert (reply.status_code, reply.json()["code"]) == (KINDS[code].status, code)


def test_a_wrong_field_is_named(client: TestClient) -> None:
    reply = client.post("/number?of=x", content=b"{}")
    assert [flaw["where"] for flaw in reply.json()["errors"]] == ["of"]
