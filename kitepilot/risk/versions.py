"""The history of the owner's risk profile -> the version that is in force, and what changed between two.

Paper and live have a history each. A version is made from the configuration whenever that says something new,
or by the owner; the newest whose time has come is in force.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from kitepilot.events import RiskProfile
from kitepilot.risk.profiles import LIMITS

CONFIGURATION, OWNER = "configuration", "owner"
AT_ONCE = 0  # `active_from` of a version that waits for nothing


class ProfileVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the history. `profile` is None where an older KitePilot wrote it with other limits."""

    version: int
    profile: RiskProfile | None
    origin: str  # configuration | owner
    active_from: int  # session time, ns UTC
    created_at: datetime
    created_by: str
    reason: str


def in_force(history: Sequence[ProfileVersion], at: int) -> RiskProfile | None:
    """The newest version whose time has come at session time `at`; None before the first."""
    come = [each for each in history if each.active_from <= at and each.profile is not None]
    return max(come, key=lambda each: each.version).profile if come else None


def waiting(history: Sequence[ProfileVersion], at: int) -> list[ProfileVersion]:
    """Versions whose time is still to come, oldest first."""
    return [each for each in history if each.active_from > at]


def says_something_new(configured: RiskProfile, history: Sequence[ProfileVersion]) -> bool:
    """Whether the configuration differs from what it said when it last made a version."""
    said = [each.profile for each in history if each.origin == CONFIGURATION]
    return not said or said[-1] is None or not same_settings(said[-1], configured)


def same_settings(one: RiskProfile, other: RiskProfile) -> bool:
    """Equal but for the version."""
    return numbered(one, 0) == numbered(other, 0)


def numbered(profile: RiskProfile, version: int) -> RiskProfile:
    """The same settings as another version."""
    return msgspec.structs.replace(profile, version=version)


def changes(before: RiskProfile | None, after: RiskProfile | None) -> list[str]:
    """What changed, a line each, in the owner's words and units."""
    if before is None or after is None:
        return []
    lines = [
        f"{each.name} {each.text(before.limits)} -> {each.text(after.limits)}"
        for each in LIMITS
        if getattr(before.limits, each.field) != getattr(after.limits, each.field)
    ]
    if before.sizing != after.sizing:
        lines.append(f"sizing {sizing_text(before)} -> {sizing_text(after)}")
    for name in ("allowed", "blocked"):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            lines.append(f"{name} {', '.join(old) or 'none named'} -> {', '.join(new) or 'none named'}")
    return lines


def sizing_text(profile: RiskProfile) -> str:
    """`fixed_notional notional_paise=6000000`."""
    given = " ".join(f"{name}={value}" for name, value in sorted(profile.sizing.parameters.items()))
    return f"{profile.sizing.method} {given}".strip()
