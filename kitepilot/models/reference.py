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
from kitepilot.models.feature_drift import BLOCKS, counted, missing_share, stability
from kitepilot.models.port import Floats, Integers

BINS = 10
BLOCKS_A_DAY = 25  # quarter hours of 375 minutes
LEAST_LIMIT = 0.25
MARGIN = 2.0
MORE_MISSING = 0.1  # of the rows, above the most in any hour of training
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
    shares = counts[:, :-1] / np.maximum(counts[:, :-1].sum(axis=1, keepdims=True), 1)
    worst, most_missing = _worst_hours(shares, edges, days)
    missing = missing_share(counts)
    return {
        name: FeatureReference(
            edges=tuple(own[column].tolist()),
            shares=tuple(shares[column, : own[column].size + 1].tolist()),
            missing=float(missing[column]),
            limit=max(float(worst[column]), LEAST_LIMIT),
            missing_limit=min(float(most_missing[column]) + MORE_MISSING, 1.0),
        )
        for column, name in enumerate(features)
        if missing[column] < 1.0
    }


def _edges(seen: Floats) -> Floats:
    """Inner edges of bins with about equal shares; fewer where values repeat, none without a value."""
    if not seen.size:
        return seen
    return np.unique(np.quantile(seen, np.arange(1, BINS) / BINS, method="lower"))


def _worst_hours(then: Floats, edges: Floats, days: Iterable[Floats]) -> tuple[Floats, Floats]:
    """Of any hour of any day: the largest PSI against all rows, with its margin, and the most missing."""
    worst, most_missing, count = np.zeros(len(edges)), np.zeros(len(edges)), 0
    for day in days:
        count += 1
        blocks = [counted(each, edges) for each in np.array_split(day, BLOCKS_A_DAY)]
        for end in range(BLOCKS, BLOCKS_A_DAY + 1):
            hour: Integers = np.sum(blocks[end - BLOCKS : end], axis=0)
            worst = np.maximum(worst, stability(then, hour))
            most_missing = np.maximum(most_missing, missing_share(hour))
    return worst * MARGIN * max(1.0, ENOUGH_DAYS / max(count, 1)), most_missing
