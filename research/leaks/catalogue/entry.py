"""One entry of the catalogue: a mistake people make, or an honest thing that looks like one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from research.bars import SessionBars
from research.labels import FixedHorizon
from research.leaks.gate import Trial
from research.leaks.proving_ground import proving_sessions
from research.leaks.subjects import FeatureFunction, of_function

Floats = npt.NDArray[np.float64]
HORIZON_MIN = 5


@dataclass(frozen=True)
class Entry:
    """`trial` makes what is judged from a seed. `caught_by` are the checks of which one must fail; an honest
    entry has none, and every check must pass."""

    name: str
    says: str
    trial: Callable[[int], Trial]
    caught_by: frozenset[str] = frozenset()


def feature(function: FeatureFunction, says: str, *caught_by: str, sessions: int = 3) -> Entry:
    """An entry for one function of a session's bars, judged with a label of five minutes."""

    def trial(seed: int) -> Trial:
        bars = proving_sessions(seed, sessions)
        return Trial(bars, of_function(function), FixedHorizon(HORIZON_MIN))

    return Entry(function.__name__, says, trial, frozenset(caught_by))


def price(bars: SessionBars) -> Floats:
    """Closes as float64[m, n], NaN where there is no bar."""
    return np.where(bars.present, bars.close, np.nan)


def back(values: Floats, minutes: int) -> Floats:
    """The values `minutes` earlier; a negative number looks ahead. NaN beyond the session."""
    found = np.full(values.shape, np.nan)
    if minutes > 0:
        found[minutes:] = values[:-minutes]
    else:
        found[:minutes] = values[-minutes:]
    return found


def filled(values: Floats) -> Floats:
    """The last value known, carried on."""
    row = np.where(np.isfinite(values), np.arange(len(values))[:, None], 0)
    return np.take_along_axis(values, np.maximum.accumulate(row, axis=0), axis=0)


def rolling(values: Floats, minutes: int) -> Floats:
    """[m, n] -> [m, n, minutes]: the window that ends at each minute, NaN-padded at the session's start."""
    padded = np.concatenate([np.full((minutes - 1, *values.shape[1:]), np.nan), values])
    return np.lib.stride_tricks.sliding_window_view(padded, minutes, axis=0)
