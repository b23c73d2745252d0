"""What is asked of the research process, and what it answers. msgpack on the pipe, tagged by `ask`."""

from __future__ import annotations

from datetime import date

import msgspec

MOST_PREVIEW_BYTES = 4 << 20
MOST_PREVIEW_ROWS = 4_000  # ten instruments for a day of minutes
MOST_UPLOAD_BYTES = 16 << 20
MOST_UPLOAD_ROWS = 500_000
MOST_ANSWER_BYTES = 64 << 20


class Datasets(msgspec.Struct, frozen=True, tag_field="ask", tag="datasets"):
    """Which datasets does the home have?"""


class Strategies(msgspec.Struct, frozen=True, tag_field="ask", tag="strategies"):
    """Which strategies could trade bars, and what may they be given?"""


class Preview(msgspec.Struct, frozen=True, tag_field="ask", tag="preview"):
    """What would these strategies wish over these bars? None named: those of the run that read minutes."""

    content: bytes
    strategies: list[str] = []


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A backtest. `dataset` "" trades the bars that were sent with it. No strategies: those of the run.

    `parameters` by strategy; `symbols` empty: all. `upload`: SHA-256 of the bars that were sent. `asked_at`
    ns of the machine's clock.
    """

    dataset: str = ""
    strategies: list[str] = []
    parameters: dict[str, dict[str, float]] = {}
    first: date | None = None
    last: date | None = None
    symbols: list[str] = []
    capital_rupees: int = 1_000_000
    upload: str = ""
    asked_by: str = ""
    asked_at: int = 0


class Check(msgspec.Struct, frozen=True, tag_field="ask", tag="check"):
    """Could this backtest be made? `content`: the bars that go with it."""

    wanted: Wanted
    content: bytes = b""


Question = Datasets | Strategies | Preview | Check


class DatasetRow(msgspec.Struct, frozen=True, kw_only=True):
    """One dataset. `prices`: raw, adjusted or unknown. `symbols`: the first thousand by name."""

    name: str
    sha256: str
    bars: int
    refused: int
    sessions: int
    first: date
    last: date
    prices: str
    symbol_count: int
    symbols: list[str]


class ParameterRow(msgspec.Struct, frozen=True):
    """One number a strategy may be given, `low` to `high`."""

    name: str
    default: float
    low: float
    high: float
    meaning: str


class StrategyRow(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy. `trouble`: why it cannot be loaded. `interval_s` 60: it can trade a dataset; 0: unknown.

    `parameters` are empty where a strategy does not declare them.
    """

    name: str
    origin: str
    says: str
    enabled: bool
    trouble: str
    interval_s: int
    parameters: list[ParameterRow]


class SignalTold(msgspec.Struct, frozen=True, kw_only=True):
    """One wish. `close_at` ns UTC; `side` None: leave what is held; `verdict`: approved | denied | none."""

    close_at: int
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


class RefusedTold(msgspec.Struct, frozen=True):
    """A row, counted from 1 without the head, and why it is no bar."""

    row: int
    tradingsymbol: str
    reason: str


class PreviewTold(msgspec.Struct, frozen=True, kw_only=True):
    """See `research.signal_preview.Preview`. `read_as`: zone and labels, in words."""

    strategies: list[str]
    sessions: list[date]
    bars: int
    rows: int
    refused_rows: int
    refused: list[RefusedTold]
    cut_lines: list[str]
    read_as: str
    signals: list[SignalTold]
    signals_in_all: int
    denials: dict[str, int]
    notes: list[str]


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """It cannot be done: why, and the first rows and lines that are at fault."""

    detail: str
    refused: list[RefusedTold] = []
    cut_lines: list[str] = []


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One of them is there. `fine`: the check found nothing."""

    datasets: list[DatasetRow] | None = None
    strategies: list[StrategyRow] | None = None
    preview: PreviewTold | None = None
    fine: bool = False
    refusal: Refusal | None = None
