"""POST risk/preview: a change of the profile, told before it is made. Nothing is changed by it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from anyio import to_thread
from litestar import post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import JSONBody

from api import problems, risk_changes
from api.problems import Flaw, Problem
from api.resources.examples import AT
from api.resources.route import ALWAYS
from api.services import Services
from api.times import Instant, instant
from kitepilot import events as e
from kitepilot.config import ConfigError
from kitepilot.risk import edits, profiles, versions, what_if
from kitepilot.risk.what_if import Difference

MOST_CHANGES = 40
MOST_WORDS = 2_000
MOST_ROWS = 200
MAX_BYTES = 64_000
Word = Annotated[str, msgspec.Meta(max_length=MOST_WORDS)]


class WantedChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """NAME=VALUE as `kitepilot risk set` reads them: rupees, bps, counts; `blocked=A,B`. None: as it is."""

    changes: Annotated[list[Word], msgspec.Meta(max_length=MOST_CHANGES)] = []


class PreviewedLimit(msgspec.Struct, frozen=True, kw_only=True):
    """One limit: as it is, as wanted, and the configuration's, past which nothing goes. Values in `unit`.

    `compared`: whether the day's verdicts hold a number against it.
    """

    name: str
    unit: str  # paise | shares | bps | ms | s | count
    present: float
    wanted: float
    ceiling: float
    higher_is_looser: bool
    raised: bool
    compared: bool


class DifferenceRow(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of today that would have been answered otherwise; codes, "" is approved."""

    signal_id: str
    at: Instant
    tradingsymbol: str
    strategy: str
    side: str
    quantity: int
    was: str
    would_be: str
    smaller: str
    observed: float
    limit: float


class Previewed(msgspec.Struct, frozen=True, kw_only=True):
    """The change in words, and the day's entries judged again. Lists: the newest, `MOST_ROWS` at most.

    `raised`: something is looser, or sized otherwise: to make it asks for a fresh one-time code. `refusal`:
    why it cannot be made at all, "" when it can.
    """

    version: int
    sizing: str
    allowed: list[str]
    blocked: list[str]
    limits: list[PreviewedLimit]
    changes: list[str]
    raised: bool
    refusal: str
    judged: int
    refused: int
    smaller: int
    let_through: int
    otherwise: int
    differences: list[DifferenceRow]


_EXAMPLE = {
    "version": 3, "sizing": "fixed_notional notional_paise=6000000", "allowed": [], "blocked": [],
    "limits": [{
        "name": "open_positions", "unit": "count", "present": 20, "wanted": 8, "ceiling": 20,
        "higher_is_looser": True, "raised": False, "compared": True,
    }],
    "changes": ["open_positions 20 -> 8"], "raised": False, "refusal": "", "judged": 120, "refused": 14,
    "smaller": 0, "let_through": 0, "otherwise": 3,
    "differences": [{
        "signal_id": "S7D2KQ4M5X3ZT6N2YH", "at": AT, "tradingsymbol": "INFY", "strategy": "vwap_reversion",
        "side": "BUY", "quantity": 40, "was": "", "would_be": "open_positions", "smaller": "",
        "observed": 9, "limit": 8,
    }],
}  # fmt: skip


@post(
    "/risk/preview",
    operation_id="previewRisk",
    summary="What a change of the limits would have refused today",
    status_code=200,
    request_max_body_size=MAX_BYTES,
    responses={
        200: ResponseSpec(
            Previewed, generate_examples=False, description="The preview", examples=[Example(value=_EXAMPLE)]
        ),
        **problems.declared(*ALWAYS, 409, 413, 422),
    },
)
async def preview(services: NamedDependency[Services], data: JSONBody[WantedChange]) -> Previewed:
    """Each entry is judged as it was asked for and as the account stood then: `kitepilot.risk.what_if`."""
    present, ceiling = services.day.profile, services.day.ceiling
    if present is None or ceiling is None:
        raise Problem("conflict", "The run has not begun: no profile is in force yet.")
    try:
        wanted = edits.changed(present, data.changes)
    except ConfigError as err:
        raise Problem("refused", str(err), errors=[Flaw("changes", str(err))]) from err
    judged = [verdict for _, verdict in services.day.judged.newest()]
    found = await to_thread.run_sync(what_if.preview, judged, present, wanted)
    raised = bool(risk_changes.looser(wanted, present))
    rows = [*found.refused, *found.smaller, *found.let_through]
    rows.sort(key=lambda each: -each.verdict.event_at)
    return Previewed(
        version=present.version,
        sizing=versions.sizing_text(wanted),
        allowed=list(wanted.allowed),
        blocked=list(wanted.blocked),
        limits=[_limit(each, present.limits, wanted.limits, ceiling) for each in profiles.LIMITS],
        changes=versions.changes(present, wanted),
        raised=raised,
        refusal=_refusal(services, present, wanted),
        judged=found.judged,
        refused=len(found.refused),
        smaller=len(found.smaller),
        let_through=len(found.let_through),
        otherwise=found.otherwise,
        differences=[_difference(each) for each in rows[:MOST_ROWS]],
    )


def _refusal(services: Services, present: e.RiskProfile, wanted: e.RiskProfile) -> str:
    if versions.same_settings(present, wanted):
        return ""
    if flaw := profiles.flaw(wanted):
        return flaw
    past = profiles.past_configuration(wanted, services.run.config.risk.profile())
    return f"looser than the configuration: {past}" if past else ""


def _limit(
    each: profiles.Limit, present: e.RiskLimits, wanted: e.RiskLimits, ceiling: e.RiskLimits
) -> PreviewedLimit:
    return PreviewedLimit(
        name=each.name,
        unit="paise" if each.unit == "rupees" else each.unit,
        present=getattr(present, each.field),
        wanted=getattr(wanted, each.field),
        ceiling=getattr(ceiling, each.field),
        higher_is_looser=each.higher_is_looser,
        raised=each.looser(wanted, present),
        compared=each.name not in what_if.UNCOMPARED,
    )


def _difference(found: Difference) -> DifferenceRow:
    verdict = found.verdict
    return DifferenceRow(
        signal_id=verdict.signal_id,
        at=instant(verdict.event_at),
        tradingsymbol=verdict.tradingsymbol,
        strategy=verdict.strategy,
        side=verdict.side.value,
        quantity=verdict.quantity,
        was=found.was,
        would_be=found.would_be,
        smaller=found.smaller,
        observed=found.observed,
        limit=found.limit,
    )


ROUTES = (preview,)
