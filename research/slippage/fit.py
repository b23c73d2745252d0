"""Observations -> half spread and impact with their intervals, and an error on orders the fit has not seen.

    fit(observations, seed=0) -> Fitted

The model is the bar engines' own (docs/reference/backtest-fills.md): half spread plus impact times the root
of our share of the minute's volume. Both are at least 0, by non-negative least squares.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from kitepilot.market.calendar import ist_date
from research.fills.model import FillModel
from research.slippage.fitted import Bucket, Fitted, Interval
from research.slippage.observed import Observations

Floats = npt.NDArray[np.float64]
LEAST_ORDERS = 40
RESAMPLES = 400
LEARNED = 0.7  # of the orders, the oldest; the newest are what the error is measured on
INTERVAL = (5.0, 95.0)
THIRDS = ("thin", "middle", "liquid")


class TooFewFillsError(ValueError):
    """Not enough own fills to say anything; says how many there are and how many it takes."""


def fit(found: Observations, least: int = LEAST_ORDERS, seed: int = 0) -> Fitted:
    """Fit on all orders; the error is that of a fit on the oldest part, measured on the newest.

    Raises:
        TooFewFillsError: fewer than `least` orders (at least four).
    """
    if len(found) < max(least, 4):
        raise TooFewFillsError(
            f"{len(found)} orders of our own with a known minute ({found.skipped} without): it takes "
            f"{max(least, 4)} to fit slippage"
        )
    spread, impact = _solve(found)
    drawn = _bootstrap(found, seed)
    learned = max(int(len(found) * LEARNED), 1)
    rows = np.arange(len(found))
    unseen = found.take(rows[learned:])
    predicted = predict(unseen, *_solve(found.take(rows[:learned])))
    days = sorted({ist_date(at).isoformat() for at in found.at.tolist()})
    model = FillModel(
        half_spread_bps=round(spread, 4),
        impact_bps=round(impact, 4),
        source=f"{len(found)} own orders, {days[0]} to {days[-1]}",
    )
    realised = float(np.mean(np.abs(unseen.slippage_bps)))
    return Fitted(
        model=model,
        half_spread=Interval(spread, *np.percentile(drawn[:, 0], INTERVAL).tolist()),
        impact=Interval(impact, *np.percentile(drawn[:, 1], INTERVAL).tolist()),
        orders=len(found),
        skipped=found.skipped,
        sessions=tuple(days),
        unseen_orders=len(unseen),
        error_bps=float(np.mean(np.abs(unseen.slippage_bps - predicted))),
        realised_bps=realised,
        assumed_error_bps=_assumed_error(unseen),
        cost_error=_of_total(unseen, predicted),
        buckets=_buckets(unseen, predicted),
    )


def predict(found: Observations, half_spread_bps: float, impact_bps: float) -> Floats:
    """float64[k] bps."""
    predicted: Floats = half_spread_bps + impact_bps * np.sqrt(found.share)
    return predicted


def _assumed_error(unseen: Observations) -> float:
    assumed = FillModel()
    told = predict(unseen, assumed.half_spread_bps, assumed.impact_bps)
    return float(np.mean(np.abs(unseen.slippage_bps - told)))


def _solve(found: Observations) -> tuple[float, float]:
    weights = np.ones((1, len(found)))
    (spread, impact) = _solved(_moments(found, weights))[0].tolist()
    return spread, impact


def _bootstrap(found: Observations, seed: int) -> Floats:
    """float64[RESAMPLES, 2]: fits on orders drawn with replacement."""
    rng, k = np.random.default_rng([seed, len(found)]), len(found)
    drawn = (np.bincount(rng.integers(0, k, k), minlength=k)[None, :] for _ in range(RESAMPLES))
    return _solved(np.concatenate([_moments(found, times) for times in drawn]))


def _moments(found: Observations, weights: npt.NDArray[Any]) -> Floats:
    """float64[r, 5]: weighted sums of 1, x, x^2, y, x y, with x the root of the share and y the slippage."""
    x, y = np.sqrt(found.share), found.slippage_bps
    sums: Floats = weights @ np.column_stack([np.ones_like(x), x, x * x, y, x * y])
    return sums


def _solved(moments: Floats) -> Floats:
    """float64[r, 2]: non-negative least squares of two parameters, from its normal equations.

    Where the free solution has a negative one, the better of the two edges is the solution.
    """
    n, x, xx, y, xy = moments.T
    determinant = n * xx - x * x
    with np.errstate(divide="ignore", invalid="ignore"):
        free = np.stack([(xx * y - x * xy) / determinant, (n * xy - x * y) / determinant])
    flat, steep = np.maximum(y / n, 0.0), np.maximum(xy / xx, 0.0)
    less_flat, less_steep = flat * (n * flat - 2 * y), steep * (xx * steep - 2 * xy)  # squared errors, apart
    edge = np.where(less_flat <= less_steep, np.stack([flat, 0 * flat]), np.stack([0 * steep, steep]))
    inside = (free >= 0).all(axis=0) & (determinant > 0)
    return np.where(inside, free, edge).T


def _of_total(found: Observations, predicted: Floats) -> float:
    """How far the predicted cost of all orders together is from what they paid, as a share of it."""
    paid = float(np.sum(found.slippage_bps * found.value_paise))
    said = float(np.sum(predicted * found.value_paise))
    return abs(said - paid) / abs(paid) if paid else float("nan")


def _buckets(found: Observations, predicted: Floats) -> tuple[Bucket, ...]:
    """By side, and by how much traded in the minute (thirds of the unseen orders)."""
    cuts = np.quantile(found.minute_paise, [1 / 3, 2 / 3]) if len(found) else np.zeros(2)
    third = np.searchsorted(cuts, found.minute_paise)
    buckets = []
    for side, sign in (("buy", 1), ("sell", -1)):
        for place, name in enumerate(THIRDS):
            rows = (found.sign == sign) & (third == place)
            if rows.any():
                paid, said = found.slippage_bps[rows], predicted[rows]
                figures = float(paid.mean()), float(said.mean()), float(np.mean(np.abs(paid - said)))
                buckets.append(Bucket(side, name, int(rows.sum()), *figures))
    return tuple(buckets)
