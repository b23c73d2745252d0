"""VWAP reversion: a price stretched far from the session's VWAP tends to come back.

At each 1 m close, per instrument: the deviation from VWAP is measured in units of the volatility of
`stretch_minutes`; past `entry_stretch`, and with the last minute already turning back, wish the way back.

With `from_bars` 1 it reads the features of 1 m bars instead of those of ticks and depth, so that it can be
tried over years of bars. It knows no spread then: the backtest's fill model charges one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from kitepilot.events import Side
from kitepilot.strategies.cooldown import Cooldown, strengths
from kitepilot.strategies.parameters import EXITS, Parameter, settle
from kitepilot.strategies.port import MarketView, Wish

#: What it reads: from ticks and depth, or from 1 m bars (which have no spread).
TICKS = ("vwap_dev", "vol_300s", "ret_60s", "spread")
BARS = ("bar_vwap_dev", "vol_60m", "ret_1m")
MINUTES = "minutes_since_open"

PARAMETERS: dict[str, Parameter] = {
    "from_bars": Parameter(0, 0, 1, "1: read the features of 1 m bars alone"),
    "entry_stretch": Parameter(1.5, 0.5, 10, "deviation from VWAP over the volatility of stretch_minutes"),
    "stretch_minutes": Parameter(
        30, 1, 375, "horizon of that volatility (scaled by the square root of time)"
    ),
    "min_dev_bps": Parameter(35, 1, 1_000, "smallest deviation that can pay for its costs"),
    "turn_bps": Parameter(1.0, 0, 100, "the last minute must have gone this far back already"),
    "max_spread_bps": Parameter(10, 0.1, 200, "widest spread it trades"),
    "from_minute": Parameter(20, 1, 375, "first minute of the session it trades in"),
    "to_minute": Parameter(325, 1, 375, "last minute it enters in"),
    **EXITS,
    "horizon_s": Parameter(1_500, 1, 22_500, "leave after this many seconds"),
    "stop_bps": Parameter(60, 1, 1_000, "leave when this far against the entry"),
    "take_profit_bps": Parameter(60, 1, 1_000, "leave when this far in favour"),
    "cooldown_s": Parameter(2_700, 0, 22_500, "silence per instrument after a wish"),
}


class VwapReversion:
    """1 m; needs no model. State: when each instrument last spoke."""

    requires: ClassVar[tuple[str, ...]] = (*TICKS, *BARS, MINUTES)

    def __init__(self, parameters: Mapping[str, float]) -> None:
        self._p = settle("vwap_reversion", PARAMETERS, parameters)
        self._cooldown = Cooldown(self._p["cooldown_s"])

    @property
    def interval_s(self) -> int:
        return 60

    @property
    def reads(self) -> tuple[str, ...]:
        """Of what it requires: bars alone, or ticks and depth."""
        return (*(BARS if self._p["from_bars"] else TICKS), MINUTES)

    def on_close(self, view: MarketView) -> list[Wish]:
        p = self._p
        dev, vol, ret = BARS if p["from_bars"] else TICKS[:3]
        deviation = view.feature(dev)
        scale = view.feature(vol) * p["stretch_minutes"] ** 0.5
        minutes = view.feature(MINUTES)
        narrow = bool(p["from_bars"]) | (view.feature("spread") <= p["max_spread_bps"])
        back = -np.sign(deviation)
        with np.errstate(divide="ignore", invalid="ignore"):
            stretch = np.abs(deviation) / scale
        eager = (
            (stretch >= p["entry_stretch"])
            & (np.abs(deviation) >= p["min_dev_bps"])
            & (back * view.feature(ret) >= p["turn_bps"])
            & narrow
            & (minutes >= p["from_minute"])
            & (minutes <= p["to_minute"])
        )
        rows = self._cooldown.choose(np.flatnonzero(eager), view.tokens, view.close_at)
        strength = strengths(stretch[rows] / p["entry_stretch"] - 1.0)
        return [self._wish(row, back[row] > 0, much) for row, much in zip(rows, strength, strict=True)]

    def _wish(self, row: int, up: bool, strength: float) -> Wish:
        return Wish(
            row=row,
            side=Side.BUY if up else Side.SELL,
            strength=strength,
            horizon_s=int(self._p["horizon_s"]),
            stop_bps=int(self._p["stop_bps"]),
            take_profit_bps=int(self._p["take_profit_bps"]),
        )

    def snapshot(self) -> bytes:
        return self._cooldown.snapshot()

    def restore(self, blob: bytes) -> None:
        self._cooldown.restore(blob)
