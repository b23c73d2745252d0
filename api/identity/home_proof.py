"""The home's token, proven without being said: a word signed with it, good for half a minute and for reading.

While KitePilot is down anybody on this machine may listen at its port. What the command line says there opens
nothing afterwards.
"""

from __future__ import annotations

from collections.abc import Callable

import jwt

from api.identity.gate import Way
from api.identity.peers import Connection
from api.identity.principal import BY_HOME, READ, Principal, Role

ALGORITHM = "HS256"
AUDIENCE = "kitepilot-home"
GOOD_S = 30
SECOND = 1_000_000_000
MAX_CHARACTERS = 512


def proof(token: str, now: int) -> str:
    """What to say after `Bearer`. `now`: machine clock, ns UTC."""
    return jwt.encode({"aud": AUDIENCE, "exp": now // SECOND + GOOD_S}, token, algorithm=ALGORITHM)


def ends_at(token: str, text: str) -> int | None:
    """When the word ends, epoch seconds; None: it is not signed with the token."""
    try:
        claims = jwt.decode(
            text,
            token,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            options={"require": ["aud", "exp"], "verify_exp": False},
        )
    except jwt.InvalidTokenError:
        return None
    return claims["exp"] if isinstance(claims["exp"], int) else None


def by_home_proof(token: str, now: Callable[[], int]) -> Way:
    """Whoever can read the home, as the command line does. Needs no database."""
    reader = Principal("service", "service", Role.SERVICE, frozenset({READ}), way=BY_HOME)

    async def way(connection: Connection) -> Principal | None:
        scheme, _, text = connection.headers.get("authorization", "").partition(" ")
        if not token or scheme != "Bearer" or text.count(".") != 2 or len(text) > MAX_CHARACTERS:
            return None
        end = ends_at(token, text)
        return reader if end is not None and 0 <= end - now() // SECOND <= GOOD_S else None

    return way
