"""The risk profile's history as the command line reaches it, and what a new run takes from it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from kitepilot.cli.supervise import Supervisor
from kitepilot.config import Config, ConfigError
from kitepilot.events import DecisionParameters, RiskProfile
from kitepilot.risk import carry, profiles, versions
from kitepilot.run import Run

MADE_BY = "configuration"


@contextlib.contextmanager
def opened(home: Path, config: Config, what: str = "the risk profile's history") -> Iterator[sa.Connection]:
    """One transaction with the book of record; the embedded server is started for it where none runs.

    Raises:
        ConfigError: it does not answer, or cannot be started; says why.
    """
    from infra.postgres.embedded import PostgresError, Server, database_url, migrate

    try:
        with contextlib.ExitStack() as stack:
            if config.storage.database_url or Supervisor(home).alive():
                url = database_url(Run("", home / "runs" / "none", config))
                migrate(url)
            else:
                url = stack.enter_context(Server(home)).url
            engine = sa.create_engine(url, poolclass=sa.NullPool)
            yield stack.enter_context(engine.begin())
    except (PostgresError, SQLAlchemyError) as err:
        why = str(err).splitlines()[0]
        raise ConfigError(f"{what} is in PostgreSQL, which does not answer: {why}") from err


def settle(connection: sa.Connection, config: Config, at: int) -> RiskProfile:
    """The profile in force at session time `at` (ns); the configuration's where that says something new.

    Raises:
        ConfigError: it allows more than the configuration does; names the limits and what to do.
    """
    from infra.postgres import risk_profiles

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


def applied(run: Run, parameters: DecisionParameters, at: int) -> DecisionParameters:
    """The run's parameters with the profile in force at `at`, and what the day has used up already.

    On paper every run is an account of its own. A live day's earlier runs count.

    Raises:
        ConfigError: PostgreSQL does not answer, or the profile allows more than the configuration.
    """
    from infra.postgres.earlier_runs import earlier_day

    with opened(run.home, run.config) as connection:
        profile = settle(connection, run.config, at)
        parameters = msgspec.structs.replace(parameters, profile=profile, ceiling=run.config.risk.limits())
        if run.config.mode == "live":
            day = date.fromisoformat(run.config.session.date)
            earlier = carry.carried(parameters, *earlier_day(connection, day, run.run_id))
            parameters = msgspec.structs.replace(parameters, carried=earlier)
    return parameters
