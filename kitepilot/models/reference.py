"""Training rows -> how each feature was spread in them, and from which PSI an hour of it counts as shifted.

The usual limit of 0.25 is made for independent rows. An hour of fifty instruments is not that: they share the
market's move, and some features (minutes since the open) differ from hour to hour by their nature. So each
feature's limit is learned: twice the worst hour of any training day against all training days together, more
than twice where the days are few, and 0.25 at least. What wanders in training may wander; a shift is larger.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from kitepilot.models.card import FeatureReference
from kitepilot.models.feature_drift import BLOCKS, counted, stability
from kitepilot.models.port import Floats

BINS = 10
BLOCKS_A_DAY = 25  # quarter hours of 375 minutes
LEAST_LIMIT = 0.25
MARGIN = 2.0
ENOUGH_DAYS = 8  # fewer have seen too little to know how bad an hour can be: the margin grows in proportion


def references_of(
    features: Sequence[str], rows: Floats, days: Iterable[Floats]
) -> dict[str, FeatureReference]:
    """How each feature was spread over the training days.

    `rows`: an even sample of them or all, float64[m, F], NaN for missing. `days` are those days' rows in time
    order, float64[r, F] each, read one after the other. A feature without a value in `rows` has none.
    """
    own = [_edges(values[np.isfinite(values)]) for values in rows.T]
    edges = np.full((len(own), BINS - 1), np.inf)
    for column, each in enumerate(own):
        edges[column, : each.size] = each
    counts = counted(rows, edges)
    shares = counts / len(rows)
    limits = np.maximum(_worst_hour(shares, edges, days), LEAST_LIMIT)
    found = {}
    for column, name in enumerate(features):
        missing = float(shares[column, -1])
        if missing < 1.0:
            bins = shares[column, : own[column].size + 1] / (1.0 - missing)
            found[name] = FeatureReference(
                edges=tuple(own[column].tolist()),
                shares=tuple(bins.tolist()),
                missing=missing,
                limit=float(limits[column]),
            )
    return found


def _edges(seen: Floats) -> Floats:
    """Inner edges of bins with about equal shares; fewer where values repeat, none without a value."""
    if not seen.size:
        return seen
    return np.unique(np.quantile(seen, np.arange(1, BINS) / BINS, method="lower"))


def _worst_hour(then: Floats, edges: Floats, days: Iterable[Floats]) -> Floats:
    """The largest PSI of any hour of any day against all rows, float64[F], with its margin."""
    worst, count = np.zeros(len(edges)), 0
    for day in days:
        count += 1
        blocks = [counted(each, edges) for each in np.array_split(day, BLOCKS_A_DAY)]
        for end in range(BLOCKS, BLOCKS_A_DAY + 1):
            worst = np.maximum(worst, stability(then, np.sum(blocks[end - BLOCKS : end], axis=0)))
    return worst * MARGIN * max(1.0, ENOUGH_DAYS / max(count, 1))
