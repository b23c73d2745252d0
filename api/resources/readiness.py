"""GET readiness, POST readiness/check: may KitePilot trade today, and if not, what to do."""

from __future__ import annotations

import msgspec
from litestar.di import NamedDependency
from litestar.params import JSONBody

from api.commands import Accepted
from api.identity.guards import operates
from api.readiness import CHECK, Check
from api.resources.examples import AT
from api.resources.route import read
from api.resources.trading import ASKED, Key, Why, act
from api.services import Services
from api.times import Instant, instant


class Readiness(msgspec.Struct, frozen=True):
    """The last answer. `ready`: green | amber | red | unknown; `trouble`: why nothing could be told."""

    ready: str
    measured: Instant
    running: bool
    trouble: str
    checks: list[Check]


_CLOCK = {
    "name": "clock", "colour": "amber", "found": "+0.4 s against the broker's date, good to a second; no NTP",
    "remedy": "let UDP port 123 through",
}  # fmt: skip
_READINESS = {"ready": "amber", "measured": AT, "running": False, "trouble": "", "checks": [_CLOCK]}


@read(
    "/readiness",
    operation_id="getReadiness",
    summary="The checks of the morning as they were answered last",
    answers=Readiness,
    example=_READINESS,
)
async def readiness(services: NamedDependency[Services]) -> Readiness:
    """`unknown` until they were made once: POST readiness/check."""
    desk, last = services.readiness, services.readiness.last
    if last is None:
        return Readiness("unknown", Instant(), desk.running, "", [])
    checks = last.answer.checks if last.answer else []
    ready = last.answer.ready if last.answer else "unknown"
    return Readiness(ready, instant(last.at), desk.running, last.trouble, checks)


@act(
    "/readiness/check",
    operation_id="checkReadiness",
    summary="Make the checks of the morning now",
    guards=[operates],
)
async def check(
    request: ASKED, services: NamedDependency[Services], data: JSONBody[Why], idempotency_key: Key = None
) -> Accepted:
    """By a process of its own; it asks the broker a few questions and listens to the ticker for a moment."""

    def measure(command_id: str) -> Accepted:
        return services.readiness.check(request.user.name, command_id)

    return await services.commands.once(request.user, idempotency_key, f"{CHECK} {data.reason}", measure)


ROUTES = (readiness, check)
