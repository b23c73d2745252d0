"""What every model said on a day, held against what became of it: models are compared on the same rows.

minutes (close, scores by model, last prices) -> rows whose horizon has passed -> measures per model
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from kitepilot.models.labels import COST_BPS, HORIZON_S, NS, label
from kitepilot.models.port import Booleans, Floats, Integers
from kitepilot.models.training import auc

BPS = 10_000.0


class Minute(NamedTuple):
    """One 1 m close: scores float64[n] by model id, last prices int64[n] in paise, 0 where there is none."""

    close_at: int
    scores: Mapping[str, Floats]
    last_paise: Integers


class Outcome(NamedTuple):
    """Rows of one close whose label is known: `moved_bps` is the price's way in the horizon, before costs."""

    y: Booleans
    moved_bps: Floats
    scores: dict[str, Floats]


class Measures(msgspec.Struct, frozen=True, kw_only=True):
    """One model on the rows that all compared models scored. Trades: rows at or above `threshold`, bought and
    sold one horizon later, after costs; NaN where nothing can be said."""

    rows: int
    auc: float
    brier: float
    base_brier: float
    hit_rate_best_2pc: float
    trades: int
    net_bps: float


NAN = float("nan")
NOTHING = Measures(rows=0, auc=NAN, brier=NAN, base_brier=NAN, hit_rate_best_2pc=NAN, trades=0, net_bps=NAN)


def outcomes(minutes: Iterable[Minute]) -> Iterator[Outcome]:
    """In order of their close. Without a close at the horizon's end (a gap, the evening) nothing."""
    waiting: deque[Minute] = deque(maxlen=HORIZON_S // 60 + 1)
    for now in minutes:
        due = now.close_at - HORIZON_S * NS
        while waiting and waiting[0].close_at <= due:
            then = waiting.popleft()
            if then.close_at == due:
                yield _outcome(then, now.last_paise)
        waiting.append(now)


def _outcome(then: Minute, now_paise: Integers) -> Outcome:
    rows = np.flatnonzero((then.last_paise > 0) & (now_paise > 0))
    before, after = then.last_paise[rows], now_paise[rows]
    moved = (after - before) * BPS / before
    return Outcome(label(before, after), moved, {name: said[rows] for name, said in then.scores.items()})


def measures(
    found: Sequence[Outcome], models: Sequence[str], threshold: float, cost_bps: float = COST_BPS
) -> dict[str, Measures]:
    """By model, on the rows where all of `models` had a score; closes without one of them are left out."""
    both = [each for each in found if all(name in each.scores for name in models)]
    y = np.concatenate([each.y for each in both]) if both else np.zeros(0, dtype=bool)
    moved = np.concatenate([each.moved_bps for each in both]) if both else np.zeros(0)
    said = {name: np.concatenate([each.scores[name] for each in both] or [np.zeros(0)]) for name in models}
    rows = np.all([np.isfinite(said[name]) for name in models], axis=0) if models else np.zeros(0, dtype=bool)
    return {name: _measured(y[rows], moved[rows], said[name][rows], threshold, cost_bps) for name in models}


def _measured(y: Booleans, moved: Floats, scores: Floats, threshold: float, cost_bps: float) -> Measures:
    if not y.size:
        return NOTHING
    best = np.argsort(-scores, kind="stable")[: max(1, len(scores) // 50)]
    bought = scores >= threshold
    share = float(y.mean())
    return Measures(
        rows=len(y),
        auc=auc(y, scores),
        brier=float(((scores - y) ** 2).mean()),
        base_brier=share * (1.0 - share),
        hit_rate_best_2pc=float(y[best].mean()),
        trades=int(bought.sum()),
        net_bps=float(moved[bought].mean()) - cost_bps if bought.any() else float("nan"),
    )
