"""What a label is: bars of one session in, an outcome for every decision out. It never leaves its session."""

from __future__ import annotations

from datetime import datetime, time
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from kitepilot.market.calendar import IST
from research.bars import SessionBars

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
NO_ROW = -1


class Labelled(NamedTuple):
    """A session's labels; row i is the decision at the close of minute i.

    Attributes:
        y: float64[m, n], 1 or 0, NaN where there is no label.
        outcome_bps: float64[m, n], what acting at that close earned after costs, NaN where there is no label.
        end: int64[m, n], the row of the last bar the label looks at, -1 where there is no label.
    """

    y: Floats
    outcome_bps: Floats
    end: Ints


class Label(Protocol):
    """Stateless: the same bars give the same labels."""

    @property
    def words(self) -> str:
        """What y = 1 means; part of a model's card."""
        ...

    def of(self, bars: SessionBars) -> Labelled: ...


def carried_close(bars: SessionBars) -> Ints:
    """int64[m, n]: the newest close known at each minute, 0 before the instrument's first bar."""
    row = np.where(bars.present, np.arange(len(bars.close_at))[:, None], 0)
    return np.take_along_axis(bars.close, np.maximum.accumulate(row, axis=0), axis=0)


def rows_at(close_at: Ints, wanted: Ints) -> Ints:
    """int64[m], int64[k] -> int64[k]: the row that closes at each wanted time, -1 where none does."""
    if not len(close_at):
        return np.full(len(wanted), NO_ROW)
    row = np.minimum(np.searchsorted(close_at, wanted), len(close_at) - 1)
    return np.where(close_at[row] == wanted, row, NO_ROW)


def last_rows(bars: SessionBars, horizon_ns: int, square_off: time | None) -> Ints:
    """int64[m]: the last row a decision at each row may look at, -1 where its horizon does not fit.

    Without `square_off` (IST) the whole horizon must lie in the session. With it a horizon that would go
    beyond ends there, and nothing is decided from there on.
    """
    close_at = bars.close_at
    if not len(close_at):
        return np.empty(0, dtype=np.int64)
    until = close_at + horizon_ns
    open_end = close_at[-1]
    if square_off is not None:
        moment = datetime.combine(bars.session, square_off, IST)
        open_end = min(open_end, np.int64(int(moment.timestamp()) * 1_000_000_000))
        until = np.minimum(until, open_end)
    row = np.searchsorted(close_at, until, side="right") - 1
    fits = (until <= open_end) & (row > np.arange(len(close_at)))
    return np.where(fits, row, NO_ROW)
