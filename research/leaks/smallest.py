"""A value that changes when later bars arrive, made as small as it gets: fewest bars, fewest instruments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from research.bars import SessionBars
from research.leaks.altered import cut, instruments, minutes
from research.leaks.comparing import Place, different, value
from research.leaks.subjects import Features


@dataclass(frozen=True)
class SmallestCut:
    """The value of one row: `early` with `shown` minutes known, `late` with `needs`, where it stays.

    `bars` x `columns` is the smallest session in which it was still seen, beginning at row `first`.
    """

    shown: int
    needs: int
    early: float
    late: float
    first: int
    columns: tuple[int, ...]
    row: int

    def line(self, name: str) -> str:
        """One line that shows it again."""
        n = len(self.columns)
        j = 0 if n == 1 else "j"
        bars = "bars" if n > 1 else f"instruments(bars, [{self.columns[0]}])"
        row = self.row - self.first
        first, last = self.shown - self.first, self.needs - self.first
        begun = f"minutes({bars}, {self.first}, {self.needs})" if self.first else bars
        return (
            f"b = {begun}; {name}(cut(b, {first}))[{row}, {j}] is {value(self.early)}, "
            f"{name}(cut(b, {last}))[{row}, {j}] is {value(self.late)}"
        )


def smallest_cut(features: Features, sessions: Sequence[SessionBars], at: Place, shown: int) -> SmallestCut:
    """`at` has one value with `shown` minutes known and another in the whole session."""
    *before, bars = sessions
    columns, earlier, first = tuple(range(len(bars.symbols))), list(before), 0
    needs = _needs(features, earlier, bars, at, shown)
    if _still(features, [], bars, at, shown, needs):
        earlier = []
        alone = instruments(bars, [at.j])
        if _still(features, [], alone, at._replace(j=0), shown, needs):
            columns = (at.j,)
            first = _latest_start(features, alone, at._replace(j=0), shown, needs)
    seen, j = bars, at.j
    if len(columns) == 1:
        seen, j = minutes(instruments(bars, columns), first, len(bars.close_at)), 0
    row = at.row - first
    early = _value(features, earlier, cut(seen, shown - first), row, j, at.feature)
    late = _value(features, earlier, cut(seen, needs - first), row, j, at.feature)
    return SmallestCut(shown, needs, early, late, first, columns, at.row)


def _value(
    features: Features, before: Sequence[SessionBars], bars: SessionBars, row: int, j: int, feature: int
) -> float:
    return float(features.compute([*before, bars])[-1][row, j, feature])


def _needs(
    features: Features, before: Sequence[SessionBars], bars: SessionBars, at: Place, shown: int
) -> int:
    """The fewest minutes after which the value is the whole session's for good."""
    length = len(bars.close_at)
    whole = np.full((1, 1, 1), _value(features, before, bars, at.row, at.j, at.feature))
    needs = length
    for known in range(length - 1, shown - 1, -1):
        now = np.full((1, 1, 1), _value(features, before, cut(bars, known), at.row, at.j, at.feature))
        if different(now, whole, exact=features.exact).any():
            break
        needs = known
    return needs


def _still(
    features: Features,
    before: Sequence[SessionBars],
    bars: SessionBars,
    at: Place,
    shown: int,
    needs: int,
) -> bool:
    """Whether the value differs between `shown` and `needs` minutes of these bars."""
    try:
        early = _value(features, before, cut(bars, shown), at.row, at.j, at.feature)
        late = _value(features, before, cut(bars, needs), at.row, at.j, at.feature)
    except Exception:  # what is on trial may not like so few bars
        return False
    apart = different(np.full((1, 1, 1), early), np.full((1, 1, 1), late), exact=features.exact)
    return bool(apart.any())


def _latest_start(features: Features, bars: SessionBars, at: Place, shown: int, needs: int) -> int:
    """The latest first minute with which it is still seen, by halving."""
    kept, tried = 0, at.row
    while tried > kept:
        later = minutes(bars, tried, len(bars.close_at))
        if _still(features, [], later, at._replace(row=at.row - tried), shown - tried, needs - tried):
            kept, tried = tried, at.row
        else:
            tried = (kept + tried) // 2
        if tried == kept:
            break
    return kept
