"""A template and what it shows -> a page of the console, in the reader's language, behind a strict policy."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException
from litestar.response import Redirect

from api.console.assets import assets
from api.console.catalogue import LANGUAGES, catalogue, chosen, speaker
from api.console.inlay import Inlay
from api.identity import OPERATE, OWN, Principal
from kitepilot import __version__

LANGUAGE_COOKIE = "kitepilot-language"
THEME_COOKIE = "kitepilot-theme"
THEMES = ("dark", "light")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'{styles}; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; frame-src {frames}; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
QUICKLY = 4  # gzip: a page is made anew each time
HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}


@dataclass(frozen=True)
class Place:
    """An entry of the navigation: the key of its name, and where it leads."""

    key: str
    path: str


#: In the order in which they stand; a page that is added names itself here.
NAVIGATION: tuple[Place, ...] = (
    Place("nav.now", "/"),
    Place("nav.day", "/day"),
    Place("nav.alerts", "/alerts"),
    Place("nav.chart", "/chart"),
    Place("nav.risk", "/risk"),
    Place("nav.strategies", "/strategies"),
    Place("nav.runs", "/runs"),
    Place("nav.research", "/research"),
    Place("nav.readiness", "/readiness"),
    Place("nav.settings", "/settings"),
)


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("api.console", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(
    request: Request[Any, Any, Any],
    template: str,
    *,
    path: str,
    status_code: int = 200,
    frames: str = "'none'",
    **shown: Any,
) -> Response[bytes]:
    """`path` is the page's own, for the navigation; `frames` says whose pages it may hold in one.

    `shown` is what its template names besides.
    """
    language = chosen(request.cookies.get(LANGUAGE_COOKIE, ""), request.headers.get("accept-language", ""))
    theme = request.cookies.get(THEME_COOKIE, "")
    principal = request.scope.get("user")
    rights = principal.rights if isinstance(principal, Principal) else frozenset()
    inlay = Inlay()
    text = (
        _templates()
        .get_template(template)
        .render(
            t=speaker(language),
            language=language,
            languages=LANGUAGES,
            theme=theme if theme in THEMES else "",
            asset=assets().url,
            style=inlay.style,
            data=inlay.data,
            words=catalogue(language),
            navigation=NAVIGATION,
            path=path,
            principal=principal,
            operates=OPERATE in rights,
            owns=OWN in rights,
            version=__version__,
            **shown,
        )
    )
    headers = {
        **HEADERS,
        "content-security-policy": POLICY.format(styles=inlay.sources, frames=frames),
        "vary": "accept-encoding",
    }
    body = text.encode()
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        body = gzip.compress(body, QUICKLY, mtime=0)
    return Response(body, media_type="text/html; charset=utf-8", status_code=status_code, headers=headers)


def to_sign_in(connection: ASGIConnection[Any, Any, Any, Any], _: NotAuthorizedException) -> Response[Any]:
    """A stranger who asks for a page is led to the door, and from there back to it."""
    url = connection.url
    wanted = url.path + (f"?{url.query}" if url.query else "")
    return Redirect(f"/sign-in?next={quote(wanted, safe='')}", status_code=303)
