"""Whether a person stands behind a request, or a page that was left open asks by itself.

An open page streams and polls for as long as it is open: counted as use it would keep a forgotten session
for ever. A request of nobody's says so; the streams, which cannot, are marked on their routes. Whoever lies
about it keeps his own session alive, and no other.
"""

from __future__ import annotations

from api.identity.peers import Connection

HEADER = "x-unattended"
#: For `opt` of a route that a page reads by itself.
BY_ITSELF = {"unattended": True}


def attended(connection: Connection) -> bool:
    """Whether the request counts as use of its session."""
    handler = connection.scope.get("route_handler")
    by_itself = bool(handler and handler.opt.get("unattended"))
    return not by_itself and HEADER not in connection.headers
