"""What the data cannot say, in sentences: printed wherever a result is."""

from __future__ import annotations

import itertools
import math
from datetime import date, timedelta

from research.metrics import SESSIONS_A_YEAR, Metrics
from research.outcome import Outcome

WINDOW_GAP = timedelta(days=10)  # longer than any run of holidays: another window
ENOUGH_SESSIONS = 2 * SESSIONS_A_YEAR
SIGNIFICANT = 2.0


def windows(sessions: tuple[date, ...]) -> int:
    """How many stretches of neighbouring sessions there are.

    >>> windows((date(2016, 8, 1), date(2016, 8, 2), date(2021, 3, 1)))
    2
    """
    if not sessions:
        return 0
    return 1 + sum(later - earlier > WINDOW_GAP for earlier, later in itertools.pairwise(sessions))


def caveats(outcome: Outcome, metrics: Metrics) -> tuple[str, ...]:
    """Sentences, the most important first."""
    found = []
    count, stretches = len(outcome.sessions), windows(outcome.sessions)
    plural = "window" if stretches == 1 else "windows"
    if count < ENOUGH_SESSIONS:
        found.append(
            f"{count} sessions in {stretches} {plural} do not show an edge: they show how the strategy "
            "behaves, what it costs and whether the books add up."
        )
    else:
        found.append(f"{count} sessions in {stretches} {plural}; the next regime may be none of them.")
    if metrics.trades and math.isfinite(metrics.t_statistic):
        strength = (
            "could well be chance" if abs(metrics.t_statistic) < SIGNIFICANT else "is hard to get by chance"
        )
        found.append(
            f"A mean day this far from zero {strength} (t = {metrics.t_statistic:.1f} over {count} "
            "sessions), before counting how many strategies were tried."
        )
    if not metrics.trades:
        found.append("Nothing was traded: there is no result to speak of.")
    found += outcome.assumptions
    return tuple(found)
