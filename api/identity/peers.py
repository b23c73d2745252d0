"""Where a request comes from: the address, the Host it asks for, the Origin of the page it was made on.

A browser sends a person's cookie along with whatever page asks for it, and a name can be made to lead to this
machine. So the name asked for must be ours, and the page must be of that same name.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.types import HTTPScope

Connection = ASGIConnection[Any, Any, Any, Any]
LOOPBACK = ("127.0.0.1", "localhost", "::1")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Names:
    """The names this API is asked for by, and the scheme it speaks."""

    def __init__(self, names: Iterable[str], *, tls: bool) -> None:
        self._names = frozenset(name.lower() for name in (*LOOPBACK, *names))
        self._scheme = "https" if tls else "http"

    def ours(self, connection: Connection) -> bool:
        """Whether the Host header names us, whatever the port."""
        return _name(connection.headers.get("host", "")) in self._names

    def same_page(self, connection: Connection) -> bool:
        """Whether the Origin, where there is one, is this very host; a browser's own word counts as well."""
        if connection.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = connection.headers.get("origin")
        return origin is None or origin == f"{self._scheme}://{connection.headers.get('host', '')}"


def address(connection: Connection) -> str:
    """The peer's address. Nobody's word about another is taken (X-Forwarded-For)."""
    client = connection.scope.get("client")
    return client[0] if client else "unknown"


def method_of(connection: Connection) -> str:
    """Of an HTTP request."""
    return str(typing.cast(HTTPScope, connection.scope)["method"])


def _name(host: str) -> str:
    """Without the port; brackets of IPv6 too."""
    host = host.lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
