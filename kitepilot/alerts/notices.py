"""Events of a run -> notices: something began that a person should know, or it is over.

A pure fold. What it remembers is bounded: orders in doubt, exits without a fill, and a few words.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from kitepilot import events as e
from kitepilot.alerts.kinds import OF_ALARMS, of_state
from kitepilot.risk.ladder import calls_the_owner

NEAR_PERCENT, CLEAR_PERCENT = 80, 70
MOST_REMEMBERED = 1_000  # orders in doubt, exits without a fill: past it the oldest is forgotten
K = TypeVar("K")
V = TypeVar("V")
STATE = ("halted", "reducing", "reduced_by_owner", "loss_limit")


class Notice(msgspec.Struct, frozen=True):
    """`at` is machine time, ns UTC: people are called by their own clock. `over`: the cause has ended."""

    kind: str
    subject: str
    detail: str
    at: int
    over: bool = False


class Heard(msgspec.Struct):
    """What the fold remembers of a run. Times are ns; `heard_at` is machine time of the newest record."""

    run_id: str = ""
    mode: str = ""
    open_at: int = 0
    close_at: int = 0
    daily_loss_paise: int = 0
    session_at: int = 0
    heard_at: int = 0
    ended: bool = False
    near: bool = False
    doubtful: dict[str, None] = msgspec.field(default_factory=dict)  # intents of unknown outcome
    stuck: dict[int, str] = msgspec.field(default_factory=dict)  # tokens whose exits find no fill
    stale: dict[str, None] = msgspec.field(default_factory=dict)  # models
    standing: dict[str, None] = msgspec.field(default_factory=dict)  # kinds whose subject is the run


def notices(heard: Heard, event: e.AnyEvent, at: int) -> Iterable[Notice]:
    """Fold one event of `session`, `decisions` or `intents`, appended at machine time `at`."""
    heard.session_at = max(heard.session_at, event.event_at)
    heard.heard_at = max(heard.heard_at, at)
    match event:
        case e.RunStarted():
            _start(heard, event, at)
        case e.Commanded(command="end_of_day"):
            heard.ended = True
        case e.ProfileActivated():
            heard.daily_loss_paise = event.profile.limits.daily_loss_paise
        case e.AccountMarked():
            return _loss(heard, event, at)
        case e.StateChanged() if event.state is not event.previous:
            return _state(heard, event, at)
        case e.OrderUpdated() | e.ApprovedIntent() | e.Filled():
            return _orders(heard, event, at)
        case _:
            return [*_gateway(heard, event, at), *_market(heard, event, at)]
    return []


def _orders(heard: Heard, event: e.OrderUpdated | e.ApprovedIntent | e.Filled, at: int) -> list[Notice]:
    match event:
        case e.OrderUpdated():
            return _doubt(heard, event, at)
        case e.ApprovedIntent() if event.purpose is not e.Purpose.ENTRY and calls_the_owner(event.attempt):
            _remember(heard.stuck, event.token, event.tradingsymbol)
            detail = f"{event.attempt} exits without a fill, {event.quantity} shares to go"
            return [Notice("exit_ladder", event.tradingsymbol, detail, at)]
        case e.Filled() if event.token in heard.stuck:
            return [Notice("exit_ladder", heard.stuck.pop(event.token), "a fill", at, over=True)]
    return []


def _start(heard: Heard, event: e.RunStarted, at: int) -> None:
    fresh = Heard(
        run_id=event.run_id,
        mode=event.mode,
        open_at=event.parameters.open_at,
        close_at=event.parameters.close_at,
        daily_loss_paise=event.parameters.profile.limits.daily_loss_paise,
        session_at=event.event_at,
        heard_at=at,
    )
    for name in Heard.__struct_fields__:
        setattr(heard, name, getattr(fresh, name))


def _state(heard: Heard, event: e.StateChanged, at: int) -> list[Notice]:
    if event.state is e.TradingState.ACTIVE:
        return _all_over(heard, STATE, event.reason, at)
    kind = of_state(event.state, event.rule)
    heard.standing[kind] = None
    return [Notice(kind, event.rule or event.state.value, event.reason, at)]


def _all_over(heard: Heard, kinds: Iterable[str], why: str, at: int) -> list[Notice]:
    """Over, whatever the subject was."""
    told = [Notice(kind, "", why, at, over=True) for kind in kinds if kind in heard.standing]
    for each in told:
        del heard.standing[each.kind]
    return told


def _loss(heard: Heard, event: e.AccountMarked, at: int) -> list[Notice]:
    cap = heard.daily_loss_paise
    used = max(event.worst_case_paise, event.loss_paise)
    if cap <= 0:
        return []
    if not heard.near and used * 100 >= cap * NEAR_PERCENT:
        heard.near = True
        return [Notice("loss_near", "day", f"{used * 100 // cap} % of the day's loss limit", at)]
    if heard.near and used * 100 < cap * CLEAR_PERCENT:
        heard.near = False
        return [Notice("loss_near", "day", f"{max(used, 0) * 100 // cap} %", at, over=True)]
    return []


def _doubt(heard: Heard, event: e.OrderUpdated, at: int) -> list[Notice]:
    unknown = event.status is e.OrderStatus.UNKNOWN
    if unknown == (event.intent_id in heard.doubtful):
        return []
    if unknown:
        _remember(heard.doubtful, event.intent_id, None)
        return [Notice("unknown_order", event.intent_id, event.message or "no answer", at)]
    del heard.doubtful[event.intent_id]
    return [Notice("unknown_order", event.intent_id, event.status.value, at, over=True)]


def _gateway(heard: Heard, event: e.AnyEvent, at: int) -> Iterable[Notice]:
    match event:
        case e.Alarmed():
            return [_alarm(heard, event, at)]
        case e.Reconciled(verdict="halt"):
            heard.standing["reconciliation"] = None
            rules = ", ".join(sorted({each.rule for each in event.differences})) or event.verdict
            return [Notice("reconciliation", event.occasion, rules, at)]
        case e.Reconciled(verdict="equal"):
            return _all_over(heard, ("reconciliation",), f"{event.orders} orders compared", at)
    return []


def _market(heard: Heard, event: e.AnyEvent, at: int) -> Iterable[Notice]:
    match event:
        case e.FeedChanged(state="up"):
            return _all_over(heard, ("feed_gap", "login_needed"), "the feed is up", at)
        case e.FeedChanged():
            heard.standing["feed_gap"] = None
            return [Notice("feed_gap", "feed", event.detail or event.state, at)]
        case e.DriftFound():
            subject = f"{event.model} {event.feature}".strip()
            detail = f"{event.detector}: {event.observed:.4g} against {event.limit:.4g}"
            return [Notice("drift", subject, detail, at)]
        case e.ModelJudged():
            return _judged(heard, event, at)
    return []


def _alarm(heard: Heard, event: e.Alarmed, at: int) -> Notice:
    kind = OF_ALARMS.get(event.kind, "order_alarm")
    if event.state == "closed":
        return Notice(kind, event.subject, event.detail, at, over=True)
    if kind in ("login_needed", "reconciliation"):
        heard.standing[kind] = None
    return Notice(kind, event.subject, event.detail, at)


def _judged(heard: Heard, event: e.ModelJudged, at: int) -> list[Notice]:
    stale = event.state != "fresh"
    if stale == (event.model in heard.stale):
        return []
    if stale:
        _remember(heard.stale, event.model, None)
    else:
        del heard.stale[event.model]
    return [Notice("model_stale", event.model, event.detail or event.state, at, over=not stale)]


def _remember(held: dict[K, V], key: K, value: V) -> None:
    held[key] = value
    if len(held) > MOST_REMEMBERED:
        del held[next(iter(held))]
