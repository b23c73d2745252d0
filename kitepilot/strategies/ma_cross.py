"""Moving-average cross: hold the side on which the fast average of minute closes stands over the slow one.

At each 1 m close, per instrument: exponential averages of `fast` and `slow` closes, begun anew each session.
Where they cross, leave what an earlier cross asked for, and one close later wish the other side. The textbook
strategy, and a yardstick for engines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec
import numpy as np

from kitepilot.kernels.crossing import LEAVE, crossings
from kitepilot.strategies.over_session import SIDES, SessionView, SessionWishes
from kitepilot.strategies.parameters import Parameter, settle
from kitepilot.strategies.port import MarketView, Wish

PARAMETERS: dict[str, Parameter] = {
    "fast": Parameter(10, 1, 200, "span of the fast average, minutes; below slow"),
    "slow": Parameter(20, 2, 375, "span of the slow average, minutes; crossings count after so many closes"),
    "horizon_s": Parameter(22_500, 1, 22_500, "leave after this many seconds"),
    "stop_bps": Parameter(150, 1, 10_000, "leave when this far against the entry"),
    "take_profit_bps": Parameter(1_000, 1, 10_000, "leave when this far in favour"),
}


class MaCross:
    """1 m; needs no model and no feature. State: both averages, and what was wished last."""

    requires: ClassVar[tuple[str, ...]] = ()

    def __init__(self, parameters: Mapping[str, float]) -> None:
        """Raises ValueError as `settle` does, and when `fast` is not below `slow`."""
        self._p = settle("ma_cross", PARAMETERS, parameters)
        if self._p["fast"] >= self._p["slow"]:
            where = "strategies.parameters.ma_cross.fast"
            raise ValueError(f"{where}: {self._p['fast']:g} is not below slow {self._p['slow']:g}")
        self._tokens = np.zeros(0, dtype=np.int64)
        self._averages = np.zeros((2, 0))
        self._memory = np.zeros((4, 0), dtype=np.int64)

    @property
    def interval_s(self) -> int:
        return 60

    def on_close(self, view: MarketView) -> list[Wish]:
        self._know(view.tokens)
        sides = np.zeros((1, len(view.tokens)), dtype=np.int8)
        crossings(
            view.last_paise.reshape(1, -1),
            self._p["fast"],
            self._p["slow"],
            self._averages,
            self._memory,
            sides,
        )
        return [self._wish(row, int(sides[0, row])) for row in sides[0].nonzero()[0].tolist()]

    def over_session(self, view: SessionView) -> SessionWishes:
        n = len(view.tokens)
        sides = np.zeros(view.last_paise.shape, dtype=np.int8)
        crossings(
            view.last_paise,
            self._p["fast"],
            self._p["slow"],
            np.zeros((2, n)),
            np.zeros((4, n), dtype=np.int64),
            sides,
        )
        return SessionWishes(
            side=sides,
            horizon_s=int(self._p["horizon_s"]),
            stop_bps=int(self._p["stop_bps"]),
            take_profit_bps=int(self._p["take_profit_bps"]),
        )

    def _know(self, tokens: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        """Bring what is remembered into the order of `tokens`; those not seen before begin empty."""
        if tokens.tobytes() == self._tokens.tobytes():  # at every close, of few instruments
            return
        averages, memory = np.zeros((2, len(tokens))), np.zeros((4, len(tokens)), dtype=np.int64)
        column = {token: place for place, token in enumerate(self._tokens.tolist())}
        for place, token in enumerate(tokens.tolist()):
            if token in column:
                averages[:, place] = self._averages[:, column[token]]
                memory[:, place] = self._memory[:, column[token]]
        self._tokens, self._averages, self._memory = tokens.copy(), averages, memory

    def _wish(self, row: int, mark: int) -> Wish:
        return Wish(
            row=row,
            side=SIDES[mark],
            strength=1.0 if mark == LEAVE else 0.5,
            horizon_s=int(self._p["horizon_s"]),
            stop_bps=int(self._p["stop_bps"]),
            take_profit_bps=int(self._p["take_profit_bps"]),
        )

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode([self._tokens.tolist(), self._averages.tolist(), self._memory.tolist()])

    def restore(self, blob: bytes) -> None:
        tokens, averages, memory = msgspec.msgpack.decode(
            blob, type=tuple[list[int], list[list[float]], list[list[int]]]
        )
        self._tokens = np.array(tokens, dtype=np.int64)
        self._averages = np.array(averages, dtype=np.float64).reshape(2, -1)
        self._memory = np.array(memory, dtype=np.int64).reshape(4, -1)
