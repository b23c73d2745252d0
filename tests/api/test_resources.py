"""What every resource under /api/v1 keeps to."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from litestar import Litestar
from litestar.testing import TestClient


@pytest.fixture
def reader(signed_in: Any) -> TestClient[Litestar]:
    return signed_in("reader")


def test_whoever_has_the_answer_already_gets_no_body(reader: TestClient[Litestar]) -> None:
    first = reader.get("/api/v1/pnl")
    again = reader.get("/api/v1/pnl", headers={"if-none-match": first.headers["etag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    other = reader.get("/api/v1/pnl", headers={"if-none-match": '"of something else"'})
    assert (other.status_code, other.json()) == (200, first.json())


def test_a_stranger_is_told_to_sign_in_by_a_problem(client: TestClient[Litestar]) -> None:
    reply = client.get("/api/v1/pnl")
    assert (reply.status_code, reply.json()["code"]) == (401, "sign_in_required")


def test_every_example_is_a_body_of_its_operation(reader: TestClient[Litestar]) -> None:
    schema = reader.get("/schema/openapi.json").json()
    for methods in schema["paths"].values():
        for operation in methods.values():
            for reply in operation.get("responses", {}).values():
                for media in (reply.get("content") or {}).values():
                    for example in (media.get("examples") or {}).values():
                        whole = {**media["schema"], "components": schema["components"]}
                        jsonschema.validate(example["value"], whole)
