"""GET alerts, POST alerts/acknowledge: what a person must know, and the word that he does."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from anyio import to_thread
from litestar import Request
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import JSONBody

from api.commands import Accepted
from api.identity import Principal
from api.identity.guards import operates
from api.problems import Problem
from api.resources.examples import AT
from api.resources.route import read
from api.resources.trading import Key, act
from api.services import Services
from api.times import Instant, instant
from infra.alerts import state_file
from kitepilot.alerts import desk
from kitepilot.alerts.kinds import BY_NAME
from kitepilot.run import Run

MAX_KEY = 300


class AlertRow(msgspec.Struct, frozen=True):
    """One cause, however often it was noticed.

    `severity`: critical | warning | info; `state`: open (wants somebody) | seen | over. `told`: how often
    each target of `alerts.targets` was told.
    """

    key: str
    number: int
    kind: str
    subject: str
    severity: str
    state: str
    detail: str
    to_do: str
    noticed: int
    raised: Instant
    over: Instant
    acknowledged: Instant
    acknowledged_by: str
    told: dict[str, int]


class Alerts(msgspec.Struct, frozen=True):
    """Those that want somebody first. `saved`: when the process `alerts` last said so; null: it never ran."""

    run_id: str
    saved: Instant
    items: list[AlertRow]


class Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which alert was seen: its key."""

    key: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_KEY)]


_ROW: dict[str, Any] = {
    "key": "halted:alarm", "number": 3, "kind": "halted", "subject": "alarm", "severity": "critical",
    "state": "open", "detail": "an order alarm", "to_do": "see `kitepilot status`, then resume", "noticed": 1,
    "raised": AT, "over": {"utc": None, "ist": None}, "acknowledged": {"utc": None, "ist": None},
    "acknowledged_by": "", "told": {"phone": 1},
}  # fmt: skip


@read(
    "/alerts",
    operation_id="listAlerts",
    summary="What a person must know, those that want somebody first",
    answers=Alerts,
    example={"run_id": "paper-20261120-0001", "saved": AT, "items": [_ROW]},
    also=(503,),
)
async def alerts(services: NamedDependency[Services]) -> Alerts:
    """Of this run: at most 200, the gravest."""
    kept = await to_thread.run_sync(_kept, services.run)
    if kept is None:
        return Alerts(services.run.run_id, Instant(), [])
    rows = [_row(each) for each in desk.listed(kept.desk)]
    return Alerts(services.run.run_id, instant(kept.saved_at), rows)


@act(
    "/alerts/acknowledge",
    operation_id="acknowledgeAlert",
    summary="Say that an alert was seen: nobody else is called about it",
    guards=[operates],
    also=(404,),
)
async def acknowledge(
    request: Request[Principal, Any, State],
    services: NamedDependency[Services],
    data: JSONBody[Seen],
    idempotency_key: Key = None,
) -> Accepted:
    """Nothing of trading follows from it. Said again of one that was seen, it changes nothing."""
    kept = await to_thread.run_sync(_kept, services.run)
    if kept is None or data.key not in kept.desk.alerts:
        raise Problem("not_found", "There is no alert of this key: GET /api/v1/alerts lists them.")
    return await services.commands.give(
        "alert_ack", request.user, idempotency_key, reason="", argument=data.key
    )


def _kept(run: Run) -> state_file.State | None:
    """Raises Problem."""
    try:
        return state_file.read(run.folder)
    except (OSError, msgspec.DecodeError) as err:
        raise Problem("unavailable", "What the process `alerts` remembers cannot be read.") from err


def _row(alert: desk.Alert) -> AlertRow:
    return AlertRow(
        key=alert.key,
        number=alert.number,
        kind=alert.kind,
        subject=alert.subject,
        severity=alert.severity.value,
        state=alert.state,
        detail=alert.detail,
        to_do=BY_NAME[alert.kind].to_do,
        noticed=alert.noticed,
        raised=instant(alert.raised_at),
        over=instant(alert.over_at),
        acknowledged=instant(alert.acknowledged_at),
        acknowledged_by=alert.acknowledged_by,
        told={name: told.times for name, told in alert.told.items()},
    )


ROUTES = (alerts, acknowledge)
