"""GET timeline: what happened in the run that is up, from memory; and all there is about one decision."""

from __future__ import annotations

from itertools import islice
from math import isfinite
from typing import Annotated, Any, Literal

import msgspec
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from api import cursors
from api.cursors import Cursor, Limit
from api.problems import Problem
from api.resources import examples
from api.resources.route import read
from api.services import Services
from api.timeline import Line
from kitepilot import events as e

MOST_LINES = 500
Kind = Literal["signal", "verdict", "order", "alert", "note"]
Word = Annotated[str, QueryParameter(max_length=64)]


class TimelinePage(msgspec.Struct, frozen=True):
    """Newest first. `next` is null on the last page."""

    items: list[Line]
    next: str | None


class CheckRow(msgspec.Struct, frozen=True):
    """One check of an entry, with the numbers that it compared."""

    code: str
    passed: bool
    observed: float
    limit: float


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One decision: the wish, every check, and each line of the order's life, oldest first."""

    signal_id: str
    intent_id: str
    tradingsymbol: str
    strategy: str
    side: str
    interval_s: int
    features: dict[str, float]
    scores: dict[str, float]
    approved: bool
    denial: str
    profile_version: int
    checks: list[CheckRow]
    lines: list[Line]


_LINE = {
    "id": "1795150800000000000-2-812", "kind": "order", "refused": False,
    "body": {"at_ms": 1_795_150_800_000, "ist": "10:30:00", "kind": "fill", "tradingsymbol": "INFY"},
}  # fmt: skip
_TOLD = {
    "signal_id": "S7D2KQ4M5X3ZT6N2YH", "intent_id": "B4K7Q2M5X3ZT6N2YHA", "tradingsymbol": "INFY",
    "strategy": "vwap_reversion", "side": "BUY", "interval_s": 1, "features": {"vwap_distance": -12.5},
    "scores": {}, "approved": True, "denial": "", "profile_version": 3,
    "checks": [{"code": "open_positions", "passed": True, "observed": 3.0, "limit": 20.0}], "lines": [_LINE],
}  # fmt: skip


@read(
    "/timeline",
    operation_id="listTimeline",
    summary="Everything that happened in the run that is up, newest first",
    answers=TimelinePage,
    example=examples.page(_LINE),
    also=(404,),
)
async def timeline(
    services: NamedDependency[Services],
    kinds: Annotated[list[Kind] | None, QueryParameter(name="kind", description="Of these only.")] = None,
    symbol: Word = "",
    strategy: Word = "",
    refused: Annotated[bool, QueryParameter(description="Refused entries only.")] = False,
    limit: Limit = 200,
    cursor: Cursor = None,
) -> TimelinePage:
    """Signals, verdicts, lines of orders, alerts, and what the decisions wrote down."""
    key = cursors.opened("timeline", cursor, int, int, int)
    found = services.timeline.newest(
        (int(key[0]), int(key[1]), int(key[2])) if key else None,
        kinds=frozenset(kinds or ()),
        symbol=symbol,
        strategy=strategy,
        refused=refused,
    )
    rows = list(islice(found, limit + 1))
    following = cursors.sealed("timeline", *rows[limit - 1][0]) if len(rows) > limit else None
    return TimelinePage([line for _, line in rows[:limit]], following)


@read(
    "/timeline/{name:str}",
    operation_id="getDecision",
    summary="One decision: its wish, its checks, its order",
    answers=Told,
    example=_TOLD,
    also=(404,),
)
async def decision(services: NamedDependency[Services], name: FromPath[str]) -> Told:
    """By the id of its signal, of its intent, or the broker's of its order; refused ones by their signal."""
    day = services.day
    intent = day.intent_of(name)
    signal_id = intent.signal_id if intent else name
    signal, verdict = day.signals.get(signal_id), day.judged.get(signal_id)
    if intent is None and verdict is not None and verdict.intent_id:
        intent = day.intents.get(verdict.intent_id)
    subject: e.ApprovedIntent | e.Verdict | e.SignalRaised | None = intent or verdict or signal
    if subject is None:
        raise Problem(
            "not_found", "No such decision in this run, or it is only in the book of record by now."
        )
    intent_id = intent.intent_id if intent else ""
    return Told(
        signal_id=signal.signal_id if signal else "",
        intent_id=intent_id,
        tradingsymbol=subject.tradingsymbol,
        strategy=subject.strategy,
        side=subject.side.value if subject.side else "",
        interval_s=signal.interval_s if signal else 0,
        features=_finite(signal.features if signal else {}),
        scores=_finite(signal.scores if signal else {}),
        approved=intent is not None,
        denial=verdict.denial if verdict else "",
        profile_version=verdict.profile_version if verdict else 0,
        checks=[_check(each) for each in verdict.checks] if verdict else [],
        lines=services.timeline.about(intent_id, MOST_LINES) if intent_id else [],
    )


def _check(check: e.Check) -> CheckRow:
    return CheckRow(check.code, check.passed, check.observed, check.limit)


def _finite(values: dict[str, Any]) -> dict[str, float]:
    """Without what is not known: JSON has no NaN."""
    return {name: value for name, value in values.items() if isfinite(value)}


ROUTES = (timeline, decision)
