"""GET risk and risk/profiles, POST risk/profile: the limits, how near they are, and changing them."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, LiteralString

import msgspec
from litestar.di import NamedDependency
from litestar.params import JSONBody

from api import cursors, risk_changes
from api.commands import Accepted
from api.cursors import Cursor, Limit
from api.identity.guards import operates
from api.identity.principal import OWN
from api.problems import Problem
from api.resources import examples
from api.resources.examples import AT
from api.resources.route import read
from api.resources.trading import ASKED, MAX_REASON, Key, act
from api.risk_changes import Wanted
from api.services import Services
from api.times import Instant, instant
from kitepilot.risk.profiles import LIMITS

_PROFILES: LiteralString = """
    SELECT version, profile, origin, active_from_ns, created_by, reason,
           (extract(epoch FROM created_at) * 1000)::bigint AS created_ms
    FROM risk_profiles
    WHERE mode = %(mode)s AND (%(before)s::bigint IS NULL OR version < %(before)s)
    ORDER BY version DESC LIMIT %(limit)s"""


class LimitRow(msgspec.Struct, frozen=True):
    """One limit. `value` and `ceiling` in `unit`: paise | shares | bps | ms | s | count.

    `used` is what counts against it now, where the decisions keep a count, and `subject` the fullest one.
    """

    name: str
    unit: str
    value: float
    ceiling: float
    used: int | None
    subject: str
    meaning: str


class Risk(msgspec.Struct, frozen=True):
    """The profile in force and how much of it is used; version 0 before the run's first word."""

    version: int
    sizing: dict[str, Any]
    allowed: list[str]
    blocked: list[str]
    limits: list[LimitRow]


class ProfileRow(msgspec.Struct, frozen=True):
    """One version, never changed afterwards. `profile` as stored, amounts in paise."""

    version: int
    origin: str
    made_by: str
    reason: str
    made: Instant
    active_from: Instant
    profile: dict[str, Any]


class ProfilePage(msgspec.Struct, frozen=True):
    """Newest first. `next` is null on the last page."""

    items: list[ProfileRow]
    next: str | None


class ProfileChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`set`: names and values as `kitepilot risk set` takes them, amounts in rupees."""

    set: dict[str, str]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_REASON)]


_LIMIT = {
    "name": "daily_loss", "unit": "paise", "value": 1_500_000, "ceiling": 2_000_000, "used": 412_300,
    "subject": "", "meaning": "what the day may lose, open positions and working orders included",
}  # fmt: skip
_RISK = {
    "version": 3, "sizing": {"method": "fixed_notional", "parameters": {"notional_paise": 6_000_000}},
    "allowed": [], "blocked": ["SBIN"], "limits": [_LIMIT],
}  # fmt: skip
_PROFILE = {
    "version": 3, "origin": "owner", "made_by": "asha", "reason": "thin market", "made": AT,
    "active_from": AT, "profile": {"version": 3},
}  # fmt: skip


@read(
    "/risk",
    operation_id="getRisk",
    summary="The limits in force, and how near each is",
    answers=Risk,
    example=_RISK,
)
async def risk(services: NamedDependency[Services]) -> Risk:
    """From memory: the decisions' own fold counts what is used."""
    profile, ceiling, used = services.day.profile, services.day.ceiling, services.day.limits
    if profile is None or ceiling is None:
        return Risk(0, {}, [], [], [])
    counted = {each.name: each for each in used}
    rows = []
    for each in LIMITS:
        use = counted.get(each.name)
        rows.append(
            LimitRow(
                name=each.name,
                unit="paise" if each.unit == "rupees" else each.unit,
                value=getattr(profile.limits, each.field),
                ceiling=getattr(ceiling, each.field),
                used=use.used if use else None,
                subject=use.subject if use else "",
                meaning=each.meaning,
            )
        )
    sizing = msgspec.to_builtins(profile.sizing)
    return Risk(profile.version, sizing, list(profile.allowed), list(profile.blocked), rows)


@read(
    "/risk/profiles",
    operation_id="listRiskProfiles",
    summary="Every version of the risk profile, newest first",
    answers=ProfilePage,
    example=examples.page(_PROFILE),
    also=(404, 503),
)
async def profiles(
    services: NamedDependency[Services], limit: Limit = 50, cursor: Cursor = None
) -> ProfilePage:
    before = cursors.before("risk profiles", cursor)
    asked = {"mode": services.run.config.mode, "before": before, "limit": limit + 1}
    found = await services.record.rows(_PROFILES, asked)
    following = cursors.sealed("risk profiles", found[limit - 1]["version"]) if len(found) > limit else None
    return ProfilePage([_profile(row) for row in found[:limit]], following)


@act(
    "/risk/profile",
    operation_id="changeRiskProfile",
    summary="Another version of the limits, in force at once",
    guards=[operates],
    also=(422,),
)
async def change(
    request: ASKED,
    services: NamedDependency[Services],
    data: JSONBody[ProfileChange],
    idempotency_key: Key = None,
) -> Accepted:
    """Tighter by whoever operates; anything looser by the owner with a fresh one-time code."""
    if services.day.profile is None:
        raise Problem("conflict", "The run has not said its first word yet.")
    words = [f"{name}={value}" for name, value in sorted(data.set.items())]
    risk_changes.edited(services.day.profile, words)
    owner = OWN in request.user.rights and request.user.fresh(services.gate.now())
    wanted = Wanted(words, data.reason, request.user.name, owner)
    return await services.commands.once(
        request.user,
        idempotency_key,
        f"risk_profile {words} {data.reason}",
        partial(risk_changes.make, services.run, services.control, wanted),
    )


def _profile(row: dict[str, Any]) -> ProfileRow:
    return ProfileRow(
        version=row["version"],
        origin=row["origin"],
        made_by=row["created_by"],
        reason=row["reason"],
        made=instant(row["created_ms"] * 1_000_000),
        active_from=instant(row["active_from_ns"]),
        profile=row["profile"],
    )


ROUTES = (risk, profiles, change)
