"""The registry as whoever moves a model acts on it: judge, promote, step back, roll back, tell the audit.

Each takes a connection in a transaction of the caller's; `by` is who does it, without one this user.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from infra.audit.acts import record_act, who
from infra.postgres import model_registry
from infra.postgres.model_registry import RegisteredModel
from kitepilot.audit.acts import MODEL_MOVED
from kitepilot.config import Config
from kitepilot.models import evidence, gates, stages
from kitepilot.models.gates import Evidence, Verdict
from kitepilot.models.port import ModelError
from kitepilot.models.stages import Move, Stage, StageChange, Standing


@dataclass(frozen=True)
class Promotion:
    """What came of asking for one. `refused`: not a line was written."""

    model_id: str
    to: Stage
    verdicts: list[Verdict]
    refused: bool
    changes: list[StageChange]


@contextlib.contextmanager
def settled(connection: sa.Connection) -> Iterator[sa.Connection]:
    """A refusal at the transaction's end is told as one of its beginning would be: `ModelError`."""
    yield connection
    try:
        connection.execute(sa.text("SET CONSTRAINTS ALL IMMEDIATE"))
    except DBAPIError as err:
        raise ModelError(f"the registry refuses: {str(err.orig).splitlines()[0]}") from err


def require(connection: sa.Connection, model_id: str) -> RegisteredModel:
    """Raises `ModelError` with the nearest ids where there is none."""
    found = model_registry.find(connection, model_id)
    if found is None:
        known = [each.model_id for each in model_registry.registered(connection)]
        near = difflib.get_close_matches(model_id, known, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(known) or 'none'}"
        raise ModelError(f"no model {model_id!r} in the registry; {hint}")
    return found


def standing(connection: sa.Connection) -> Standing:
    return stages.standing(model_registry.history(connection))


def evidence_of(connection: sa.Connection, model_id: str, config: Config) -> Evidence:
    """All that the registry knows of one model. The newest leak check counts."""
    model = require(connection, model_id)
    words = model_registry.leak_words(connection, model_id)
    return Evidence(
        features_hash=model.features_hash,
        data_hash=model.data_hash,
        leak=words[-1] if words else None,
        out_of_sample=evidence.out_of_sample(model.card),
        sessions=tuple(model_registry.scored_sessions(connection, model_id)),
        canary_share=config.models.canary_share,
    )


def promote(
    connection: sa.Connection,
    config: Config,
    model_id: str,
    to: Stage | None,
    why: str,
    override: str,
    *,
    by: str = "",
) -> Promotion:
    """Judge by the gates before `to` (the next stage, without one) and move there; `override` does without.

    Raises:
        ModelError: there is no such model, or no such move.
    """
    model_registry.hold(connection)
    now = standing(connection)
    model = require(connection, model_id)
    there = to or stages.NEXT.get(now.stages[model_id])
    if there is None:
        raise ModelError(f"{model_id} is {now.stages[model_id]}: there is no stage after it")
    seen = evidence_of(connection, model_id, config)
    verdicts = gates.judge(seen, config.models.gates, there)
    steps = stages.moved(now, model_id, there, Move.OVERRIDDEN if override else Move.PROMOTED)
    if not override and not all(each.passed for each in verdicts):
        return Promotion(model_id, there, verdicts, True, [])
    said = {
        "gates": [each._asdict() for each in verdicts],
        "bounds": msgspec.to_builtins(config.models.gates),
    }
    changes = changes_of(steps, override or why or f"its gates passed ({model.kind})", said, by)
    model_registry.append(connection, changes)
    return Promotion(model_id, there, verdicts, False, changes)


def move(
    connection: sa.Connection, model_id: str, to: Stage, how: Move, why: str, *, by: str = ""
) -> list[StageChange]:
    """Retire, or step back: no gates. Raises `ModelError`."""
    model_registry.hold(connection)
    require(connection, model_id)
    changes = changes_of(stages.moved(standing(connection), model_id, to, how), why, {}, by)
    model_registry.append(connection, changes)
    return changes


def roll_back(connection: sa.Connection, why: str, *, by: str = "") -> list[StageChange]:
    """The live model retires, the one before is live again. Raises `ModelError` where there was none."""
    model_registry.hold(connection)
    changes = changes_of(stages.rollback(standing(connection)), why, {}, by)
    model_registry.append(connection, changes)
    return changes


def changes_of(steps: list[stages.Step], why: str, said: dict[str, Any], by: str = "") -> list[StageChange]:
    """Lines of the history as this person makes them."""
    return [
        StageChange(
            model_id=model_id,
            from_stage=here,
            to_stage=there,
            move=how,
            made_by=by or who(),
            reason=why,
            evidence=said,
        )
        for model_id, here, there, how in steps
    ]


def audit(home: Path, changes: list[StageChange], *, by: str = "") -> None:
    """Stage changes are acts of a person: in the audit too."""
    for each in changes:
        record_act(
            home,
            MODEL_MOVED,
            subject=each.model_id,
            by=by,
            to=each.to_stage.value,
            move=each.move.value,
            reason=each.reason,
        )
