"""Returns of all trials -> the probability that the best of one half is below the middle in the other.

Combinatorially symmetric cross-validation (Bailey, Borwein, Lopez de Prado, Zhu, "The Probability of Backtest
Overfitting", Journal of Computational Finance 20(4), 2017). Periods are cut into an even number of blocks;
every half of the blocks is once the sample the best is chosen from and its complement the test. Near 0.5 the
choice is worth nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MOST_BLOCKS = 12  # 924 splits
FEWEST_PERIODS = 8
FEWEST_TRIALS = 2
SPLITS_AT_ONCE = 64


@dataclass(frozen=True)
class Overfit:
    """`probability` of overfitting, NaN where it cannot be said; `reason` says why then.

    `logits` float64[splits]: of the rank out of sample of the best in sample, below 0 under the middle.
    `loss`: share of splits in which the best in sample earned less than nothing out of sample.
    """

    probability: float
    splits: int
    blocks: int
    loss: float
    logits: Floats
    reason: str = ""


def overfit(returns: Floats, most_blocks: int = MOST_BLOCKS) -> Overfit:
    """float64[periods, trials] -> `Overfit`. Memory grows with trials, not with the number of splits."""
    periods, trials = returns.shape
    if trials < FEWEST_TRIALS or periods < FEWEST_PERIODS:
        reason = f"{trials} trials over {periods} sessions: needs {FEWEST_TRIALS} and {FEWEST_PERIODS}"
        return Overfit(math.nan, 0, 0, math.nan, np.zeros(0), reason)
    blocks = min(most_blocks, periods // 2) // 2 * 2
    parts = np.array_split(returns, blocks)
    counts = np.array([len(part) for part in parts], dtype=np.float64)
    sums = np.stack([part.sum(axis=0) for part in parts])
    squares = np.stack([(part**2).sum(axis=0) for part in parts])
    halves = np.array(
        [[block in chosen for block in range(blocks)] for chosen in combinations(range(blocks), blocks // 2)],
        dtype=np.float64,
    )
    logits, means = [], []
    for first in range(0, len(halves), SPLITS_AT_ONCE):
        inside = halves[first : first + SPLITS_AT_ONCE]
        seen = _ratios(inside, counts, sums, squares)
        unseen = _ratios(1.0 - inside, counts, sums, squares)
        best = seen.argmax(axis=1)
        there = unseen[np.arange(len(inside)), best][:, None]
        below = (unseen < there).sum(axis=1) + ((unseen == there).sum(axis=1) + 1) / 2.0
        rank = below / (trials + 1.0)
        logits.append(np.log(rank / (1.0 - rank)))
        means.append(there[:, 0])
    every, earned = np.concatenate(logits), np.concatenate(means)
    return Overfit(
        probability=float(np.mean(every <= 0.0)),
        splits=len(halves),
        blocks=blocks,
        loss=float(np.mean(earned < 0.0)),
        logits=every,
    )


def _ratios(halves: Floats, counts: Floats, sums: Floats, squares: Floats) -> Floats:
    """Sharpe ratios [splits, trials] of each half, out of what the blocks add up to."""
    n = (halves @ counts)[:, None]
    mean = halves @ sums / n
    variance = np.maximum((halves @ squares / n - mean**2) * n / (n - 1.0), 0.0)
    flat = variance <= 1e-20 * np.maximum(mean**2, 1e-300)
    ratio: Floats = np.where(flat, 0.0, mean / np.sqrt(np.where(flat, 1.0, variance)))
    return ratio
