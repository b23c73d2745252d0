"""Models: the gates before a stage, two side by side, and POST models/{id}/promote and rollback.

A promotion acts from the next day that opens, a rollback also in the run that is up. Both ask for the owner
with a fresh one-time code, and name what they act on, so that neither can be done twice by asking twice.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, LiteralString

import msgspec
from anyio import to_thread
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from api.commands import Accepted
from api.identity.guards import fresh, owns
from api.model_changes import PROMOTE, ROLL_BACK
from api.problems import Problem
from api.resources.route import read
from api.resources.trading import ASKED, MAX_REASON, Key, Why, act
from api.services import Services
from kitepilot.models.stages import Stage

_COMPARED: LiteralString = """
    SELECT m.model_id, m.metrics,
           coalesce(jsonb_agg(e.body ORDER BY e.seq) FILTER (WHERE e.body IS NOT NULL), '[]') AS sessions
    FROM models m
    LEFT JOIN model_evidence e ON e.model_id = m.model_id AND e.kind = 'session'
    WHERE m.model_id IN (%(left)s, %(right)s) GROUP BY m.model_id, m.metrics"""


class Promotion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`to`: the stage, by name, so that a repetition is refused instead of moving the model on."""

    to: Stage
    reason: Annotated[str, msgspec.Meta(max_length=MAX_REASON)] = ""


class GateRow(msgspec.Struct, frozen=True):
    """One gate's word. `why` is empty when it passed."""

    gate: str
    passed: bool
    found: str
    asked: str
    why: str


class Gates(msgspec.Struct, frozen=True):
    """The gates before `to`; none before a stage that has none. `to` is null where no stage follows."""

    model_id: str
    to: str | None
    passed: bool
    gates: list[GateRow]


class MeasureRow(msgspec.Struct, frozen=True):
    """One measure of both, null where it was not taken."""

    name: str
    left: float | None
    right: float | None


class SessionRow(msgspec.Struct, frozen=True):
    """One day that both scored live, on their own rows. A Brier score is better when smaller."""

    session: str
    left_role: str
    left_rows: int
    left_brier: float
    right_role: str
    right_rows: int
    right_brier: float


class Comparison(msgspec.Struct, frozen=True):
    """What the registry knows of both. Measures of different data say little: see each one's days first."""

    left: str
    right: str
    measures: list[MeasureRow]
    sessions: list[SessionRow]


_GATES = {
    "model_id": "lightgbm-3f1c2b4d", "to": "canary", "passed": False,
    "gates": [{"gate": "shadow_sessions", "passed": False, "found": "2 sessions", "asked": "5 sessions",
               "why": "too few days scored as a shadow"}],
}  # fmt: skip
_COMPARISON = {
    "left": "lightgbm-3f1c2b4d", "right": "lightgbm-1a2b3c4d",
    "measures": [{"name": "auc", "left": 0.54, "right": 0.53}],
    "sessions": [{"session": "2026-11-20", "left_role": "shadow", "left_rows": 18_000, "left_brier": 0.247,
                  "right_role": "live", "right_rows": 18_000, "right_brier": 0.249}],
}  # fmt: skip


@read(
    "/models/{model_id:str}/gates",
    operation_id="getModelGates",
    summary="What stands between a model and a stage, gate by gate",
    answers=Gates,
    example=_GATES,
    also=(404, 409, 503),
)
async def gates(
    services: NamedDependency[Services],
    model_id: FromPath[str],
    to: Annotated[Stage | None, QueryParameter(description="The stage; the next one without.")] = None,
) -> Gates:
    there, found = await to_thread.run_sync(services.models.judged, model_id, to)
    rows = [GateRow(each.gate, each.passed, each.observed, each.required, each.reason) for each in found]
    return Gates(model_id, there, all(each.passed for each in found), rows)


@read(
    "/models/compare",
    operation_id="compareModels",
    summary="Two models side by side: their measures, and the days both scored",
    answers=Comparison,
    example=_COMPARISON,
    also=(404, 503),
)
async def compare(
    services: NamedDependency[Services],
    left: Annotated[str, QueryParameter(max_length=100)],
    right: Annotated[str, QueryParameter(max_length=100)],
) -> Comparison:
    """From the registry. `kitepilot models compare` scores recorded days anew, on the very same rows."""
    rows = {}
    if "\0" not in left + right:
        found = await services.record.rows(_COMPARED, {"left": left, "right": right})
        rows = {row["model_id"]: row for row in found}
    if left not in rows or right not in rows:
        raise Problem("not_found", "No such model in the registry.")
    measures = [flat(rows[name]["metrics"]) for name in (left, right)]
    names = sorted({*measures[0], *measures[1]})
    return Comparison(
        left,
        right,
        [MeasureRow(name, measures[0].get(name), measures[1].get(name)) for name in names],
        _shared(rows[left]["sessions"], rows[right]["sessions"]),
    )


@act(
    "/models/{model_id:str}/promote",
    operation_id="promoteModel",
    summary="Promote a model, if the gates before the stage let it",
    guards=[owns, fresh],
    also=(404,),
)
async def promote(
    request: ASKED,
    services: NamedDependency[Services],
    model_id: FromPath[str],
    data: JSONBody[Promotion],
    idempotency_key: Key = None,
) -> Accepted:
    """409 `gates_refuse` lists every gate that does. Acts from the next day that opens."""
    deed = partial(services.models.promote, model_id, data.to, data.reason.strip(), request.user.name)
    what = f"{PROMOTE} {model_id} {data.to} {data.reason}"
    return await services.commands.once(request.user, idempotency_key, what, deed)


@act(
    "/models/{model_id:str}/rollback",
    operation_id="rollBackModel",
    summary="The live model retires, the one before is followed again at once",
    guards=[owns, fresh],
    also=(404,),
)
async def roll_back(
    request: ASKED,
    services: NamedDependency[Services],
    model_id: FromPath[str],
    data: JSONBody[Why],
    idempotency_key: Key = None,
) -> Accepted:
    """`model_id` is the live one, which shall not be any more: 409 when it is not."""
    deed = partial(services.models.roll_back, model_id, data.reason.strip(), request.user.name)
    what = f"{ROLL_BACK} {model_id} {data.reason}"
    return await services.commands.once(request.user, idempotency_key, what, deed)


def flat(measures: dict[str, Any], path: str = "") -> dict[str, float]:
    """Numbers alone; what is nested is named by its path.

    >>> flat({"auc": 0.5, "fold": {"trades": 3, "name": "x"}})
    {'auc': 0.5, 'fold.trades': 3.0}
    """
    found: dict[str, float] = {}
    for name, value in measures.items():
        if isinstance(value, dict):
            found |= flat(value, f"{path}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{path}{name}"] = float(value)
    return found


def _shared(left: list[dict[str, Any]], right: list[dict[str, Any]]) -> list[SessionRow]:
    """Days both scored in the same run, oldest first."""
    beside = {each["run_id"]: each for each in right}
    pairs = [(each, beside[each["run_id"]]) for each in left if each["run_id"] in beside]
    return [
        SessionRow(
            session=mine["session"],
            left_role=mine["role"],
            left_rows=mine["rows"],
            left_brier=mine["brier"],
            right_role=theirs["role"],
            right_rows=theirs["rows"],
            right_brier=theirs["brier"],
        )
        for mine, theirs in pairs
    ]


ROUTES = (compare, gates, promote, roll_back)
