"""Request numbers -> how long each takes to the exchange, and where on the way it is meanwhile."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass

NS_PER_MS = 1_000_000
MAX_LATENCY_NS = 2_000 * NS_PER_MS
LATENCY_SIGMA = 0.6


@dataclass(frozen=True)
class Latency:
    """Log-normal time to the exchange, one draw per request number; mean 0 is none at all.

    `shares` cut it into Kite's three interim states: with the order system, with the risk desk, on the wire
    to the exchange. They are weights; a request's own split wavers around them by up to a quarter.
    """

    mean_ms: float
    seed: int
    shares: tuple[float, float, float] = (0.2, 0.2, 0.6)

    def of(self, number: int) -> int:
        """ns, at most two seconds. Depends on nothing but seed and number."""
        return self.steps(number)[-1]

    def steps(self, number: int) -> tuple[int, int, int]:
        """When a request leaves each interim state, ns after it was made; the last is its arrival."""
        if self.mean_ms <= 0:
            return 0, 0, 0
        draw = random.Random(f"{self.seed}:latency:{number}")
        mu = math.log(self.mean_ms) - LATENCY_SIGMA**2 / 2
        whole = min(int(draw.lognormvariate(mu, LATENCY_SIGMA) * NS_PER_MS), MAX_LATENCY_NS)
        weights = list(itertools.accumulate(share * draw.uniform(0.75, 1.25) for share in self.shares))
        if not weights[-1]:  # no weight anywhere: all of it in the first state
            return whole, whole, whole
        return int(whole * weights[0] / weights[-1]), int(whole * weights[1] / weights[-1]), whole
