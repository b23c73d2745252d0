"""Which comes first: the take profit, the stop, or the end of patience?

Barriers lie on the tick grid, rounded against the trade: the take profit away from the entry, the stop too.
From the bar after the decision on, a bar's high or low that reaches a barrier ends the trade. A bar that
reaches both is the stop: inside a bar nobody knows the order. A bar that opens beyond the stop ends the trade
at its open, for a stop is no promise of a price; a take profit never earns more than its price.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import time

import numpy as np
import numpy.typing as npt

from kitepilot.kernels.compiled import kernel
from research.bars import MINUTE_NS, SessionBars
from research.labels.cost import Cost, FlatCost
from research.labels.port import NO_ROW, Labelled, carried_close, last_rows

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
BPS = 10_000.0
ALMOST = 1e-9  # of a tick: what floating point adds to a price that lies on the grid


@dataclass(frozen=True)
class TripleBarrier:
    """y = 1 when the trade that the barriers end has earned more than its cost.

    `take_profit` and `stop` are distances from the entry, the close of the decision's bar: in bps, or with
    `volatility_minutes` above 0 in multiples of the volatility of one horizon (root mean square of that many
    1 m returns before the decision, times the root of the horizon; no label before it is known).
    `square_off` (IST): a trade still open then ends at that close; without it a decision whose horizon does
    not fit into the session has no label.
    """

    take_profit: float = 30.0
    stop: float = 20.0
    minutes: int = 30
    volatility_minutes: int = 0
    square_off: time | None = None
    cost: Cost = field(default_factory=FlatCost)
    long: bool = True

    def __post_init__(self) -> None:
        if self.minutes < 1 or self.take_profit <= 0 or self.stop <= 0 or self.volatility_minutes < 0:
            raise ValueError("a triple barrier needs a horizon of at least 1 minute and distances above 0")

    @property
    def words(self) -> str:
        unit = f"volatilities of {self.volatility_minutes} min" if self.volatility_minutes else "bps"
        side = "a purchase" if self.long else "a short sale"
        end = f" or {self.square_off:%H:%M}" if self.square_off else ""
        return (
            f"{side} with take profit {self.take_profit:g}, stop {self.stop:g} {unit}, ended after "
            f"{self.minutes} min{end}, earns more than {self.cost.words()}"
        )

    def of(self, bars: SessionBars) -> Labelled:
        return self.of_sides(bars, np.full(bars.close.shape, 1 if self.long else -1, dtype=np.int64))

    def of_sides(self, bars: SessionBars, sides: Ints) -> Labelled:
        """Labels of trades on given sides: int64[m, n], 1 a purchase, -1 a short sale, 0 nothing."""
        closes = carried_close(bars)
        scale = np.ones(closes.shape)
        if self.volatility_minutes:
            scale = one_minute_volatility_bps(closes, self.volatility_minutes) * math.sqrt(self.minutes)
        end = np.full(closes.shape, NO_ROW)
        exit_paise = np.zeros(closes.shape, dtype=np.int64)
        _first_touch(
            (bars.open, bars.high, bars.low, closes),
            np.ascontiguousarray(bars.present),
            bars.tick_size_paise,
            last_rows(bars, self.minutes * MINUTE_NS, self.square_off),
            sides,
            scale * self.take_profit,
            scale * self.stop,
            end,
            exit_paise,
        )
        known = end != NO_ROW
        outcome = sides * (exit_paise - closes) / np.maximum(closes, 1) * BPS
        outcome = np.where(known, outcome - self.cost.bps_on(bars.session), np.nan)
        return Labelled(np.where(known, outcome > 0, np.nan), outcome, end)


def one_minute_volatility_bps(closes: Ints, minutes: int) -> Floats:
    """int64[m, n] carried closes -> float64[m, n]: root mean square of the last `minutes` 1 m returns.

    NaN until so many returns are known.
    """
    before = np.where(closes > 0, closes, 1)[:-1]
    returns = np.diff(closes, axis=0) / before * BPS
    squares = np.cumsum(np.where(closes[:-1] > 0, returns, 0.0) ** 2, axis=0)
    known = np.cumsum(closes[:-1] > 0, axis=0)
    found = np.full(closes.shape, np.nan)
    if len(closes) > minutes:
        older = np.vstack([np.zeros((1, closes.shape[1])), squares[:-minutes]])
        mean = np.maximum(squares[minutes - 1 :] - older, 0.0) / minutes
        found[minutes:] = np.where(known[minutes - 1 :] >= minutes, np.sqrt(mean), np.nan)
    return found


@kernel
def _barriers(entry: int, side: int, tick: int, take_bps: float, stop_bps: float) -> tuple[int, int]:
    """(take profit, stop) in paise on the tick grid, each rounded away from the entry."""
    take = entry * take_bps / BPS / tick
    stop = entry * stop_bps / BPS / tick
    up = entry / tick + (take if side > 0 else stop)
    down = entry / tick - (stop if side > 0 else take)
    above = math.ceil(up - ALMOST) * tick
    below = math.floor(down + ALMOST) * tick
    if side > 0:
        return above, below
    return below, above


@kernel
def _first_touch(
    prices: tuple[Ints, Ints, Ints, Ints],
    present: Flags,
    ticks: Ints,
    last: Ints,
    sides: Ints,
    take_bps: Floats,
    stop_bps: Floats,
    end: Ints,
    exit_paise: Ints,
) -> None:
    """`prices` are open, high, low, carried close. `end` and `exit_paise` int64[m, n] are filled in place."""
    opens, highs, lows, closes = prices
    for row in range(closes.shape[0]):
        if last[row] <= row:
            continue
        for j in range(closes.shape[1]):
            side, entry = sides[row, j], closes[row, j]
            distance_known = take_bps[row, j] > 0.0 and stop_bps[row, j] > 0.0
            if side == 0 or entry <= 0 or not distance_known:
                continue
            take, stop = _barriers(entry, side, max(ticks[j], 1), take_bps[row, j], stop_bps[row, j])
            end[row, j], exit_paise[row, j] = last[row], closes[last[row], j]
            for at in range(row + 1, last[row] + 1):
                if not present[at, j]:
                    continue
                worst = lows[at, j] if side > 0 else highs[at, j]
                best = highs[at, j] if side > 0 else lows[at, j]
                if side * (worst - stop) <= 0:
                    end[row, j] = at
                    exit_paise[row, j] = stop if side * (opens[at, j] - stop) > 0 else opens[at, j]
                    break
                if side * (best - take) >= 0:
                    end[row, j], exit_paise[row, j] = at, take
                    break
