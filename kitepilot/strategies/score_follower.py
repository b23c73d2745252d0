"""Score follower: buy what the models together think likely to rise by more than a round trip costs.

At each 1 m close: the blended score at or above `entry_score` wishes to buy; a score that falls to
`exit_score` or below while the wish's horizon still runs wishes to leave, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec
import numpy as np

from kitepilot.events import Side
from kitepilot.strategies.cooldown import NS, Cooldown, strengths
from kitepilot.strategies.parameters import EXITS, Parameter, settle
from kitepilot.strategies.port import Floats, MarketView, Wish

SCORE = "blend"

PARAMETERS: dict[str, Parameter] = {
    "entry_score": Parameter(0.58, 0.01, 0.99, "blended score to buy at"),
    "exit_score": Parameter(0.20, 0.0, 0.98, "blended score to leave at; below entry_score"),
    "max_spread_bps": Parameter(8, 0.1, 200, "widest spread it trades"),
    "from_minute": Parameter(10, 1, 375, "first minute of the session it trades in"),
    "to_minute": Parameter(325, 1, 375, "last minute it enters in"),
    **EXITS,
    "horizon_s": Parameter(300, 1, 22_500, "leave after this many seconds"),
}


class ScoreFollower:
    """1 m; silent without a model. State: when each instrument last spoke, and which wishes still run."""

    requires: ClassVar[tuple[str, ...]] = ("spread", "minutes_since_open")
    rests_on: ClassVar[tuple[str, ...]] = (SCORE,)

    def __init__(self, parameters: Mapping[str, float]) -> None:
        """Raises ValueError as `settle` does, and when `exit_score` is not below `entry_score`."""
        self._p = settle("score_follower", PARAMETERS, parameters)
        if self._p["exit_score"] >= self._p["entry_score"]:
            raise ValueError(
                f"strategies.parameters.score_follower.exit_score: {self._p['exit_score']} is not below "
                f"entry_score {self._p['entry_score']}"
            )
        self._cooldown = Cooldown(self._p["cooldown_s"])
        self._running: dict[int, int] = {}  # token -> close_at of the wish; dropped when its horizon is over

    @property
    def interval_s(self) -> int:
        return 60

    def on_close(self, view: MarketView) -> list[Wish]:
        score = view.scores.get(SCORE)
        if score is None:
            return []
        return sorted(self._leave(view, score) + self._enter(view, score), key=lambda wish: wish.row)

    def _enter(self, view: MarketView, score: Floats) -> list[Wish]:
        p = self._p
        minutes = view.feature("minutes_since_open")
        eager = (
            (score >= p["entry_score"])
            & (view.feature("spread") <= p["max_spread_bps"])
            & (minutes >= p["from_minute"])
            & (minutes <= p["to_minute"])
        )
        rows = self._cooldown.choose(np.flatnonzero(eager), view.tokens, view.close_at)
        for row in rows:
            self._running[int(view.tokens[row])] = view.close_at
        strength = strengths((score[rows] - p["entry_score"]) / (1.0 - p["entry_score"]))
        return [self._wish(row, Side.BUY, much) for row, much in zip(rows, strength, strict=True)]

    def _leave(self, view: MarketView, score: Floats) -> list[Wish]:
        horizon_ns = int(self._p["horizon_s"]) * NS
        running = {t: at for t, at in self._running.items() if view.close_at - at < horizon_ns}
        fallen = score <= self._p["exit_score"]
        rows = [row for row in np.flatnonzero(fallen).tolist() if int(view.tokens[row]) in running]
        for row in rows:
            del running[int(view.tokens[row])]
        self._running = running
        return [self._wish(row, None, 1.0) for row in rows]

    def _wish(self, row: int, side: Side | None, strength: float) -> Wish:
        return Wish(
            row=row,
            side=side,
            strength=strength,
            horizon_s=int(self._p["horizon_s"]),
            stop_bps=int(self._p["stop_bps"]),
            take_profit_bps=int(self._p["take_profit_bps"]),
        )

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode([self._cooldown.snapshot(), sorted(self._running.items())])

    def restore(self, blob: bytes) -> None:
        spoke, running = msgspec.msgpack.decode(blob, type=tuple[bytes, list[tuple[int, int]]])
        self._cooldown.restore(spoke)
        self._running = dict(running)
