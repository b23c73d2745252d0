"""What a backtest came to, in one shape for every engine: the report, the sweep and the gates read this."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Trade:
    """One round trip, flat to flat. Amounts in paise, times ns UTC, quantities in shares.

    `slippage_paise` is what both sides paid against the price they were decided on (a cost is positive), and
    is part of `gross_paise`; `charges_paise` is not. `entry_paise`, `exit_paise` are values, not prices.
    """

    session: date
    tradingsymbol: str
    strategy: str
    long: bool
    quantity: int
    opened_at: int
    closed_at: int
    entry_paise: int
    exit_paise: int
    gross_paise: int
    charges_paise: int
    slippage_paise: int
    exit_reason: str  # signal | stop | take_profit | horizon | square_off | cap | ...

    @property
    def net_paise(self) -> int:
        return self.gross_paise - self.charges_paise


@dataclass(frozen=True, eq=False)
class Curve:
    """The account minute by minute, all sessions in order. int64[k] each; P&L in paise since the first."""

    at: Ints
    gross_paise: Ints
    net_paise: Ints
    exposure_paise: Ints  # sum of absolute position values
    positions: Ints


@dataclass(frozen=True)
class Outcome:
    """A backtest's result. `trades` are in order of closing; every amount can be summed from them.

    Attributes:
        name: of the strategy (or of several, joined by "+"); `parameters` by strategy.
        data: the source's name, its content hash included; `sessions` those that were traded.
        engine: which engine made it and how exact it is.
        charges: paise by line of the contract note (brokerage, stt, ...); sums to the trades' charges.
        assumptions: what had to be assumed (no depth, modelled impact, ...), a sentence each, with counts.
        left_out: sessions and symbols that could not be traded, each with its reason.
        folds: session -> fold number, where the result is a walk-forward's.
    """

    name: str
    parameters: dict[str, dict[str, float]]
    data: str
    sessions: tuple[date, ...]
    engine: str
    capital_paise: int
    trades: tuple[Trade, ...]
    curve: Curve
    charges: dict[str, int]
    denials: dict[str, int]
    signals: int
    config_hash: str = ""
    model_ids: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    folds: dict[date, int] = field(default_factory=dict)

    @property
    def gross_paise(self) -> int:
        return sum(trade.gross_paise for trade in self.trades)

    @property
    def charges_paise(self) -> int:
        return sum(trade.charges_paise for trade in self.trades)

    @property
    def net_paise(self) -> int:
        return self.gross_paise - self.charges_paise
