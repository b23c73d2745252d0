"""GET runs, models and audit: raw SQL over the book of record, newest first."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, LiteralString

import msgspec
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from api import cursors
from api.cursors import Cursor, Limit
from api.problems import Problem
from api.resources import examples
from api.resources.examples import AT, RUN
from api.resources.route import read
from api.services import Services
from api.times import Instant, instant
from kitepilot.config import without_passwords

_RUNS: LiteralString = """
    SELECT run_id, mode, session_date, feed, config_hash, code_version, started_at, ended_at, result,
           (extract(epoch FROM started_at) * 1000000)::bigint AS started_us
    FROM runs
    WHERE (%(run)s::text IS NULL OR run_id = %(run)s)
        AND (%(at)s::bigint IS NULL
             OR ((extract(epoch FROM started_at) * 1000000)::bigint, run_id) < (%(at)s, %(id)s))
    ORDER BY started_us DESC, run_id DESC LIMIT %(limit)s"""
_CONFIG: LiteralString = "SELECT config FROM runs WHERE run_id = %(run)s"
_MODELS: LiteralString = """
    SELECT m.model_id, m.kind, s.to_stage AS stage, s.at AS since, s.reason, m.parent, m.data_from, m.data_to,
           m.training_run, m.dataset, m.code_version, m.registered_by, m.registered_at, m.metrics
    FROM models m
    JOIN LATERAL (SELECT to_stage, at, reason FROM model_stages h
                  WHERE h.model_id = m.model_id ORDER BY h.seq DESC LIMIT 1) s ON true
    WHERE %(model)s::text IS NULL OR m.model_id = %(model)s
    ORDER BY m.registered_at DESC, m.model_id DESC LIMIT 500"""
_STAGES: LiteralString = """
    SELECT from_stage, to_stage, move, made_by, reason, at FROM model_stages
    WHERE model_id = %(model)s ORDER BY seq DESC LIMIT 200"""
_AUDIT: LiteralString = """
    SELECT seq, run_id, kind, source, topic, log_offset, subject, intent_id, order_id, event_at, recorded_at,
           body, encode(hash, 'hex') AS hash
    FROM audit
    WHERE (%(run)s = '' OR run_id = %(run)s) AND (%(kind)s = '' OR kind = %(kind)s)
        AND (%(about)s = '' OR order_id = %(about)s OR intent_id = %(about)s OR subject = %(about)s)
        AND (%(before)s::bigint IS NULL OR seq < %(before)s)
    ORDER BY seq DESC LIMIT %(limit)s"""


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `result` is what its day came to, null while it goes on or where it was cut short."""

    run_id: str
    mode: str
    session_date: date
    feed: str
    config_hash: str
    code_version: str
    started: Instant
    ended: Instant
    result: dict[str, Any] | None


class RunPage(msgspec.Struct, frozen=True):
    """Newest first. `next` is null on the last page."""

    items: list[RunRow]
    next: str | None


class RunDetail(msgspec.Struct, frozen=True):
    """The run, and its whole configuration as YAML."""

    run: RunRow
    config: str


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """One model of the registry. stage: candidate | shadow | canary | live | retired."""

    model_id: str
    kind: str
    stage: str
    since: Instant
    reason: str
    parent: str | None
    data_from: date
    data_to: date
    training_run: str
    dataset: str
    code_version: str
    registered_by: str
    registered: Instant
    metrics: dict[str, Any]


class Models(msgspec.Struct, frozen=True):
    """Newest first."""

    items: list[ModelRow]


class StageRow(msgspec.Struct, frozen=True, kw_only=True):
    """One move of a model, and who made it why."""

    from_stage: str | None
    to_stage: str
    move: str
    made_by: str
    reason: str
    made: Instant


class ModelDetail(msgspec.Struct, frozen=True):
    """The model and its history, newest move first."""

    model: ModelRow
    history: list[StageRow]


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """One link of the chain. `body` is the canonical JSON that `hash` (hex) covers."""

    seq: int
    run_id: str
    kind: str
    source: str
    topic: str
    log_offset: int
    subject: str
    intent_id: str
    order_id: str
    happened: Instant
    recorded: Instant
    body: str
    hash: str


class AuditPage(msgspec.Struct, frozen=True):
    """Newest first. `next` is null on the last page."""

    items: list[AuditRow]
    next: str | None


_RUN = {
    "run_id": RUN, "mode": "paper", "session_date": "2026-11-20", "feed": "synthetic", "config_hash": "4f2c",
    "code_version": "0.1.0", "started": AT, "ended": AT,
    "result": {"net_paise": 113_380},
}  # fmt: skip
_MODEL = {
    "model_id": "lightgbm-3f1c", "kind": "lightgbm", "stage": "live", "since": AT,
    "reason": "its gates passed", "parent": "lightgbm-1a2b", "data_from": "2026-01-01",
    "data_to": "2026-10-31", "training_run": "t1",
    "dataset": "nifty50", "code_version": "0.1.0", "registered_by": "asha", "registered": AT,
    "metrics": {"auc": 0.54},
}  # fmt: skip
_STAGE = {
    "from_stage": "canary", "to_stage": "live", "move": "promoted", "made_by": "asha",
    "reason": "its gates passed", "made": AT,
}  # fmt: skip
_LINK = {
    "seq": 4711, "run_id": RUN, "kind": "commanded", "source": "owner-1", "topic": "session",
    "log_offset": 99, "subject": "", "intent_id": "", "order_id": "", "happened": AT, "recorded": AT,
    "body": "{\"command\":\"halt\"}", "hash": "9f86d081884c7d65",
}  # fmt: skip


@read(
    "/runs",
    operation_id="listRuns",
    summary="Runs of this home, newest first",
    answers=RunPage,
    example=examples.page(_RUN),
    also=(404, 503),
)
async def runs(services: NamedDependency[Services], limit: Limit = 50, cursor: Cursor = None) -> RunPage:
    at, last = cursors.opened("runs", cursor, int, str) or (None, "")
    found = await services.record.rows(_RUNS, {"run": None, "at": at, "id": last, "limit": limit + 1})
    following = None
    if len(found) > limit:
        following = cursors.sealed("runs", found[limit - 1]["started_us"], found[limit - 1]["run_id"])
    return RunPage([_run(row) for row in found[:limit]], following)


@read(
    "/runs/{run_id:str}",
    operation_id="getRun",
    summary="One run and its configuration",
    answers=RunDetail,
    example={"run": _RUN, "config": "mode: paper\n"},
    also=(404, 503),
)
async def run(services: NamedDependency[Services], run_id: FromPath[str]) -> RunDetail:
    found = await services.record.rows(_RUNS, {"run": _plain(run_id), "at": None, "id": "", "limit": 1})
    if not found:
        raise Problem("not_found", "No such run in the book of record.")
    config = await services.record.rows(_CONFIG, {"run": run_id})
    return RunDetail(_run(found[0]), without_passwords(config[0]["config"]))


@read(
    "/models",
    operation_id="listModels",
    summary="Models of the registry and their stages",
    answers=Models,
    example={"items": [_MODEL]},
    also=(503,),
)
async def models(services: NamedDependency[Services]) -> Models:
    return Models([_model(row) for row in await services.record.rows(_MODELS, {"model": None})])


@read(
    "/models/{model_id:str}",
    operation_id="getModel",
    summary="One model and how it came to its stage",
    answers=ModelDetail,
    example={"model": _MODEL, "history": [_STAGE]},
    also=(404, 503),
)
async def model(services: NamedDependency[Services], model_id: FromPath[str]) -> ModelDetail:
    found = await services.record.rows(_MODELS, {"model": _plain(model_id)})
    if not found:
        raise Problem("not_found", "No such model in the registry.")
    moves = await services.record.rows(_STAGES, {"model": model_id})
    return ModelDetail(_model(found[0]), [_stage(row) for row in moves])


@read(
    "/audit",
    operation_id="listAudit",
    summary="The chain of what happened, newest first",
    answers=AuditPage,
    example=examples.page(_LINK),
    also=(404, 503),
)
async def audit(
    services: NamedDependency[Services],
    run_id: Annotated[str, QueryParameter(name="run", max_length=64)] = "",
    kind: Annotated[str, QueryParameter(max_length=64)] = "",
    about: Annotated[
        str, QueryParameter(max_length=64, description="An order's, intent's or subject's id.")
    ] = "",
    limit: Limit = 100,
    cursor: Cursor = None,
) -> AuditPage:
    chosen = {"run": _plain(run_id), "kind": _plain(kind), "about": _plain(about)}
    before = cursors.before("audit", cursor)
    found = await services.record.rows(_AUDIT, chosen | {"before": before, "limit": limit + 1})
    following = cursors.sealed("audit", found[limit - 1]["seq"]) if len(found) > limit else None
    return AuditPage([_link(row) for row in found[:limit]], following)


def _plain(text: str) -> str:
    """PostgreSQL's text has no NUL; nothing of ours has one either."""
    return text.replace("\0", "\ufffd")


def _moment(at: datetime | None) -> Instant:
    return instant(int(at.timestamp() * 1_000) * 1_000_000) if at else Instant()


def _run(row: dict[str, Any]) -> RunRow:
    plain = {
        name: row[name]
        for name in ("run_id", "mode", "session_date", "feed", "config_hash", "code_version", "result")
    }
    return RunRow(**plain, started=_moment(row["started_at"]), ended=_moment(row["ended_at"]))


def _model(row: dict[str, Any]) -> ModelRow:
    plain = {name: value for name, value in row.items() if name not in ("since", "registered_at")}
    return ModelRow(**plain, since=_moment(row["since"]), registered=_moment(row["registered_at"]))


def _stage(row: dict[str, Any]) -> StageRow:
    return StageRow(**{name: value for name, value in row.items() if name != "at"}, made=_moment(row["at"]))


def _link(row: dict[str, Any]) -> AuditRow:
    plain = {name: value for name, value in row.items() if name not in ("event_at", "recorded_at")}
    return AuditRow(**plain, happened=instant(row["event_at"]), recorded=instant(row["recorded_at"]))


ROUTES = (runs, run, models, model, audit)
