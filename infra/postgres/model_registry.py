"""The model registry in PostgreSQL: models, their stages' history, evidence. Appended to, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from infra.postgres.tables import model_evidence, model_stages, models
from kitepilot.models.gates import LeakWord, ScoredSession
from kitepilot.models.port import ModelCard, ModelError
from kitepilot.models.stages import Move, Stage, StageChange

LEAK_CHECK, SESSION = "leak_check", "session"


class RegisteredModel(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `models`. `parent` is "" for a model without one."""

    model_id: str
    kind: str
    artifact_sha256: str
    card: ModelCard
    data_from: date
    data_to: date
    data_hash: str
    features_hash: str
    code_version: str
    metrics: dict[str, float]
    parent: str
    training_run: str
    dataset: str
    registered_by: str
    registered_at: datetime | None = None


def hold(connection: sa.Connection) -> None:
    """Until this transaction ends nobody else changes a stage; readers go on."""
    connection.execute(sa.text("LOCK TABLE model_stages IN EXCLUSIVE MODE"))


def add(connection: sa.Connection, model: RegisteredModel, reason: str) -> bool:
    """Register a candidate; False when it is there already.

    Raises:
        ModelError: the id is taken by another model, or its parent is not registered.
    """
    hold(connection)
    present = find(connection, model.model_id)
    if present is not None:
        if present.artifact_sha256 != model.artifact_sha256:
            raise ModelError(f"{model.model_id} is registered already, with other bytes: refused")
        return False
    if model.parent and find(connection, model.parent) is None:
        raise ModelError(f"the parent {model.parent} of {model.model_id} is not registered")
    row = msgspec.structs.asdict(model) | {
        "card": msgspec.to_builtins(model.card),
        "parent": model.parent or None,
    }
    del row["registered_at"]
    connection.execute(sa.insert(models).values(row))
    first = StageChange(
        model_id=model.model_id,
        from_stage=None,
        to_stage=Stage.CANDIDATE,
        move=Move.REGISTERED,
        made_by=model.registered_by,
        reason=reason,
    )
    append(connection, [first])
    return True


def append(connection: sa.Connection, changes: Sequence[StageChange]) -> None:
    """Write lines of the history, in order.

    Raises:
        ModelError: the database refused one: another change came first, or there would be two live models.
    """
    hold(connection)  # before the insert: two that both insert and then lock would wait for each other
    for each in changes:
        row = msgspec.to_builtins(each)
        row = {key: value for key, value in row.items() if key not in ("seq", "at")}
        try:
            connection.execute(sa.insert(model_stages).values(row | {"seq": 0}))
        except sa.exc.DBAPIError as err:
            said = str(err.orig).splitlines()[0]
            raise ModelError(f"{each.model_id} has not become {each.to_stage}: {said}") from err


def history(connection: sa.Connection, model_id: str = "") -> list[StageChange]:
    """Lines of one model, or all, oldest first."""
    query = sa.select(model_stages).order_by(model_stages.c.seq)
    if model_id:
        query = query.where(model_stages.c.model_id == model_id)
    return [msgspec.convert(_plain(row), StageChange) for row in connection.execute(query).mappings()]


def find(connection: sa.Connection, model_id: str) -> RegisteredModel | None:
    found = registered(connection, model_id)
    return found[0] if found else None


def registered(connection: sa.Connection, model_id: str = "") -> list[RegisteredModel]:
    """One model, or all, in order of registration."""
    query = sa.select(models).order_by(models.c.registered_at, models.c.model_id)
    if model_id:
        query = query.where(models.c.model_id == model_id)
    rows = connection.execute(query).mappings()
    return [msgspec.convert(_plain(row) | {"parent": row["parent"] or ""}, RegisteredModel) for row in rows]


def add_evidence(
    connection: sa.Connection, model_id: str, kind: str, subject: str, body: Any, made_by: str
) -> bool:
    """Keep what was found about a model, once per subject; False when it was there."""
    row = {
        "model_id": model_id,
        "kind": kind,
        "subject": subject,
        "body": msgspec.to_builtins(body),
        "made_by": made_by,
    }
    done = connection.execute(insert(model_evidence).values(row).on_conflict_do_nothing())
    return bool(done.rowcount)


def leak_words(connection: sa.Connection, model_id: str) -> list[LeakWord]:
    """Leak checks of a model, oldest first."""
    return [msgspec.convert(body, LeakWord) for body in _bodies(connection, model_id, LEAK_CHECK)]


def scored_sessions(connection: sa.Connection, model_id: str) -> list[ScoredSession]:
    """Sessions in which a model scored live, oldest first."""
    return [msgspec.convert(body, ScoredSession) for body in _bodies(connection, model_id, SESSION)]


def _plain(row: sa.RowMapping) -> dict[str, Any]:
    """Column names as plain text: msgspec takes no subclass of it."""
    return {str(name): value for name, value in row.items()}


def _bodies(connection: sa.Connection, model_id: str, kind: str) -> list[Any]:
    query = sa.select(model_evidence.c.body).where(
        model_evidence.c.model_id == model_id, model_evidence.c.kind == kind
    )
    return list(connection.execute(query.order_by(model_evidence.c.seq)).scalars())
