"""Principal: whoever asks, once it is proven. Its rights are what its role and its scopes both allow."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

READ = "read"
OPERATE = "operate"  # stop trading, and everything that makes it smaller
OWN = "own"  # what makes it larger again: resume, limits, live, promotion
METRICS = "metrics"  # GET /metrics alone: a scope of what may not see the rest, no right of a role

STEP_UP_NS = 5 * 60 * 10**9


BY_SESSION, BY_TOKEN, BY_HOME = "session", "token", "home"


class Role(StrEnum):
    """Owner, operator and reader are people, or their programs; service is the holder of the home's token."""

    OWNER = "owner"
    OPERATOR = "operator"
    READER = "reader"
    SERVICE = "service"


RIGHTS: dict[Role, frozenset[str]] = {
    Role.OWNER: frozenset({READ, OPERATE, OWN}),
    Role.OPERATOR: frozenset({READ, OPERATE}),
    Role.READER: frozenset({READ}),
    Role.SERVICE: frozenset({READ, OPERATE}),
}


@dataclass(frozen=True)
class Principal:
    """`request.user`. `fresh_at`: ns UTC of the last one-time code in this session, 0 for none.

    `scopes` narrow what the role may: a person's session has all of them, a program what it was given.
    `session` names the session (never its secret), or the token's jti; "" for the home's token. `way`: how it
    was proven.
    """

    id: str
    name: str
    role: Role
    scopes: frozenset[str]
    fresh_at: int = 0
    session: str = ""
    way: str = BY_SESSION

    @property
    def rights(self) -> frozenset[str]:
        """What both the role and the scopes allow."""
        return RIGHTS[self.role] & self.scopes

    def fresh(self, now: int) -> bool:
        """Whether the one-time code was given within five minutes before `now`, ns UTC."""
        return bool(self.fresh_at) and 0 <= now - self.fresh_at <= STEP_UP_NS
