"""What else the same sessions could have come to: whole sessions drawn again, with replacement.

Drawing sessions keeps what happens within a day together (a bad morning makes a bad afternoon) and says
nothing about regimes that the sample does not hold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DRAWS = 2_000
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, eq=False)
class Bands:
    """`paths` float64[5, d + 1]: quantiles 5, 25, 50, 75, 95 % of the net paise after 0 .. d sessions.

    `drawdowns` float64[3]: median, 95 % and 99 % of the deepest fall in paise. `loss_share`: how many of the
    draws ended below zero.
    """

    paths: Floats
    drawdowns: Floats
    loss_share: float
    draws: int


def bands(daily_net: Floats, seed: int, draws: int = DRAWS) -> Bands | None:
    """Bands of the cumulated net result; None of fewer than two sessions. The same seed, the same bands."""
    count = len(daily_net)
    if count < 2:
        return None
    rng = np.random.default_rng(seed)
    chosen = daily_net[rng.integers(0, count, (draws, count))]
    paths = np.concatenate([np.zeros((draws, 1)), np.cumsum(chosen, axis=1)], axis=1)
    falls = (np.maximum.accumulate(paths, axis=1) - paths).max(axis=1)
    return Bands(
        paths=np.quantile(paths, QUANTILES, axis=0),
        drawdowns=np.quantile(falls, (0.5, 0.95, 0.99)),
        loss_share=float((paths[:, -1] < 0).mean()),
        draws=draws,
    )
