"""GET datasets and strategies: what a backtest can be made of."""

from __future__ import annotations

from datetime import date

import msgspec
from litestar.di import NamedDependency

from api.resources.route import read
from api.services import Services
from infra.research import words


class DatasetRow(msgspec.Struct, frozen=True, kw_only=True):
    """One dataset of 1 m bars. `prices`: raw | adjusted | unknown. `symbols`: the first thousand by name."""

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


class DatasetList(msgspec.Struct, frozen=True):
    """By name."""

    items: list[DatasetRow]


class ParameterRow(msgspec.Struct, frozen=True, kw_only=True):
    """One number a strategy may be given, `low` to `high`, both allowed."""

    name: str
    default: float
    low: float
    high: float
    meaning: str


class StrategyRow(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy. `enabled`: in the run that is up. `trouble`: why it cannot be loaded.

    `interval_s`: which bars it reads; a dataset has those of 60 s. `parameters` are empty where it declares
    none.
    """

    name: str
    origin: str
    says: str
    enabled: bool
    trouble: str
    interval_s: int
    parameters: list[ParameterRow]


class StrategyList(msgspec.Struct, frozen=True):
    """By name, the installed ones first."""

    items: list[StrategyRow]


_DATASET = {
    "name": "nse-2016", "sha256": "9f86d081884c7d65", "bars": 1_234_567, "refused": 3, "sessions": 62,
    "first": "2016-08-16", "last": "2016-11-15", "prices": "raw", "symbol_count": 50,
    "symbols": ["INFY", "TCS"],
}  # fmt: skip
_STRATEGY = {
    "name": "ma_cross", "origin": "installed", "says": "Moving-average cross.", "enabled": True,
    "trouble": "", "interval_s": 60,
    "parameters": [{"name": "fast", "default": 10.0, "low": 1.0, "high": 200.0,
                    "meaning": "span of the fast average, minutes"}],
}  # fmt: skip


@read(
    "/datasets",
    operation_id="listDatasets",
    summary="Datasets of this home, by name",
    answers=DatasetList,
    example={"items": [_DATASET]},
    also=(422, 503),
)
async def datasets(services: NamedDependency[Services]) -> DatasetList:
    """Made by `kitepilot import`."""
    answer = await services.research.ask(words.Datasets())
    return msgspec.convert({"items": answer.datasets or []}, DatasetList, from_attributes=True)


@read(
    "/strategies",
    operation_id="listStrategies",
    summary="Strategies that could trade, and what each may be given",
    answers=StrategyList,
    example={"items": [_STRATEGY]},
    also=(422, 503),
)
async def strategies(services: NamedDependency[Services]) -> StrategyList:
    """Installed ones, and files in the home's folder `strategies`."""
    answer = await services.research.ask(words.Strategies())
    return msgspec.convert({"items": answer.strategies or []}, StrategyList, from_attributes=True)


ROUTES = (datasets, strategies)
