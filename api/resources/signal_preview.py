"""POST signals: what the run's strategies would wish over bars that are sent; or a backtest of them."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    Example,
    OpenAPIFormat,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    RequestBody,
    Schema,
)
from litestar.params import QueryParameter

from api.identity import OPERATE, Principal
from api.problems import Problem
from api.resources.backtests import BacktestAsked, asked_for, begun
from api.resources.examples import AT
from api.resources.trading import Key
from api.services import Services
from api.times import Instant, instant
from infra.research import words
from infra.research.words import MOST_PREVIEW_BYTES, MOST_PREVIEW_ROWS, MOST_UPLOAD_BYTES, Wanted

ASKED = Request[Principal, Any, State]
TYPES = ("application/octet-stream", "text/csv", "application/vnd.apache.parquet")
Mode = Annotated[Literal["preview", "backtest"], QueryParameter(description="What is made of the bars.")]
Names = Annotated[
    list[str] | None,
    QueryParameter(max_items=8, description="Which strategies; without, those of the run that read minutes."),
]


@dataclass
class SendsAFile(Operation):
    """Says of the body what the framework cannot know: it is a file."""

    def __post_init__(self) -> None:
        file = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY))
        self.request_body = RequestBody(
            content={TYPES[0]: file}, required=True, description="CSV or Parquet, whatever the type says"
        )


class PreviewedSignal(msgspec.Struct, frozen=True, kw_only=True):
    """One wish. `side` null: leave what is held. `why`: the features its strategy reads, as they were.

    `verdict` of the risk engine: approved | denied (by `denial`) | none (it asked nothing of it).
    """

    at: Instant
    strategy: str
    tradingsymbol: str
    side: str | None
    strength: float
    last_paise: int
    horizon_s: int
    stop_bps: int
    take_profit_bps: int
    scores: dict[str, float]
    why: dict[str, float]
    verdict: str
    denial: str


class RefusedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row, counted from 1 without the head, and why it is no bar."""

    row: int
    tradingsymbol: str
    reason: str


class SignalPreview(msgspec.Struct, frozen=True, kw_only=True):
    """Signals oldest first, the newest five hundred of `signals_in_all`.

    `read_as`: how times were understood. `refused` and `cut_lines` are the first of each; `notes` say what
    could not be looked at.
    """

    strategies: list[str]
    sessions: list[date]
    bars: int
    rows: int
    refused_rows: int
    refused: list[RefusedRow]
    cut_lines: list[str]
    read_as: str
    signals: list[PreviewedSignal]
    signals_in_all: int
    denials: dict[str, int]
    notes: list[str]


_SIGNAL = {
    "at": AT, "strategy": "ma_cross", "tradingsymbol": "INFY", "side": "BUY", "strength": 0.5,
    "last_paise": 150_200, "horizon_s": 22_500, "stop_bps": 150, "take_profit_bps": 1_000, "scores": {},
    "why": {}, "verdict": "approved", "denial": "",
}  # fmt: skip
_EXAMPLE = {
    "strategies": ["ma_cross"], "sessions": ["2026-11-20"], "bars": 374, "rows": 375, "refused_rows": 1,
    "refused": [{"row": 17, "tradingsymbol": "INFY", "reason": "a value is missing or no number"}],
    "cut_lines": [], "read_as": "IST, each minute labelled by its start", "signals": [_SIGNAL],
    "signals_in_all": 1, "denials": {}, "notes": [],
}  # fmt: skip


@post(
    "/signals",
    operation_id="previewSignals",
    summary="What the strategies would wish over bars that are sent; or a backtest of them",
    status_code=200,
    operation_class=SendsAFile,
    request_max_body_size=MOST_UPLOAD_BYTES,
    responses={
        200: ResponseSpec(
            SignalPreview,
            generate_examples=False,
            description="The preview",
            examples=[Example(value=_EXAMPLE)],
        ),
        **asked_for((415,)),
    },
)
async def preview(
    request: ASKED,
    services: NamedDependency[Services],
    mode: Mode = "preview",
    strategy: Names = None,
    idempotency_key: Key = None,
) -> Response[SignalPreview | BacktestAsked]:
    """The body is a file of 1 m bars or recorded ticks as `kitepilot import` takes them: CSV or Parquet.

    Which of the two is seen from its first bytes. A preview takes 4 MiB and 4,000 rows, a backtest 16 MiB,
    500,000 rows and the right to operate; 422 names the rows that cannot be read. Nothing of a preview is
    kept.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in TYPES:
        raise Problem("unsupported_media_type", f"Send the file as {', '.join(TYPES)}.")
    content = await request.body()
    if mode == "backtest":
        asked = await _backtest(request, services, content, strategy or [], idempotency_key)
        return Response(asked, status_code=202)
    if len(content) > MOST_PREVIEW_BYTES:
        raise Problem(
            "too_large",
            f"A preview takes {MOST_PREVIEW_BYTES >> 20} MiB and {MOST_PREVIEW_ROWS:,} rows; "
            "mode=backtest takes more.",
        )
    answer = await services.research.ask(words.Preview(content, strategy or []))
    return Response(_shown(answer.preview), status_code=200)


async def _backtest(
    request: ASKED, services: Services, content: bytes, strategies: list[str], key: str | None
) -> BacktestAsked:
    if OPERATE not in request.user.rights:
        raise Problem("not_permitted", "A backtest asks for the right to operate.")
    wanted = Wanted(
        strategies=strategies,
        upload=hashlib.sha256(content).hexdigest(),
        asked_by=request.user.name,
        asked_at=time.time_ns(),
    )
    return await begun(services, request.user, key, wanted, content)


def _shown(told: words.PreviewTold | None) -> SignalPreview:
    if told is None:
        raise Problem("research_unreachable", "The research process answered something else.")
    rows = msgspec.to_builtins(told)
    for row, signal in zip(rows["signals"], told.signals, strict=True):
        row.pop("close_at")
        row["at"] = instant(signal.close_at)
    return msgspec.convert(rows, SignalPreview)


ROUTES = (preview,)
