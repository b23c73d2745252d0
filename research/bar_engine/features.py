"""The features of a session of bars, by the live kernels: what ticks alone can say stays NaN."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from kitepilot.strategies.port import Strategy, reads_of
from research.bar_engine.plan import FeatureColumns
from research.bars import SessionBars
from research.feature_rows import FEATURE_NAMES, features_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
SPREAD = "spread"


def bar_features() -> FeatureColumns:
    """All features that strategies know, of bars alone."""
    return FeatureColumns(FEATURE_NAMES, rows_of)


def rows_of(bars: SessionBars) -> Floats:
    """float64[m, n, F] over `FEATURE_NAMES`."""
    ((_, rows),) = features_of(_One(bars))
    return rows


@dataclass(frozen=True)
class _One:
    """A source of one session that is in memory."""

    bars: SessionBars

    @property
    def name(self) -> str:
        return f"{self.bars.session}"

    @property
    def sessions(self) -> Sequence[date]:
        return (self.bars.session,)

    def read(self, session: date) -> SessionBars:
        if session != self.bars.session:
            raise LookupError(f"{self.name} is not {session}")
        return self.bars


def with_modelled_spread(rows: Floats, names: Sequence[str], bid: Ints, ask: Ints) -> Floats:
    """The column `spread` (bps of the middle) is that of the modelled touch where nothing measured it."""
    if SPREAD in names:
        column = rows[:, :, names.index(SPREAD)]
        with np.errstate(divide="ignore", invalid="ignore"):
            modelled = (ask - bid) / ((ask + bid) / 2) * 10_000.0
        column[:] = np.where(np.isnan(column), modelled, column)
    return rows


def note_what_is_missing(
    rows: Floats,
    names: Sequence[str],
    strategies: Mapping[str, Strategy],
    noted: Counter[str],
    scores: Mapping[str, Floats] | None = None,
) -> None:
    """Count, by strategy, sessions in which features it reads are nowhere known, or scores it rests on."""
    for name, strategy in strategies.items():
        reads = [feature for feature in reads_of(strategy) if feature in names]
        gone = [feature for feature in reads if np.isnan(rows[:, :, names.index(feature)]).all()]
        if gone:
            noted[f"{name} reads {', '.join(gone)}: bars do not give that; sessions without it"] += 1
        if (rests_on := getattr(strategy, "rests_on", ())) and not set(rests_on) <= set(scores or ()):
            noted[
                f"{name} rests on scores ({', '.join(rests_on)}) and none are made over bars: backtest it on "
                "recorded ticks; sessions without it"
            ] += 1
