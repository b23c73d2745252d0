"""POST backtests, GET backtests, one of them and its report, POST its cancel.

Made one by one in a process of its own that gives way to everything: trading never waits for it, and it goes
on while the API restarts.
"""

from __future__ import annotations

import secrets
import time
from datetime import date
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from api import problems
from api.commands import derived
from api.identity import Principal
from api.identity.guards import operates
from api.problems import Problem
from api.resources.examples import AT, LATER
from api.resources.route import ALWAYS, read
from api.resources.trading import Key
from api.services import Services
from api.times import Instant, instant
from infra.research.jobs import Job
from infra.research.words import Wanted

MAX_BYTES = 32_768
DATASET = "^[a-z0-9][a-z0-9._-]{0,63}$"
WORD = "^[A-Za-z0-9_]{1,64}$"
SYMBOL = "^[A-Za-z0-9&_. -]{1,40}$"
ASKED = Request[Principal, Any, State]
#: Of the report: nothing runs, nothing is loaded, and only our own page may hold it in a frame.
REPORT_HEADERS = {
    "content-security-policy": (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'self'"
    ),
    "x-frame-options": "SAMEORIGIN",
    "cache-control": "private, no-cache",
}

Word = Annotated[str, Meta(pattern=WORD)]
Given = Annotated[dict[Word, float], Meta(max_length=64)]


class WantedBacktest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be traded again. No strategies: those of the run that read minutes. No symbols: all."""

    dataset: Annotated[str, Meta(pattern=DATASET)]
    strategies: Annotated[list[Word], Meta(max_length=8)] = []
    parameters: Annotated[dict[Word, Given], Meta(max_length=8)] = {}
    first: date | None = None
    last: date | None = None
    symbols: Annotated[list[Annotated[str, Meta(pattern=SYMBOL)]], Meta(max_length=200)] = []
    capital_rupees: Annotated[int, Meta(ge=10_000, le=1_000_000_000)] = 1_000_000


class BacktestAsked(msgspec.Struct, frozen=True):
    """It waits for its turn. `look_at` is where to see how far it is."""

    backtest_id: str
    look_at: str


class BacktestSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What it came to; the report has the rest. `left_out`: sessions and symbols that were not traded."""

    title: str
    sessions: int
    trades: int
    signals: int
    gross_paise: int
    charges_paise: int
    net_paise: int
    left_out: int


class BacktestRow(msgspec.Struct, frozen=True, kw_only=True):
    """One backtest. `state`: waiting | running | done | failed | cancelled | died (its process ended).

    `done` of `of` sessions; `doing` says at which it is; `why` it failed. `dataset` "" traded an upload.
    """

    backtest_id: str
    state: str
    doing: str
    done: int
    of: int
    why: str
    dataset: str
    strategies: list[str]
    parameters: dict[str, dict[str, float]]
    first: date | None
    last: date | None
    symbols: list[str]
    capital_rupees: int
    by: str
    asked: Instant
    began: Instant
    ended: Instant
    has_report: bool
    summary: BacktestSummary | None


class BacktestList(msgspec.Struct, frozen=True):
    """Newest first; the last two hundred are kept."""

    items: list[BacktestRow]


ID = "api-5f1f0c2a9d3b4c5e6f708192"
_ASKED = {"backtest_id": ID, "look_at": f"/api/v1/backtests/{ID}"}
_ROW = {
    "backtest_id": ID, "state": "done", "doing": "2016-11-15", "done": 62, "of": 62, "why": "",
    "dataset": "nse-2016", "strategies": ["ma_cross"], "parameters": {"ma_cross": {"fast": 5.0}},
    "first": "2016-08-17", "last": "2016-11-15", "symbols": [],
    "capital_rupees": 1_000_000, "by": "asha", "asked": AT, "began": AT, "ended": LATER, "has_report": True,
    "summary": {"title": "ma_cross on nse-2016@9f86d081884c", "sessions": 62, "trades": 410, "signals": 981,
                "gross_paise": 113_380, "charges_paise": 84_210, "net_paise": 29_170, "left_out": 0},
}  # fmt: skip


def asked_for(also: tuple[int, ...] = ()) -> dict[int, ResponseSpec]:
    """The responses of whatever begins a backtest."""
    shown = ResponseSpec(
        BacktestAsked,
        generate_examples=False,
        description="It waits for its turn",
        examples=[Example(value=_ASKED)],
    )
    return {202: shown, **problems.declared(*ALWAYS, 409, 413, 422, 503, *also)}


@post(
    "/backtests",
    operation_id="startBacktest",
    summary="Trade a dataset of bars again, in the background",
    status_code=202,
    guards=[operates],
    request_max_body_size=MAX_BYTES,
    responses=asked_for(),
)
async def start(
    request: ASKED,
    services: NamedDependency[Services],
    data: JSONBody[WantedBacktest],
    idempotency_key: Key = None,
) -> BacktestAsked:
    """One is made at a time, and eight wait at the most. 422 says what cannot be, before it is begun."""
    wanted = Wanted(
        **{name: getattr(data, name) for name in data.__struct_fields__},
        asked_by=request.user.name,
        asked_at=time.time_ns(),
    )
    return await begun(services, request.user, idempotency_key, wanted)


async def begun(
    services: Services, principal: Principal, key: str | None, wanted: Wanted, content: bytes = b""
) -> BacktestAsked:
    """Laid on the shelf, once for a key. Raises `Problem`: key_reused, and as `ResearchDesk.put`."""
    job_id = derived(principal, f"backtest {key}") if key is not None else f"api-{secrets.token_hex(12)}"
    laid = await services.research.put(job_id, wanted, content)
    if msgspec.structs.replace(laid, asked_at=0) != msgspec.structs.replace(wanted, asked_at=0):
        raise Problem("key_reused", "This Idempotency-Key was used for another backtest.")
    return BacktestAsked(job_id, f"/api/v1/backtests/{job_id}")


@read(
    "/backtests",
    operation_id="listBacktests",
    summary="Backtests that were asked for here, newest first",
    answers=BacktestList,
    example={"items": [_ROW]},
)
async def backtests(services: NamedDependency[Services]) -> BacktestList:
    return BacktestList([_row(each) for each in await services.research.jobs()])


@read(
    "/backtests/{backtest_id:str}",
    operation_id="getBacktest",
    summary="How far a backtest is, and what it came to",
    answers=BacktestRow,
    example=_ROW,
    also=(404,),
)
async def backtest(services: NamedDependency[Services], backtest_id: FromPath[str]) -> BacktestRow:
    return _row(await services.research.job(backtest_id))


@post(
    "/backtests/{backtest_id:str}/cancel",
    operation_id="cancelBacktest",
    summary="Begin it not, or end it after the session it is at",
    status_code=202,
    guards=[operates],
    request_max_body_size=MAX_BYTES,
    responses={
        202: ResponseSpec(
            BacktestAsked,
            generate_examples=False,
            description="It will end",
            examples=[Example(value=_ASKED)],
        ),
        **problems.declared(*ALWAYS, 404, 409),
    },
)
async def cancel(services: NamedDependency[Services], backtest_id: FromPath[str]) -> BacktestAsked:
    """409 when it is over already. What ran leaves no report."""
    job = await services.research.cancel(backtest_id)
    return BacktestAsked(job.job_id, f"/api/v1/backtests/{job.job_id}")


@get(
    "/backtests/{backtest_id:str}/report",
    operation_id="getBacktestReport",
    summary="Its report: one page that loads nothing and runs nothing",
    media_type="text/html; charset=utf-8",
    responses=problems.declared(*ALWAYS, 404),
)
async def report(services: NamedDependency[Services], backtest_id: FromPath[str]) -> Response[bytes]:
    page = await services.research.report(backtest_id)
    return Response(page, media_type="text/html; charset=utf-8", headers=REPORT_HEADERS)


def _row(job: Job) -> BacktestRow:
    wanted, told = job.wanted, job.told
    return BacktestRow(
        backtest_id=job.job_id,
        state=told.state,
        doing=told.doing,
        done=told.done,
        of=told.of,
        why=told.why,
        dataset=wanted.dataset,
        strategies=wanted.strategies,
        parameters=wanted.parameters,
        first=wanted.first,
        last=wanted.last,
        symbols=wanted.symbols,
        capital_rupees=wanted.capital_rupees,
        by=wanted.asked_by,
        asked=instant(wanted.asked_at),
        began=instant(told.began_at),
        ended=instant(told.ended_at),
        has_report=job.has_report,
        summary=None
        if told.summary is None
        else msgspec.convert(told.summary, BacktestSummary, from_attributes=True),
    )


ROUTES = (start, backtests, backtest, cancel, report)
