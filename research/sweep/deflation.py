"""The Sharpe ratio of the best of many trials -> the probability that there is anything behind it.

Probabilistic and deflated Sharpe ratio (Bailey and Lopez de Prado, "The Deflated Sharpe Ratio", Journal of
Portfolio Management 40(5), 2014). All ratios here are per period (a session), not annualised.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
NORMAL = NormalDist()
SESSIONS_A_YEAR = 250
_FEWEST = 3  # returns below which skew and kurtosis say nothing


@dataclass(frozen=True)
class Deflated:
    """`probability`: that the true Sharpe ratio is above what the best of `trials` useless ones would show.

    `sharpe`, `expected_best` per period; `skew`, `kurtosis` of the returns (3 is normal).
    """

    sharpe: float
    expected_best: float
    probability: float
    trials: int
    periods: int
    skew: float
    kurtosis: float


def sharpe(returns: Floats) -> Floats:
    """Mean over standard deviation (ddof 1) along the first axis; 0 where nothing varies."""
    spread = returns.std(axis=0, ddof=1) if len(returns) > 1 else np.zeros(returns.shape[1:])
    mean = returns.mean(axis=0)
    flat = spread <= 1e-12 * np.maximum(np.abs(mean), 1e-300)
    return np.where(flat, 0.0, mean / np.where(flat, 1.0, spread))


def expected_best(trials: int, variance: float) -> float:
    """Sharpe ratio to expect of the best of `trials` independent ones without skill, whose ratios vary so."""
    if trials < 2:
        return 0.0
    euler = float(np.euler_gamma)
    high = NORMAL.inv_cdf(1.0 - 1.0 / trials)
    higher = NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(variance) * ((1.0 - euler) * high + euler * higher)


def probabilistic(found: float, against: float, periods: int, skew: float, kurtosis: float) -> float:
    """Probability that the true ratio is above `against` when `found` was seen over `periods` returns."""
    error = 1.0 - skew * found + (kurtosis - 1.0) / 4.0 * found * found
    if periods < _FEWEST or error <= 0.0:
        return math.nan
    return NORMAL.cdf((found - against) * math.sqrt(periods - 1.0) / math.sqrt(error))


def deflated(returns: Floats, chosen: int) -> Deflated:
    """The column `chosen` of float64[periods, trials] against all trials that were made, itself included.

    Trials of a grid resemble each other; they are counted as if they did not, which errs on the strict side.
    """
    periods, trials = returns.shape
    ratios = sharpe(returns)
    mine = returns[:, chosen]
    centred = mine - mine.mean()
    spread = float(np.sqrt(np.mean(centred**2))) if periods else 0.0
    skew = float(np.mean(centred**3)) / spread**3 if spread > 0 else 0.0
    kurtosis = float(np.mean(centred**4)) / spread**4 if spread > 0 else 3.0
    best = expected_best(trials, float(np.var(ratios, ddof=1)) if trials > 1 else 0.0)
    return Deflated(
        sharpe=float(ratios[chosen]),
        expected_best=best,
        probability=probabilistic(float(ratios[chosen]), best, periods, skew, kurtosis),
        trials=trials,
        periods=periods,
        skew=skew,
        kurtosis=kurtosis,
    )
