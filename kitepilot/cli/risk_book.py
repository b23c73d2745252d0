"""The risk profile's history as the command line reaches it, and what a new run takes from it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from infra.postgres.profile_changes import settle
from kitepilot.cli.supervise import Supervisor
from kitepilot.config import Config, ConfigError
from kitepilot.events import DecisionParameters
from kitepilot.risk import carry
from kitepilot.run import Run


@contextlib.contextmanager
def served(home: Path, config: Config, what: str) -> Iterator[sa.Engine]:
    """The book of record; the embedded server is started for it where none runs.

    Raises:
        ConfigError: it does not answer, or cannot be started; says why, and that `what` is in it.
    """
    from infra.postgres.embedded import PostgresError, Server, database_url, migrate

    try:
        with contextlib.ExitStack() as stack:
            if config.storage.database_url or Supervisor(home).alive():
                url = database_url(Run("", home / "runs" / "none", config))
                migrate(url)
            else:
                url = stack.enter_context(Server(home)).url
            yield sa.create_engine(url, poolclass=sa.NullPool)
    except (PostgresError, SQLAlchemyError) as err:
        why = str(err).splitlines()[0]
        raise ConfigError(f"{what} is in PostgreSQL, which does not answer: {why}") from err


@contextlib.contextmanager
def opened(home: Path, config: Config, what: str = "the risk profile's history") -> Iterator[sa.Connection]:
    """One transaction with the book of record. Raises `ConfigError` as `served`."""
    with served(home, config, what) as engine, engine.begin() as connection:
        yield connection


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
