"""Every operation under /api/v1: an id that stays, an example, its problems declared, an ETag."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from litestar import Request, Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.response.base import ASGIResponse

from api import problems
from api.commands import COMMAND_HEADER, Accepted

ALWAYS = (400, 401, 403, 429, 500)
HASH_BYTES = 12


class Tagged(Response[Any]):
    """Carries an ETag of its body; whoever has that body already is told so with 304 and no body.

    Where it accepts a command it carries the command's id.
    """

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **more: Any) -> ASGIResponse:
        """As the framework's, for a GET that went well with its tag."""
        whole = super().to_asgi_response(app, request, **more)
        if isinstance(self.content, Accepted):
            whole.headers[COMMAND_HEADER] = self.content.command_id
        if request.method not in ("GET", "HEAD") or whole.status_code != 200:
            return whole
        tag = f'"{hashlib.blake2b(whole.body, digest_size=HASH_BYTES).hexdigest()}"'
        headers = {"etag": tag, "cache-control": "private, no-cache"}
        if unchanged(tag, request.headers.get("if-none-match", "")):
            return ASGIResponse(status_code=304, headers=headers)
        whole.headers.update(headers)
        return whole


def unchanged(tag: str, header: str) -> bool:
    """Whether whoever says `If-None-Match: header` has this answer: RFC 9110 13.1.2, its weak comparison.

    `*` is whatever there is.
    """
    known = [each.strip().removeprefix("W/") for each in header.split(",")]
    return tag in known or known == ["*"]


def read(
    path: str,
    *,
    operation_id: str,
    summary: str,
    answers: Any,
    example: Any,
    also: tuple[int, ...] = (),
    **more: Any,
) -> Callable[[Callable[..., Any]], Any]:
    """A GET. `answers` is the type of its body, `example` one such body, `also` statuses besides `ALWAYS`."""
    shown = ResponseSpec(
        answers, generate_examples=False, description=summary, examples=[Example(value=example)]
    )
    unchanged = ResponseSpec(None, description="Not modified since the ETag in If-None-Match")
    return get(
        path,
        operation_id=operation_id,
        summary=summary,
        responses={200: shown, 304: unchanged, **problems.declared(*ALWAYS, *also)},
        **more,
    )
