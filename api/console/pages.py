"""The console's pages that are its own: the door, and Now."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get
from litestar.exceptions import NotAuthorizedException

from api.console import assets
from api.console.page import page, to_sign_in
from api.identity.guards import OPEN, reads


@get("/sign-in", opt=OPEN, include_in_schema=False)
async def sign_in(request: Request[Any, Any, Any]) -> Response[str]:
    """The door. Where it leads afterwards is checked in the browser: a path of ours, nothing else."""
    return page(request, "sign_in.html", path="/sign-in")


@get("/", guards=[reads], include_in_schema=False)
async def now(request: Request[Any, Any, Any]) -> Response[str]:
    """What is so at this moment."""
    return page(request, "now.html", path="/")


def router(*handlers: Any) -> Router:
    """Pages: a stranger is led to the door instead of being told a problem."""
    return Router("/", route_handlers=handlers, exception_handlers={NotAuthorizedException: to_sign_in})


ROUTES: list[Any] = [router(sign_in, now), assets.asset]
