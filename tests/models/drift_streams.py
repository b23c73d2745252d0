"""Days of scores and features with a drift planted at a known minute, or none: for tests and the benchmark.

Instruments share the market's move, labels of successive minutes overlap, and days can have the intraday
shape (loud, quiet, loud): what makes detectors for independent values cry wolf.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import erf

import numpy as np

from kitepilot.models.labels import COST_BPS
from kitepilot.models.port import Booleans, Floats

ROWS = 50
MINUTES = 375
HORIZON = 5
AT = 180  # the minute at which the drift begins
GRADUAL = 60  # minutes that a gradual one takes
MARKET_BPS, OWN_BPS = 5.0, 6.0  # a minute's move that all share, and one's own
SPREAD_BPS = float(np.hypot(MARKET_BPS, OWN_BPS) * np.sqrt(HORIZON))
TOLD = 0.6  # how far one deviation of the feature moves the outcome, in its deviations
KINDS = ("none", "sudden", "gradual", "flip", "shift")


def day(seed: int, kind: str = "none", *, skill: float = 1.0, shape: bool = False) -> Iterator[tuple]:
    """One (scores float64[50], y bool[50]) per minute of a model that was fitted on days without drift.

    kind: none | sudden (the feature stops telling anything) | gradual (it comes to tell the opposite)
    | flip (true becomes false) | shift (the feature is a deviation higher than what it tells).
    """
    rng = np.random.default_rng(seed)
    feature = rng.normal(size=(MINUTES, ROWS))
    loud = _loudness(shape)
    moves = (
        rng.normal(size=(MINUTES + HORIZON, 1)) * MARKET_BPS
        + rng.normal(size=(MINUTES + HORIZON, ROWS)) * OWN_BPS
    )
    moves *= loud[np.minimum(np.arange(MINUTES + HORIZON), MINUTES - 1), None]
    for minute in range(MINUTES):
        begun = minute - AT >= 0 and kind != "none"
        true_skill = skill * _left(kind, minute - AT) if begun else skill
        tells = true_skill * TOLD * SPREAD_BPS * loud[minute] * feature[minute]
        y = moves[minute + 1 : minute + 1 + HORIZON].sum(axis=0) + tells > COST_BPS
        seen = feature[minute] + (1.0 if begun and kind == "shift" else 0.0)
        yield _score(seen, skill), ~y if begun and kind == "flip" else y


def _loudness(shape: bool) -> Floats:
    middle = np.abs(np.arange(MINUTES) / MINUTES - 0.5) * 2.0
    return 0.75 + middle**2 if shape else np.ones(MINUTES)


def _left(kind: str, minutes: int) -> float:
    """Share of the skill that is left so long after the drift began."""
    if kind == "sudden":
        return 0.0
    return max(1.0 - 2.0 * minutes / GRADUAL, -1.0) if kind == "gradual" else 1.0


def _score(feature: Floats, skill: float) -> Floats:
    """Probability that the outcome pays, as the model learned it."""
    beyond = (COST_BPS - skill * TOLD * SPREAD_BPS * feature) / SPREAD_BPS
    return np.array([0.5 * (1.0 - erf(each / np.sqrt(2.0))) for each in beyond.tolist()])


# --- features ---------------------------------------------------------------------------------------------

FEATURES = ("own", "shared", "loudness", "clock", "steps", "regime")


def features(seed: int, *, shifted: int | None = None, by: float = 1.0) -> Floats:
    """float64[375, 50, 6]: noise of one's own, a slow move that all share, the day's loudness, the clock,
    whole numbers, and a level that each day has anew. Column `shifted` is `by` higher from `AT` on."""
    rng = np.random.default_rng(seed)
    shape = (MINUTES, ROWS)
    shared = np.zeros(MINUTES)
    for minute in range(1, MINUTES):
        shared[minute] = 0.9 * shared[minute - 1] + rng.normal()
    columns = (
        rng.normal(size=shape),
        shared[:, None] + 0.3 * rng.normal(size=shape),
        _loudness(True)[:, None] * np.exp(0.3 * rng.normal() + 0.4 * rng.normal(size=shape)),
        np.broadcast_to(np.arange(MINUTES, dtype=np.float64)[:, None], shape),
        rng.integers(-2, 3, size=shape).astype(np.float64),
        np.exp(0.5 * rng.normal()) * np.abs(rng.normal(size=shape)),
    )
    x = np.stack(columns, axis=-1)
    if shifted is not None:
        x[AT:, :, shifted] += by
    return x


def told(detector: object, stream: Iterator[tuple[Floats, Booleans]]) -> list[int]:
    """Minutes at which an `ErrorDrift` says that a score became worse."""
    return [minute for minute, (scores, y) in enumerate(stream) if detector.on_matured(scores, y)]
