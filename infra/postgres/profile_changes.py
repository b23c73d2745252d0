"""A change of the risk profile as a new version in its history; the configuration is the ceiling."""

from __future__ import annotations

import time
from collections.abc import Callable

import sqlalchemy as sa

from infra.postgres import risk_profiles
from kitepilot.config import Config, ConfigError
from kitepilot.events import RiskProfile
from kitepilot.market import calendar
from kitepilot.risk import profiles, versions
from kitepilot.risk.versions import ProfileVersion

MADE_BY = "configuration"
Edit = Callable[[RiskProfile, list[ProfileVersion]], RiskProfile]  # the profile in force, the history -> new


def session_now(config: Config) -> int:
    """The time at which profiles are looked up now: the machine's live, the session's morning on paper."""
    return time.time_ns() if config.mode == "live" else calendar.announced_at(config.session.date)


def settle(connection: sa.Connection, config: Config, at: int) -> RiskProfile:
    """The profile in force at session time `at` (ns); the configuration's where that says something new.

    Raises:
        ConfigError: it allows more than the configuration does; names the limits and what to do.
    """
    risk_profiles.hold(connection)
    history = risk_profiles.history(connection, config.mode)
    present = versions.in_force(history, at)
    configured = config.risk.profile()
    if present is None or versions.says_something_new(configured, history):
        reason = "the configuration has changed" if history else "the first configuration"
        if undone := versions.changes(present, configured):
            reason += f": {'; '.join(undone)}"
        origin = versions.CONFIGURATION
        return risk_profiles.add(
            connection, config.mode, configured, origin=origin, by=MADE_BY, reason=reason
        )
    require_within(present, config)
    return present


def require_within(profile: RiskProfile, config: Config) -> None:
    """The configuration is the ceiling. Raises `ConfigError` naming every limit past it."""
    past = profiles.past_configuration(profile, config.risk.profile())
    if past:
        raise ConfigError(
            f"risk profile {profile.version} is looser than the configuration: {past}; "
            "raise risk.* there, or tighten the profile with `kitepilot risk set`"
        )


def store(
    connection: sa.Connection, config: Config, edit: Edit, by: str, reason: str, active_from: int | None
) -> tuple[RiskProfile, list[str], list[int]]:
    """Write the edited profile as a version: it, what it changes, and the waiting versions it overtakes.

    Raises:
        ConfigError: nothing changed, or the settings cannot be, or allow more than the configuration does.
    """
    now = session_now(config)
    present = settle(connection, config, now)
    history = risk_profiles.history(connection, config.mode)
    wanted = edit(present, history)
    lines = versions.changes(present, wanted)
    if not lines:
        raise ConfigError(f"nothing changes: version {present.version} says so already")
    if wrong := profiles.flaw(wanted):
        raise ConfigError(wrong)
    if past := profiles.past_configuration(wanted, config.risk.profile()):
        raise ConfigError(f"looser than the configuration: {past}; raise risk.* there and begin a new run")
    made = risk_profiles.add(
        connection,
        config.mode,
        wanted,
        origin=versions.OWNER,
        by=by,
        reason=reason,
        active_from=versions.AT_ONCE if active_from is None else active_from,
    )
    return made, lines, [each.version for each in versions.waiting(history, now)]
