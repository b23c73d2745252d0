"""A strategy's twin for research: its wishes over a whole session at once, for many parameter sets a second.

The twin must wish exactly what a new instance wishes when `on_close` is called close by close; `unlike` says
where it does not. A sweep takes only strategies that have one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from kitepilot.events import Side
from kitepilot.kernels.crossing import BUY, LEAVE, NONE, SELL
from kitepilot.strategies.port import Floats, Integers, MarketView, Strategy

Marks = npt.NDArray[np.int8]
#: What a mark in a twin's answer means; 0 is no wish.
SIDES: dict[int, Side | None] = {BUY: Side.BUY, SELL: Side.SELL, LEAVE: None}


@dataclass(frozen=True)
class SessionView:
    """All n instruments at all m minute closes of a session.

    `last_paise` int64[m, n] is the last price known at each close, 0 before the first; `features`
    float64[m, n, F] has its columns named by `names`. Nothing here may be written to.
    """

    close_at: Integers
    tokens: Integers
    tradingsymbols: tuple[str, ...]
    names: tuple[str, ...]
    features: Floats
    last_paise: Integers

    def at(self, minute: int) -> MarketView:
        """What `on_close` sees at one of them: no scores, and no book."""
        nothing = np.zeros(len(self.tokens), dtype=np.int64)
        return MarketView(
            interval_s=60,
            close_at=int(self.close_at[minute]),
            tokens=self.tokens,
            tradingsymbols=self.tradingsymbols,
            names=self.names,
            features=self.features[minute],
            scores={},
            last_paise=self.last_paise[minute],
            bid_paise=nothing,
            ask_paise=nothing,
        )


@dataclass(frozen=True)
class SessionWishes:
    """`side` int8[m, n]: 1 buy, -1 sell, 2 leave, 0 nothing. Every entry has the same plan to end."""

    side: Marks
    horizon_s: int
    stop_bps: int
    take_profit_bps: int


@runtime_checkable
class Twinned(Strategy, Protocol):
    """A 1 m strategy with a twin."""

    def over_session(self, view: SessionView) -> SessionWishes:
        """What a new instance with these parameters would wish, close by close. Changes nothing."""
        ...


def unlike(strategy: Twinned, view: SessionView) -> str:
    """Where the twin and `on_close` of a new instance wish differently first, "" when nowhere."""
    twin = strategy.over_session(view)
    plan = (twin.horizon_s, twin.stop_bps, twin.take_profit_bps)
    for minute in range(len(view.close_at)):
        spoken = np.zeros(len(view.tokens), dtype=np.int8)
        for wish in strategy.on_close(view.at(minute)):
            if spoken[wish.row] != NONE:
                return f"close {minute}, {view.tradingsymbols[wish.row]}: two wishes at one close"
            spoken[wish.row] = LEAVE if wish.side is None else wish.side.sign
            if wish.side is not None and (wish.horizon_s, wish.stop_bps, wish.take_profit_bps) != plan:
                return f"close {minute}, {view.tradingsymbols[wish.row]}: its end is not the twin's {plan}"
        if rows := np.flatnonzero(spoken != twin.side[minute]).tolist():
            row = rows[0]
            return (
                f"close {minute}, {view.tradingsymbols[row]}: on_close {spoken[row]}, "
                f"twin {twin.side[minute, row]}"
            )
    return ""
