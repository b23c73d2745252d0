"""How a feature describes itself, whatever computes it."""

from __future__ import annotations

from typing import NamedTuple

RETURNS = "returns and momentum"
VOLATILITY = "volatility"
VOLUME = "volume and VWAP"
MICROSTRUCTURE = "microstructure"
TIME = "time of session"
MARKET = "market-relative"
REGIME = "regime"
FAMILIES = (RETURNS, VOLATILITY, VOLUME, MICROSTRUCTURE, TIME, MARKET, REGIME)

TICKS = "ticks"
DEPTH = "depth"
BARS = "1 m bars"
TICK_BARS = "1 m sums of ticks and depth"
CLOCK = "session times"
SOURCES = (TICKS, DEPTH, BARS, TICK_BARS, CLOCK)


class FeatureDoc(NamedTuple):
    """One feature for people.

    `unit` is what 1.0 means. `warmup_s` counts seconds since the instrument's first trade of the session, in
    whole minutes for what is made of 1 m bars. `source` is what it is made of, one of `SOURCES`.
    """

    name: str
    meaning: str
    unit: str
    warmup_s: int
    family: str
    source: str


def bars(name: str, meaning: str, unit: str, warmup_m: int, family: str) -> FeatureDoc:
    """A feature of closed 1 m bars; `warmup_m` bars, the first one included."""
    return FeatureDoc(name, meaning, unit, 60 * warmup_m, family, BARS)
