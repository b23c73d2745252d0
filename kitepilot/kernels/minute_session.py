"""Features of the clock: how far the session has come."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from kitepilot.kernels import minute_layout as at
from kitepilot.kernels.compiled import kernel
from kitepilot.kernels.feature_docs import CLOCK, TIME, FeatureDoc

Floats = npt.NDArray[np.float64]
NAN = np.nan
TURN_MINUTES = 375.0  # the usual session; all instruments open together

DOCS: tuple[FeatureDoc, ...] = (
    FeatureDoc("minutes_to_close", "minutes left of the continuous session", "minutes", 60, TIME, CLOCK),
    FeatureDoc(
        "session_sine", "sine of the time since the open, a whole turn in 375 min", "-1..1", 60, TIME, CLOCK
    ),
    FeatureDoc("session_cosine", "cosine of the same", "-1..1", 60, TIME, CLOCK),
)


@kernel
def _left(now: Floats, out: Floats) -> None:
    for row in range(out.size):
        out[row] = now[at.N_MINUTES_LEFT, row] if now[at.N_READY, row] >= 1.0 else NAN


@kernel
def _same(ready: Floats, value: float, out: Floats) -> None:
    for row in range(out.size):
        out[row] = value if ready[row] >= 1.0 else NAN


@kernel
def session_features(now: Floats, out: Floats) -> None:
    """out float64[3, n] in the order of `DOCS`."""
    turn = 2.0 * math.pi * now[at.N_SINCE_OPEN, 0] / TURN_MINUTES
    _left(now, out[0])
    _same(now[at.N_READY], math.sin(turn), out[1])
    _same(now[at.N_READY], math.cos(turn), out[2])
