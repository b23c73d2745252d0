"""RSI reversion: what fell or rose too far in a quarter of an hour tends to come back.

At each 1 m close, per instrument: where the relative strength index (`rsi_14`) comes back up through
`oversold`, wish to buy; where it comes back down through `overbought`, to sell; where it reaches the middle,
to leave. Moves that are small against what a round trip costs are left alone (`min_atr_bps`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec
import numpy as np
import numpy.typing as npt

from kitepilot.strategies.over_session import SIDES, SessionView, SessionWishes
from kitepilot.strategies.parameters import Parameter, settle
from kitepilot.strategies.port import Floats, Integers, MarketView, Wish

Marks = npt.NDArray[np.int8]
MIDDLE = 50.0
BUY, SELL, LEAVE = 1, -1, 2

PARAMETERS: dict[str, Parameter] = {
    "oversold": Parameter(25, 1, 49, "buy when the index comes back up through this"),
    "overbought": Parameter(75, 51, 99, "sell when it comes back down through this"),
    "min_atr_bps": Parameter(8, 0, 500, "smallest mean range of a minute that can pay for its costs"),
    "from_minute": Parameter(20, 1, 375, "first minute of the session it trades in"),
    "to_minute": Parameter(325, 1, 375, "last minute it enters in"),
    "horizon_s": Parameter(1_800, 60, 22_500, "leave after this many seconds"),
    "stop_bps": Parameter(60, 1, 10_000, "leave when this far against the entry"),
    "take_profit_bps": Parameter(80, 1, 10_000, "leave when this far in favour"),
}


class RsiReversion:
    """1 m; needs no model. State: the index at the close before, and which side a wish still stands on."""

    requires: ClassVar[tuple[str, ...]] = ("rsi_14", "atr_14", "minutes_since_open")

    def __init__(self, parameters: Mapping[str, float]) -> None:
        self._p = settle("rsi_reversion", PARAMETERS, parameters)
        self._tokens: Integers = np.zeros(0, dtype=np.int64)
        self._before: Floats = np.zeros(0)
        self._stands: Marks = np.zeros(0, dtype=np.int8)

    @property
    def interval_s(self) -> int:
        return 60

    def on_close(self, view: MarketView) -> list[Wish]:
        self._know(view.tokens)
        rsi, atr, minutes = (view.feature(name) for name in self.requires)
        marks, self._before, self._stands = self._step(rsi, atr, minutes, self._before, self._stands)
        return [self._wish(row, int(marks[row])) for row in np.flatnonzero(marks).tolist()]

    def over_session(self, view: SessionView) -> SessionWishes:
        rsi, atr, minutes = (view.features[:, :, view.names.index(name)] for name in self.requires)
        sides = np.zeros(rsi.shape, dtype=np.int8)
        before, stands = np.full(rsi.shape[1], np.nan), np.zeros(rsi.shape[1], dtype=np.int8)
        for close in range(len(rsi)):
            sides[close], before, stands = self._step(rsi[close], atr[close], minutes[close], before, stands)
        return SessionWishes(
            side=sides,
            horizon_s=int(self._p["horizon_s"]),
            stop_bps=int(self._p["stop_bps"]),
            take_profit_bps=int(self._p["take_profit_bps"]),
        )

    def _step(
        self, rsi: Floats, atr: Floats, minutes: Floats, before: Floats, stands: Marks
    ) -> tuple[Marks, Floats, Marks]:
        """One close: marks, and what to remember. A NaN crosses nothing and is not remembered."""
        p = self._p
        ready = (atr >= p["min_atr_bps"]) & (minutes >= p["from_minute"]) & (minutes <= p["to_minute"])
        up = ready & (before < p["oversold"]) & (rsi >= p["oversold"])
        down = ready & (before > p["overbought"]) & (rsi <= p["overbought"])
        done = ((stands == BUY) & (rsi >= MIDDLE)) | ((stands == SELL) & (rsi <= MIDDLE))
        marks = np.zeros(len(rsi), dtype=np.int8)
        marks[up & (stands != BUY)] = BUY
        marks[down & (stands != SELL)] = SELL
        marks[done] = LEAVE
        after = np.where(marks == LEAVE, 0, np.where(marks != 0, marks, stands)).astype(np.int8)
        return marks, np.where(np.isnan(rsi), before, rsi), after

    def _know(self, tokens: Integers) -> None:
        """Bring what is remembered into the order of `tokens`; those not seen before begin empty."""
        if tokens.tobytes() == self._tokens.tobytes():  # at every close, of few instruments
            return
        known = {token: row for row, token in enumerate(self._tokens.tolist())}
        rows = [known.get(token, -1) for token in tokens.tolist()]
        self._before = np.array([self._before[row] if row >= 0 else np.nan for row in rows])
        self._stands = np.array([self._stands[row] if row >= 0 else 0 for row in rows], dtype=np.int8)
        self._tokens = tokens.copy()

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
        state = (self._tokens.tolist(), self._before.tobytes(), self._stands.tobytes())
        return msgspec.msgpack.encode(state)

    def restore(self, blob: bytes) -> None:
        tokens, before, stands = msgspec.msgpack.decode(blob, type=tuple[list[int], bytes, bytes])
        self._tokens = np.array(tokens, dtype=np.int64)
        self._before = np.frombuffer(before, dtype=np.float64).copy()
        self._stands = np.frombuffer(stands, dtype=np.int8).copy()
