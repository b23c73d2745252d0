"""The owner's limits over HTTP -> a version of the profile in the book of record, and in force by the log.

What is tighter than before an operator may ask for; anything looser asks for the owner with a fresh one-time
code. The version is written first; then the decisions are told, and say themselves whether they take it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from api.commands import Accepted, unknown
from api.control import ControlDesk
from api.problems import Problem
from api.voice import OutcomeUnknownError
from infra.postgres.binaries import PostgresError
from infra.postgres.embedded import database_url
from infra.postgres.profile_changes import Edit, store
from kitepilot.config import ConfigError
from kitepilot.events import RiskProfile
from kitepilot.ports import LogError
from kitepilot.risk import edits
from kitepilot.risk.profiles import past_configuration
from kitepilot.run import Run

CONNECT_S = 3


@dataclass(frozen=True)
class Wanted:
    """`words` are NAME=VALUE as `kitepilot risk set` takes them."""

    words: Sequence[str]
    reason: str
    by: str
    may_loosen: bool


def looser(profile: RiskProfile, present: RiskProfile) -> str:
    """What `profile` allows and `present` does not, in words; "" when nothing."""
    sizing = "" if profile.sizing == present.sizing else "another sizing"
    return "; ".join(filter(None, (past_configuration(profile, present), sizing)))


def edited(present: RiskProfile, words: Sequence[str]) -> RiskProfile:
    """Raises `Problem`: refused, with what cannot be."""
    try:
        return edits.changed(present, words)
    except (ConfigError, ValueError, OverflowError) as err:
        raise Problem("refused", str(err)) from err


def make(run: Run, control: ControlDesk, wanted: Wanted, command_id: str) -> Accepted:
    """Write the version, say it. In a thread: it waits for PostgreSQL.

    Raises:
        Problem: step_up_required, refused, record_unreachable, log_unreachable, outcome_unknown.
    """

    def edit(present: RiskProfile, _: object) -> RiskProfile:
        profile = edited(present, wanted.words)
        if not wanted.may_loosen and (what := looser(profile, present)):
            raise Problem("step_up_required", f"Looser than now asks for the owner and a fresh code: {what}.")
        return profile

    made = _stored(run, edit, wanted)
    try:
        control.activate(made, command_id, wanted.by, wanted.reason)
    except OutcomeUnknownError as err:
        raise unknown(command_id) from err
    except (LogError, OSError) as err:
        raise Problem(
            "log_unreachable", f"Version {made.version} is stored, and the run could not be told of it."
        ) from err
    return Accepted(command_id)


def _stored(run: Run, edit: Edit, wanted: Wanted) -> RiskProfile:
    try:
        engine = sa.create_engine(
            database_url(run), poolclass=sa.NullPool, connect_args={"connect_timeout": CONNECT_S}
        )
        with engine.begin() as connection:
            made, _, _ = store(connection, run.config, edit, wanted.by, wanted.reason, None)
            return made
    except (PostgresError, SQLAlchemyError) as err:
        raise Problem("record_unreachable", "PostgreSQL did not answer: nothing was changed.") from err
    except ConfigError as err:
        raise Problem("refused", str(err)) from err
