"""One score out of two: the offline model's and the online one's, where each has one."""

from __future__ import annotations

import numpy as np

from kitepilot.models.port import Floats

#: Share of the offline score. The online model is young every morning and gets the smaller part.
OFFLINE_WEIGHT = 0.7


def blend(offline: Floats, online: Floats, offline_weight: float = OFFLINE_WEIGHT) -> Floats:
    """float64[n], float64[n] -> float64[n]: the weighted mean; where one is NaN, the other.

    >>> nan = float("nan")
    >>> blend(np.array([0.2, nan, nan]), np.array([0.4, 0.4, nan]), 0.5).tolist()
    [0.30000000000000004, 0.4, nan]
    """
    both = offline_weight * offline + (1.0 - offline_weight) * online
    return np.where(np.isnan(offline), online, np.where(np.isnan(online), offline, both))
