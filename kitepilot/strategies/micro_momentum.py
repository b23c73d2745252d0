"""Microstructure momentum: book and trades lean the same way, and the price has not followed yet.

At each 1 s close, per instrument: depth imbalance (five levels) and trade imbalance (10 s, 60 s) must agree
past their thresholds, the spread be narrow, and the move of the last 10 s still small against its volatility;
then wish that way for a short while. Chasing a move that was already made pays for the bounce.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from kitepilot.events import Side
from kitepilot.strategies.cooldown import Cooldown, strengths
from kitepilot.strategies.parameters import EXITS, Parameter, settle
from kitepilot.strategies.port import MarketView, Wish

PARAMETERS: dict[str, Parameter] = {
    "depth_imbalance": Parameter(0.6, 0.01, 1, "imbalance of five levels, at least"),
    "trade_imbalance": Parameter(0.7, 0.01, 1, "signed share of the traded volume of 10 s, at least"),
    "trade_imbalance_60s": Parameter(0.45, 0, 1, "the same over 60 s"),
    "max_move_vols": Parameter(0.2, -20, 20, "move of 10 s that way over the volatility of 10 s, at most"),
    "max_spread_bps": Parameter(6, 0.1, 200, "widest spread it trades"),
    "volume_ratio": Parameter(1.2, 0, 100, "volume of 60 s over its mean, at least"),
    "from_minute": Parameter(10, 1, 375, "first minute of the session it trades in"),
    "to_minute": Parameter(325, 1, 375, "last minute it enters in"),
    **EXITS,
    "horizon_s": Parameter(300, 1, 22_500, "leave after this many seconds"),
    "stop_bps": Parameter(25, 1, 1_000, "leave when this far against the entry"),
    "take_profit_bps": Parameter(40, 1, 1_000, "leave when this far in favour"),
    "cooldown_s": Parameter(3_600, 0, 22_500, "silence per instrument after a wish"),
}
TEN_SECONDS = (1 / 6) ** 0.5  # volatility of 10 s over that of a minute


class MicroMomentum:
    """1 s; needs depth and no model. State: when each instrument last spoke."""

    requires: ClassVar[tuple[str, ...]] = (
        "imbalance_l5",
        "trade_imbalance_10s",
        "trade_imbalance_60s",
        "ret_10s",
        "vol_300s",
        "spread",
        "volume_ratio",
        "minutes_since_open",
    )

    def __init__(self, parameters: Mapping[str, float]) -> None:
        self._p = settle("micro_momentum", PARAMETERS, parameters)
        self._cooldown = Cooldown(self._p["cooldown_s"])

    @property
    def interval_s(self) -> int:
        return 1

    def on_close(self, view: MarketView) -> list[Wish]:
        p = self._p
        book = view.feature("imbalance_l5")
        minutes = view.feature("minutes_since_open")
        way = np.sign(book)
        move = way * view.feature("ret_10s")
        eager = (
            (np.abs(book) >= p["depth_imbalance"])
            & (way * view.feature("trade_imbalance_10s") >= p["trade_imbalance"])
            & (way * view.feature("trade_imbalance_60s") >= p["trade_imbalance_60s"])
            & (move <= p["max_move_vols"] * TEN_SECONDS * view.feature("vol_300s"))
            & (view.feature("spread") <= p["max_spread_bps"])
            & (view.feature("volume_ratio") >= p["volume_ratio"])
            & (minutes >= p["from_minute"])
            & (minutes <= p["to_minute"])
        )
        rows = self._cooldown.choose(np.flatnonzero(eager), view.tokens, view.close_at)
        strength = strengths(np.abs(book[rows]) / p["depth_imbalance"] - 1.0)
        return [self._wish(row, way[row] > 0, much) for row, much in zip(rows, strength, strict=True)]

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
