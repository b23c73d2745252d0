"""GET health, status and pnl: the newest account, from memory."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response
from litestar.di import NamedDependency

from api.resources.route import read
from api.services import Services
from api.times import Instant, instant
from api.view import View
from kitepilot import __version__


class Health(msgspec.Struct, frozen=True):
    """ok | failing, and why."""

    status: str
    reason: str
    version: str


class Status(msgspec.Struct, frozen=True):
    """The run, the account and the flow of messages. Money in integer paise; counts since the run began."""

    run_id: str
    mode: str
    session_date: str
    config_hash: str
    session_time: Instant
    trading_state: str
    trading_state_reason: str
    trading_state_rule: str
    feed: str
    realised_paise: int
    unrealised_paise: int
    charges_paise: int
    open_positions: int
    gross_exposure_paise: int
    working_orders: int
    orders: int
    fills: int
    loss_paise: int
    worst_case_paise: int
    drawdown_paise: int
    trades: int
    profile_version: int
    signals: dict[str, int]
    approved: int
    denials: dict[str, int]
    order_events: dict[str, int]
    dead_letters: dict[str, int]
    lag: dict[str, int]
    foreign_orders: list[dict[str, Any]]
    reconciliation: dict[str, Any]
    alarms: list[dict[str, Any]]
    models: dict[str, str]
    drifts: list[dict[str, Any]]
    postbacks: dict[str, int]


class ProfitAndLoss(msgspec.Struct, frozen=True):
    """The day so far. net = realised + unrealised - charges."""

    run_id: str
    at: Instant
    realised_paise: int
    unrealised_paise: int
    gross_paise: int
    charges_paise: int
    net_paise: int
    drawdown_paise: int
    worst_case_paise: int
    gross_exposure_paise: int


def health_of(view: View) -> Health:
    ok, reason = view.healthy()
    return Health("ok" if ok else "failing", reason, __version__)


def status_of(services: Services) -> Status:
    view = services.view
    s, account = view.snapshot, view.snapshot.account
    return Status(
        run_id=s.run_id or view.run.run_id,
        mode=s.mode,
        session_date=s.session_date,
        config_hash=s.config_hash,
        session_time=instant(s.marked_at),
        trading_state=s.state.value,
        trading_state_reason=s.state_reason,
        trading_state_rule=s.state_rule,
        feed=s.feed,
        realised_paise=account.realised_paise if account else 0,
        unrealised_paise=account.unrealised_paise if account else 0,
        charges_paise=account.charges_paise if account else 0,
        open_positions=account.open_positions if account else 0,
        gross_exposure_paise=account.gross_exposure_paise if account else 0,
        working_orders=account.working_orders if account else 0,
        orders=account.orders if account else 0,
        fills=account.fills if account else 0,
        loss_paise=account.loss_paise if account else 0,
        worst_case_paise=account.worst_case_paise if account else 0,
        drawdown_paise=account.drawdown_paise if account else 0,
        trades=account.trades if account else 0,
        profile_version=account.profile_version if account else 0,
        signals=dict(s.signals),
        approved=s.approved,
        denials=dict(s.denials),
        order_events=dict(s.orders),
        dead_letters=dict(s.dead_letters),
        lag=dict(view.lag),
        foreign_orders=list(s.foreign_orders.values()),
        reconciliation=s.reconciliation,
        alarms=list(s.alarms),
        models=dict(s.models),
        drifts=list(s.drifts),
        postbacks=dict(services.postbacks.counts),
    )


_HEALTHY = {"status": "ok", "reason": "ok", "version": __version__}
_AT = {"utc": "2026-11-20T05:00:00.000+00:00", "ist": "2026-11-20T10:30:00+05:30"}
_STATUS = {
    "run_id": "paper-20261120-0001", "mode": "paper", "session_date": "2026-11-20", "config_hash": "4f2c",
    "session_time": _AT, "trading_state": "active", "trading_state_reason": "run started",
    "trading_state_rule": "", "feed": "up", "realised_paise": 125_000, "unrealised_paise": -2_500,
    "charges_paise": 9_120, "open_positions": 2, "gross_exposure_paise": 12_000_000, "working_orders": 1,
    "orders": 14, "fills": 12, "loss_paise": -113_380, "worst_case_paise": 40_000, "drawdown_paise": 5_000,
    "trades": 6, "profile_version": 3, "signals": {"vwap_reversion": 21}, "approved": 14,
    "denials": {"open_positions": 7}, "order_events": {"accepted": 14, "fill": 12}, "dead_letters": {},
    "lag": {"session": 0}, "foreign_orders": [], "reconciliation": {}, "alarms": [], "models": {},
    "drifts": [], "postbacks": {"taken": 12},
}  # fmt: skip
_PNL = {
    "run_id": "paper-20261120-0001", "at": _AT, "realised_paise": 125_000, "unrealised_paise": -2_500,
    "gross_paise": 122_500, "charges_paise": 9_120, "net_paise": 113_380, "drawdown_paise": 5_000,
    "worst_case_paise": 40_000, "gross_exposure_paise": 12_000_000,
}  # fmt: skip


@read("/health", operation_id="getHealth", summary="Is this process doing its work?", answers=Health,
      example=_HEALTHY, also=(503,))  # fmt: skip
async def health(services: NamedDependency[Services]) -> Response[Health]:
    """200 while the log is being followed, 503 with the reason otherwise."""
    found = health_of(services.view)
    return Response(found, status_code=200 if found.status == "ok" else 503)


@read("/status", operation_id="getStatus", summary="The run, the account and the flow of messages",
      answers=Status, example=_STATUS)  # fmt: skip
async def status(services: NamedDependency[Services]) -> Status:
    return status_of(services)


@read("/pnl", operation_id="getPnl", summary="Profit and loss of the day so far", answers=ProfitAndLoss,
      example=_PNL)  # fmt: skip
async def pnl(services: NamedDependency[Services]) -> ProfitAndLoss:
    """As the decisions marked it last, once a session second; zeros before the first mark."""
    s = status_of(services)
    gross = s.realised_paise + s.unrealised_paise
    return ProfitAndLoss(
        run_id=s.run_id,
        at=s.session_time,
        realised_paise=s.realised_paise,
        unrealised_paise=s.unrealised_paise,
        gross_paise=gross,
        charges_paise=s.charges_paise,
        net_paise=gross - s.charges_paise,
        drawdown_paise=s.drawdown_paise,
        worst_case_paise=s.worst_case_paise,
        gross_exposure_paise=s.gross_exposure_paise,
    )


ROUTES = (health, status, pnl)
