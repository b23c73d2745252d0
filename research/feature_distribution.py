"""One feature over a source's sessions: how its values are spread, and what it did in one of them.

spread_of(source, "vol_15m") -> Spread      path_of(source, "vol_15m", day, "INFY") -> Path
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from research.bars import BarSource
from research.feature_rows import FEATURE_NAMES, features_of
from research.plots import INK, MARK, axes, svg_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Tell = Callable[[date], None]

MOST_VALUES = 400_000  # kept for the quantiles; beyond it every second one goes, again and again
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BINS = 48


@dataclass(frozen=True, eq=False)
class Spread:
    """Of the rows that have a bar. `quantiles` has a value for each of `QUANTILES`, NaN when all are missing.

    Attributes:
        rows: how many there are; `known` of them have a value.
        mean, deviation, least, most: of the known ones, exact; quantiles and `counts` are of an even sample.
        edges, counts: a histogram between the first and the last quantile, float64[b + 1] and int64[b].
    """

    rows: int
    known: int
    mean: float
    deviation: float
    least: float
    most: float
    quantiles: Floats
    edges: Floats
    counts: Ints


@dataclass(frozen=True, eq=False)
class Path:
    """One instrument's session: close_at int64[m] ns UTC and values float64[m], NaN where there is none."""

    session: date
    symbol: str
    close_at: Ints
    values: Floats


class _Sample:
    """An even sample of a long stream of values, in bounded memory, with exact moments."""

    def __init__(self) -> None:
        self._stride, self._kept, self._seen = 1, np.empty(0), 0
        self.total = self.squares = 0.0
        self.least, self.most = np.inf, -np.inf

    def take(self, values: Floats) -> None:
        offset = -self._seen % self._stride
        self._kept = np.concatenate((self._kept, values[offset :: self._stride]))
        self._seen += len(values)
        while len(self._kept) > MOST_VALUES:
            self._kept, self._stride = self._kept[::2], 2 * self._stride
        if len(values):
            self.total += float(values.sum())
            self.squares += float((values**2).sum())
            self.least, self.most = min(self.least, float(values.min())), max(self.most, float(values.max()))

    def spread(self, rows: int) -> Spread:
        known = self._seen
        if not known:
            nothing = np.full(len(QUANTILES), np.nan)
            edges, counts = np.full(BINS + 1, np.nan), np.zeros(BINS, dtype=np.int64)
            return Spread(rows, 0, np.nan, np.nan, np.nan, np.nan, nothing, edges, counts)
        quantiles = np.quantile(self._kept, QUANTILES)
        low, high = float(quantiles[0]), float(quantiles[-1])
        counts, edges = np.histogram(self._kept, BINS, (low, high if high > low else low + 1.0))
        mean = self.total / known
        deviation = max(self.squares / known - mean**2, 0.0) ** 0.5
        return Spread(rows, known, mean, deviation, self.least, self.most, quantiles, edges, counts)


def spread_of(source: BarSource, feature: str, tell: Tell = lambda _: None) -> Spread:
    """All sessions of the source, one in memory at a time. Raises `ValueError` for no such feature."""
    column, sample, rows = FEATURE_NAMES.index(feature), _Sample(), 0
    for bars, values in features_of(source):
        mine = values[:, :, column][bars.present]
        rows += len(mine)
        sample.take(mine[~np.isnan(mine)])
        tell(bars.session)
    return sample.spread(rows)


def path_of(source: BarSource, feature: str, session: date, symbol: str | None) -> Path:
    """One instrument's session; without a symbol that of the first.

    Raises:
        LookupError: the source has no such session, or the session no such symbol; says which there are.
    """
    ((bars, values),) = features_of(source, [session])
    chosen = symbol or bars.symbols[0]
    if chosen not in bars.symbols:
        raise LookupError(f"{session} has no {chosen}; there are {', '.join(bars.symbols[:8])}, ...")
    column = values[:, bars.symbols.index(chosen), FEATURE_NAMES.index(feature)]
    return Path(session, chosen, bars.close_at, column.copy())


def drawn(feature: str, unit: str, spread: Spread, path: Path | None) -> str:
    """SVG: the histogram, or with a path what the feature did in that session."""
    if path is not None:
        minutes = (path.close_at - path.close_at[0]) / 60e9 + 1
        with axes(7.2, 2.6, ylabel=unit) as (figure, ax):
            ax.plot(minutes, path.values, color=INK, linewidth=1.0)
            ax.set_title(f"{feature}, {path.symbol}, {path.session}")
            ax.set_xlabel("minutes of the session")
        return svg_of(figure, f"{feature} of {path.symbol} on {path.session}")
    with axes(7.2, 2.6, ylabel="rows") as (figure, ax):
        middle = (spread.edges[1:] + spread.edges[:-1]) / 2
        ax.bar(middle, spread.counts, width=np.diff(spread.edges), color=MARK)
        ax.set_title(f"{feature}: from the 1 % to the 99 % quantile")
        ax.set_xlabel(unit)
    return svg_of(figure, f"how {feature} is spread")
