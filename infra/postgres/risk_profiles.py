"""The risk profile's versions in PostgreSQL: appended, read, never changed."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from infra.postgres.tables import risk_profiles
from kitepilot.events import RiskProfile
from kitepilot.risk.versions import AT_ONCE, ProfileVersion, numbered


def history(connection: sa.Connection, mode: str) -> list[ProfileVersion]:
    """All versions of a mode (paper | live), oldest first."""
    query = sa.select(risk_profiles).where(risk_profiles.c.mode == mode).order_by(risk_profiles.c.version)
    return [_version(row) for row in connection.execute(query).mappings()]


def hold(connection: sa.Connection) -> None:
    """Until this transaction ends nobody else adds a version."""
    connection.execute(sa.text("LOCK TABLE risk_profiles IN EXCLUSIVE MODE"))


def add(
    connection: sa.Connection,
    mode: str,
    settings: RiskProfile,
    *,
    origin: str,
    by: str,
    reason: str,
    active_from: int = AT_ONCE,
) -> RiskProfile:
    """Write `settings` as the next version, under `hold`; returns it with its number."""
    highest = sa.select(sa.func.coalesce(sa.func.max(risk_profiles.c.version), 0))
    version = connection.execute(highest.where(risk_profiles.c.mode == mode)).scalar_one() + 1
    profile = numbered(settings, version)
    row = {
        "mode": mode,
        "version": version,
        "profile": msgspec.to_builtins(profile),
        "origin": origin,
        "active_from_ns": active_from,
        "created_by": by,
        "reason": reason,
    }
    connection.execute(sa.insert(risk_profiles).values(row))
    return profile


def _version(row: sa.RowMapping) -> ProfileVersion:
    return ProfileVersion(
        version=row["version"],
        profile=_profile(row["profile"]),
        origin=row["origin"],
        active_from=row["active_from_ns"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        reason=row["reason"],
    )


def _profile(stored: Any) -> RiskProfile | None:
    """None where the limits have changed since it was written: it is history, nothing to go back to."""
    try:
        return msgspec.convert(stored, RiskProfile)
    except msgspec.ValidationError:
        return None
