"""How good scores are on rows their model never saw: as an order, as probabilities, and as money.

A measure that cannot be taken (one kind of label only, no action) is absent.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kitepilot.models.training import auc
from research.bars import MINUTE_NS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

BINS = 10
BEST_SHARE = 50  # the best 2 %
DRAWS = 2_000
DIGITS = 6


class Scored(NamedTuple):
    """Rows with a score, in order of decision: `score` in 0..1, `y` 0 or 1, the rest as in `Examples`."""

    score: Floats
    y: Floats
    outcome_bps: Floats
    decided_at: Ints
    matured_at: Ints
    token: Ints
    session: Ints

    def take(self, rows: Any) -> Scored:
        return Scored(*(column[rows] for column in self))


def measured(rows: Scored) -> dict[str, float]:
    """auc, log_loss, brier, brier_base (of always saying the base rate), ece, base_rate, hit rate and mean
    outcome (bps after costs) of the best 2 %, rows."""
    found: dict[str, float] = {"rows": float(len(rows.y))}
    if not len(rows.y):
        return found
    y, p = rows.y, np.clip(rows.score, 1e-9, 1 - 1e-9)
    base = float(y.mean())
    best = np.argsort(-p, kind="stable")[: max(1, len(p) // BEST_SHARE)]
    found |= {
        "auc": auc(y > 0.5, p),
        "log_loss": log_loss(y, p),
        "brier": float(((p - y) ** 2).mean()),
        "brier_base": base * (1.0 - base),
        "ece": calibration_error(y, p),
        "base_rate": base,
        "hit_rate_best_2pc": float(y[best].mean()),
        "net_bps_best_2pc": float(rows.outcome_bps[best].mean()),
    }
    return rounded(found)


def log_loss(y: Floats, p: Floats, weight: Floats | None = None) -> float:
    """Mean of -log of what was said of what happened; `p` strictly between 0 and 1."""
    losses = -np.where(y > 0.5, np.log(p), np.log1p(-p))
    return float(np.average(losses, weights=weight))


def reliability(y: Floats, p: Floats) -> list[dict[str, float]]:
    """Ten bins of equally many rows, by score: what was said, what happened, and how many rows."""
    order = np.argsort(p, kind="stable")
    bins = [part for part in np.array_split(order, BINS) if part.size]
    told = ({"said": float(p[b].mean()), "true": float(y[b].mean()), "rows": float(b.size)} for b in bins)
    return [rounded(each) for each in told]


def calibration_error(y: Floats, p: Floats) -> float:
    """ECE: mean gap between said and true share over the bins of `reliability`, weighted by rows."""
    return sum(b["rows"] * abs(b["said"] - b["true"]) for b in reliability(y, p)) / len(y)


def acting(rows: Scored, threshold: float) -> Flags:
    """Which rows would have been traded: at or above the threshold, one position a token at a time.

    A token that is in a trade is not bought again before that trade's label has matured.
    """
    acts = np.zeros(len(rows.score), dtype=bool)
    busy: dict[int, int] = {}
    for row in np.flatnonzero(rows.score >= threshold):
        token = int(rows.token[row])
        if int(rows.decided_at[row]) >= busy.get(token, 0):
            acts[row] = True
            busy[token] = int(rows.matured_at[row])
    return acts


def paid(rows: Scored, acts: Flags) -> dict[str, float]:
    """trades, and where there is one: net_bps (mean after costs), net_bps_sum, hit_rate of the trades, and
    net_bps_late, the mean of the same trades decided a minute later (those that have such a row).

    A profit that is gone a minute later lay in the very price it was decided on: a close at the bid that the
    next trade at the ask undoes. Nobody gets that price.
    """
    found: dict[str, float] = {"trades": float(acts.sum())}
    if acts.any():
        net = rows.outcome_bps[acts]
        found |= {
            "net_bps": float(net.mean()),
            "net_bps_sum": float(net.sum()),
            "hit_rate": float(rows.y[acts].mean()),
        }
        late = a_minute_later(rows)[acts]
        late = late[np.isfinite(late)]
        if late.size:
            found["net_bps_late"] = float(late.mean())
    return rounded(found)


def a_minute_later(rows: Scored) -> Floats:
    """float64[r]: the outcome of the same token's row one minute on, NaN where there is none."""
    order = np.lexsort((rows.decided_at, rows.token))
    token, at = rows.token[order], rows.decided_at[order]
    found = np.full(len(order), np.nan)
    follows = np.flatnonzero((token[1:] == token[:-1]) & (at[1:] - at[:-1] == MINUTE_NS))
    found[order[follows]] = rows.outcome_bps[order[follows + 1]]
    return found


def net_interval(rows: Scored, acts: Flags, seed: int) -> dict[str, float]:
    """95 % of the mean net bps of a trade when whole sessions are drawn again: net_bps_low, net_bps_high.

    Trades of a session share its market, so sessions are drawn, not trades. Absent below five sessions with
    a trade.
    """
    sessions, place = np.unique(rows.session[acts], return_inverse=True)
    if len(sessions) < 5:
        return {}
    net = np.bincount(place, weights=rows.outcome_bps[acts])
    count = np.bincount(place)
    drawn = np.random.default_rng([seed, 1]).integers(0, len(sessions), (DRAWS, len(sessions)))
    means = net[drawn].sum(axis=1) / count[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return rounded({"net_bps_low": float(low), "net_bps_high": float(high)})


def rounded(told: dict[str, float]) -> dict[str, float]:
    """For people and for equal bytes; what is not a number is left out."""
    return {name: round(float(value), DIGITS) for name, value in told.items() if np.isfinite(value)}
