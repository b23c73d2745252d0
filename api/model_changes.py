"""A model's move over HTTP -> the registry's history and the audit; a rollback also to the run that is up.

The gates are those of the command line. What they refuse writes nothing; the owner's word past them
(`--override`) is given at the machine alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from api.commands import Accepted
from api.effects import Effect, Effects
from api.problems import Flaw, Problem
from infra.postgres import model_moves, model_registry
from infra.postgres.binaries import PostgresError
from infra.postgres.embedded import database_url
from kitepilot.config import FlagsSection
from kitepilot.market.ticks import model_record
from kitepilot.models import gates
from kitepilot.models.gates import Verdict
from kitepilot.models.plan import read_plan
from kitepilot.models.port import ModelError
from kitepilot.models.stages import NEXT, Stage, StageChange, told
from kitepilot.ports import EventLog, LogError
from kitepilot.run import Run
from kitepilot.topics import TICKS

CONNECT_S = 3
STATEMENT_MS = 10_000  # one that waits for another person's move included
PROMOTE, ROLL_BACK = "model_promote", "model_rollback"
_LOG = logging.getLogger("kitepilot.api")


@dataclass(frozen=True)
class Mover:
    """Over the registry of the run's home. Every method waits for PostgreSQL: call it in a thread."""

    run: Run
    log: EventLog
    effects: Effects
    flags: Callable[[], FlagsSection]  # in force now

    def promote(self, model_id: str, to: Stage, reason: str, by: str, command_id: str) -> Accepted:
        """Through the gates before `to`.

        Raises:
            Problem: not_found, conflict, gates_refuse with every gate that does, record_unreachable.
        """
        self._require_flag()
        with self._opened() as db:
            _require(db, model_id)
            done = model_moves.promote(db, self.run.config, model_id, to, reason, "", by=by)
        if done.refused:
            raise Problem(
                "gates_refuse", f"{model_id} does not become {to}.", errors=_refusals(done.verdicts)
            )
        self._tell(command_id, PROMOTE, model_id, by, done.changes)
        return Accepted(command_id, "here")

    def roll_back(self, model_id: str, reason: str, by: str, command_id: str) -> Accepted:
        """`model_id` is who is live and shall not be: asked twice, the second is refused.

        Raises:
            Problem: not_found, conflict, record_unreachable.
        """
        self._require_flag()
        with self._opened() as db:
            _require(db, model_id)
            model_registry.hold(db)
            if (live := model_moves.standing(db).live) != model_id:
                raise Problem("conflict", f"{model_id} is not live; {live or 'no model'} is.")
            changes = model_moves.roll_back(db, reason or "rolled back by the owner", by=by)
        effect = self._tell(command_id, ROLL_BACK, model_id, by, changes, later=True)
        self._activate(effect, changes[-1].model_id, reason)
        return Accepted(command_id, "here")

    def judged(self, model_id: str, to: Stage | None) -> tuple[Stage | None, list[Verdict]]:
        """The gates before `to` (the next stage, without one), none where none stand. Raises as `promote`."""
        with self._opened() as db:
            _require(db, model_id)
            there = to or NEXT.get(model_moves.standing(db).stages[model_id])
            if there not in gates.GATES:
                return there, []
            seen = model_moves.evidence_of(db, model_id, self.run.config)
        return there, gates.judge(seen, self.run.config.models.gates, there)

    def _require_flag(self) -> None:
        if not self.flags().models_by_api:
            raise Problem(
                "conflict", "flags.models_by_api is off in this run: `kitepilot models` at the machine."
            )

    @contextmanager
    def _opened(self) -> Iterator[sa.Connection]:
        try:
            asked = {"connect_timeout": CONNECT_S, "options": f"-c statement_timeout={STATEMENT_MS}"}
            engine = sa.create_engine(database_url(self.run), poolclass=sa.NullPool, connect_args=asked)
            with engine.begin() as connection, model_moves.settled(connection):
                yield connection
        except (PostgresError, SQLAlchemyError) as err:
            raise Problem("record_unreachable", "PostgreSQL did not answer: nothing was changed.") from err
        except ModelError as err:
            raise Problem("conflict", str(err)) from err

    def _tell(
        self,
        command_id: str,
        command: str,
        model_id: str,
        by: str,
        changes: list[StageChange],
        *,
        later: bool = False,
    ) -> Effect:
        """To the audit, and to whoever follows the command. The registry has it, whatever becomes of that."""
        try:
            model_moves.audit(self.run.home, changes, by=by)
        except (LogError, OSError) as err:
            _LOG.error("the registry has %s of %s, the audit has not: %s", command, model_id, err)
        now = time.time_ns()
        effect = Effect(command_id, command, model_id, by, now, told(changes), decided_at=0 if later else now)
        self.effects.done_elsewhere(effect)
        return effect

    def _activate(self, effect: Effect, model_id: str, reason: str) -> None:
        """Say to the run that it shall follow `model_id` from here on; the market flow says when it does."""
        try:
            plan = read_plan(self.run.folder / "models")
            if plan is None or model_id not in plan.models:
                raise ModelError("the run does not hold it and goes on as it is")
            effect.awaited = f"model {model_id} is followed "
            self.log.append(TICKS.name, [model_record(model_id, reason, time.time_ns())])
        except (ModelError, LogError, OSError) as err:
            effect.words.append(f"{err}: the next run opens with it")
            effect.decided_at = effect.said_at


def _require(db: sa.Connection, model_id: str) -> None:
    if "\0" in model_id or model_registry.find(db, model_id) is None:
        raise Problem("not_found", "No such model in the registry.")


def _refusals(verdicts: list[Verdict]) -> list[Flaw]:
    return [
        Flaw(each.gate, f"{each.reason} (found {each.observed}, asked for {each.required})")
        for each in verdicts
        if not each.passed
    ]
