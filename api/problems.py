"""What went wrong -> `application/problem+json` (RFC 9457) with a code that stays.

A program looks at `code`, a person reads `detail`. Nothing of an unexpected error reaches the asker.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example

MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger("kitepilot.api")


@dataclass(frozen=True)
class Kind:
    """One stable code: its HTTP status and its title."""

    status: int
    title: str


#: Codes are a contract: one may be added, none is renamed.
KINDS: dict[str, Kind] = {
    "bad_request": Kind(400, "The request cannot be understood"),
    "sign_in_required": Kind(401, "Sign in first"),
    "sign_in_refused": Kind(401, "E-mail address, password or code is not right"),
    "not_permitted": Kind(403, "Not for this role"),
    "step_up_required": Kind(403, "A fresh code of the authenticator is asked"),
    "code_refused": Kind(403, "The one-time code is not right, or was used before"),
    "csrf": Kind(403, "The request does not prove where it comes from"),
    "not_found": Kind(404, "There is no such thing"),
    "bad_cursor": Kind(404, "The cursor is not one of this list"),
    "method_not_allowed": Kind(405, "Not with this method"),
    "not_acceptable": Kind(406, "Not in this form"),
    "too_slow": Kind(408, "The body did not arrive in time"),
    "conflict": Kind(409, "It cannot be done as things stand"),
    "moved_on": Kind(409, "Something has been decided since"),
    "key_reused": Kind(409, "This Idempotency-Key was used for something else"),
    "gates_refuse": Kind(409, "The gates before this stage refuse the model"),
    "too_large": Kind(413, "The body is too large"),
    "unsupported_media_type": Kind(415, "The body is of another form than is read here"),
    "refused": Kind(422, "Understood, and refused"),
    "too_many_requests": Kind(429, "Too many requests"),
    "internal": Kind(500, "Something went wrong here"),
    "log_unreachable": Kind(503, "The event log does not answer"),
    "outcome_unknown": Kind(503, "It may or may not be recorded"),
    "record_unreachable": Kind(503, "The book of record does not answer"),
    "analysis_unreachable": Kind(503, "The book of analysis does not answer"),
    "research_unreachable": Kind(503, "The research process does not answer"),
    "unavailable": Kind(503, "Not available now"),
}
_OF_STATUS: dict[int, str] = {}
for _code, _kind in KINDS.items():
    _OF_STATUS.setdefault(_kind.status, _code)
_OF_STATUS[503] = "unavailable"


class Flaw(msgspec.Struct, frozen=True):
    """One thing wrong with a request: where, and what."""

    where: str
    what: str


class ProblemBody(msgspec.Struct, frozen=True):
    """RFC 9457, with our stable `code`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[Flaw] = []


class Problem(Exception):
    """Raise it anywhere in a handler. `detail` is shown: nothing secret, nothing of the inside."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: list[Flaw] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = errors or []
        self.headers = dict(headers or {})
        KINDS[code]  # an unknown code is a programmer's error: it shows here


def answer(
    code: str, detail: str, errors: list[Flaw] | None = None, headers: Mapping[str, str] | None = None
) -> Response[ProblemBody]:
    """The response that says it."""
    kind = KINDS[code]
    body = ProblemBody(f"urn:kitepilot:problem:{code}", kind.title, kind.status, detail, code, errors or [])
    return Response(body, status_code=kind.status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def of_problem(_: Request[Any, Any, Any], problem: Problem) -> Response[ProblemBody]:
    return answer(problem.code, problem.detail, problem.errors, problem.headers)


def of_http(request: Request[Any, Any, Any], raised: HTTPException) -> Response[ProblemBody]:
    """The framework's own refusals: no route, no method, a body that is too large, a field that is wrong."""
    status = raised.status_code
    code = _code_of(raised)
    if code == "internal":
        return unexpected(request, raised)
    answered = answer(code, _plain(raised), _flaws(raised.extra), raised.headers)
    answered.status_code = status
    return answered


def unexpected(request: Request[Any, Any, Any], raised: Exception) -> Response[ProblemBody]:
    """Whatever nobody foresaw: into the log whole, to the asker nothing but that it happened."""
    where = request.scope.get("path", "") if isinstance(request, ASGIConnection) else ""
    _LOG.error("%s: unexpected %s", where, type(raised).__name__, exc_info=raised)
    return answer("internal", "It is in the API's log.")


def too_deep(_: Request[Any, Any, Any], __: RecursionError) -> Response[ProblemBody]:
    """A body nested so deeply that reading it was given up."""
    return answer("bad_request", "The body is nested too deeply.")


HANDLERS: dict[int | type[Exception], Any] = {
    RecursionError: too_deep,
    Problem: of_problem,
    HTTPException: of_http,
    Exception: unexpected,
}


def declared(*statuses: int) -> dict[int, ResponseSpec]:
    """The problems of an operation, for its OpenAPI entry."""
    return {status: _spec(status) for status in statuses}


def _spec(status: int) -> ResponseSpec:
    codes = [code for code, kind in KINDS.items() if kind.status == status]
    examples = [
        Example(
            summary=code,
            value={
                "type": f"urn:kitepilot:problem:{code}",
                "title": KINDS[code].title,
                "status": status,
                "detail": KINDS[code].title,
                "code": code,
                "errors": [],
            },
        )
        for code in codes
    ]
    said = f"{HTTPStatus(status).phrase}: {', '.join(codes)}"
    return ResponseSpec(
        ProblemBody, generate_examples=False, description=said, media_type=MEDIA_TYPE, examples=examples
    )


def _code_of(raised: HTTPException) -> str:
    """What its raiser said in `extra["code"]`, else the first code of its status."""
    said = raised.extra.get("code", "") if isinstance(raised.extra, dict) else ""
    known = said in KINDS and KINDS[said].status == raised.status_code
    return (
        said
        if known
        else _OF_STATUS.get(raised.status_code, "internal" if raised.status_code >= 500 else "bad_request")
    )


def _plain(raised: HTTPException) -> str:
    """The framework's text without the address it puts behind it."""
    return str(raised.detail).partition(" for GET ")[0].partition(" for POST ")[0]


def _flaws(extra: object) -> list[Flaw]:
    if not isinstance(extra, list):
        return []
    rows = [row for row in extra if isinstance(row, dict)]
    return [Flaw(str(row.get("key", "")), str(row.get("message", ""))) for row in rows]
