"""The API answers as its OpenAPI says, whatever it is asked: schemathesis with every check, in process.

`make api-contract` asks ten times as much. What is excluded is excluded for a reason written beside it.
"""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from litestar import Litestar
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup

from api.identity import OPERATE, OWN, READ, Principal, Role
from api.identity.gate import Connection, Gate
from api.identity.peers import Names
from api.identity.principal import BY_TOKEN

EXAMPLES = int(os.environ.get("KITEPILOT_CONTRACT_EXAMPLES", "3"))
OWNER = "Bearer the-owner"
#: `not_a_server_error` takes any 5xx for a bug. Here the stores are away, and 503 with a code is what is
#: promised then: `only_a_store_is_away` asks for exactly that in its place.
REPLACED = [schemathesis.checks.not_a_server_error]
#: No schema says which datasets a home has, nor whether the bytes of a file are bars: these may refuse what
#: is well formed, with 422. What they take and what they refuse is asked of them in test_research.py.
MAY_REFUSE = {"startBacktest", "previewSignals"}
#: Endless by design: a stream has no end to wait for. Its own tests read it (test_live.py).
STREAMS = {"/api/v1/live"}


@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
def test_every_operation_answers_as_it_says(app: Litestar, mode: GenerationMode) -> None:
    app.state.gate = Gate([by_bearer], names=Names(("testserver",), tls=False))
    app.state.services.readiness.words = (
        "true",
    )  # says nothing; test_readiness_desk asks the command itself
    raw = app.openapi_schema.to_schema()
    raw["paths"] = {
        path: methods
        for path, methods in raw["paths"].items()
        if path.startswith("/api/v1") and path not in STREAMS
    }
    schema = schemathesis.openapi.from_dict(raw)
    schema.app = app
    schema.auth()(ByBearer)
    found: list[str] = []
    for result in schema.get_all_operations():
        found += broken(result.ok(), mode)
    assert not found, "\n\n".join(found)


class ByBearer:
    """How schemathesis proves who it is; it also tries without, and with something else."""

    def get(self, _case: Any, _context: Any) -> str:
        return OWNER

    def set(self, case: Any, data: str, _context: Any) -> None:
        case.headers["Authorization"] = data


async def by_bearer(connection: Connection) -> Principal | None:
    """The owner, with a one-time code just given; without that token a stranger."""
    if connection.headers.get("authorization") != OWNER:
        return None
    rights = frozenset({READ, OPERATE, OWN})
    return Principal("owner", "owner@example.test", Role.OWNER, rights, time.time_ns(), "s", BY_TOKEN)


def broken(operation: Any, mode: GenerationMode) -> list[str]:
    """What one operation did that its schema does not say."""
    named = operation.definition.raw.get("operationId")
    excluded = [*REPLACED, *([schemathesis.checks.positive_data_acceptance] if named in MAY_REFUSE else [])]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def asked(case: Any) -> None:
        case.call_and_validate(excluded_checks=excluded, additional_checks=[only_a_store_is_away])

    try:
        asked()
    except FailureGroup as group:
        return [f"{operation.method.upper()} {operation.path}: {each}" for each in group.exceptions]
    return []


def only_a_store_is_away(_: Any, response: Any, __: Any) -> None:
    """The one server error there may be."""
    if response.status_code >= 500:
        code = response.json()["code"]
        assert (response.status_code, code.endswith("_unreachable")) == (503, True), response.text
