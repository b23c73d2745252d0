"""Features of closed 1 m bars: the same kernel at each live 1 m close and over months of bars in research.

    MinuteShard(n).on_minutes(close_at, open, high, low, close, volume, present) -> float64[k, n, F]

What a row says at a minute depends on the bars of that session up to that minute alone. Nothing crosses
from one session to the next but the previous close, the one thing that Kite's packets and every table of bars
have. The values are the same bits however the minutes are cut into calls, restored between them or not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kitepilot.kernels import (
    minute_flow,
    minute_market,
    minute_regime,
    minute_returns,
    minute_session,
    minute_volatility,
    minute_volume,
)
from kitepilot.kernels import minute_layout as at
from kitepilot.kernels.compiled import kernel
from kitepilot.kernels.feature_docs import FeatureDoc
from kitepilot.kernels.minute_flow import flow_minute_features
from kitepilot.kernels.minute_layout import FLOW, LAST_MINUTE, MARKET_AGE, MAX_GAP, STEP
from kitepilot.kernels.minute_market import market_features, sum_up_market, take_market
from kitepilot.kernels.minute_ranks import room_for
from kitepilot.kernels.minute_regime import regime_features
from kitepilot.kernels.minute_returns import return_features
from kitepilot.kernels.minute_session import session_features
from kitepilot.kernels.minute_state import MinuteState, pack, unpack
from kitepilot.kernels.minute_volatility import volatility_features
from kitepilot.kernels.minute_volume import volume_features
from kitepilot.kernels.minute_windows import back, fill_base, fill_flow, fill_minute, fill_totals, sum_up

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
MINUTE_NS = 60_000_000_000

MINUTE_DOCS: tuple[FeatureDoc, ...] = (
    *minute_returns.DOCS,
    *minute_volatility.DOCS,
    *minute_volume.DOCS,
    *minute_flow.DOCS,
    *minute_session.DOCS,
    *minute_market.DOCS,
    *minute_regime.DOCS,
)
MINUTE_NAMES: tuple[str, ...] = tuple(doc.name for doc in MINUTE_DOCS)
MINUTES = len(MINUTE_NAMES)

_VOLATILITY = len(minute_returns.DOCS)
_VOLUME = _VOLATILITY + len(minute_volatility.DOCS)
_FLOW = _VOLUME + len(minute_volume.DOCS)
_SESSION = _FLOW + len(minute_flow.DOCS)
_MARKET = _SESSION + len(minute_session.DOCS)
_REGIME = _MARKET + len(minute_market.DOCS)
_VOLUME_RATIO = MINUTE_NAMES.index("volume_ratio_5_60")


@kernel
def _take(
    minute: int,
    flow: Floats,
    now: Floats,
    state: Floats,
    base: Floats,
    sums: Floats,
    market: Floats,
    clock: Ints,
) -> None:
    """The minute in `now` into rings, sums and the market."""
    clock[STEP] += 1
    clock[LAST_MINUTE] = minute
    step = clock[STEP]
    place = back(step, 0)
    fill_totals(now, state)
    fill_base(now, state, base, place)
    fill_flow(flow, now, state, base, place)
    mean = take_market(now, state, base, market, clock, step)
    sum_up(base, sums, mean, step)
    sum_up_market(market, step)


@kernel
def _speak(
    now: Floats,
    state: Floats,
    base: Floats,
    sums: Floats,
    market: Floats,
    clock: Ints,
    scratch: Floats,
    room: Ints,
    out: Floats,
) -> None:
    """Every feature of the minute just taken into out float64[F, n]."""
    step = clock[STEP]
    return_features(now, state, base, sums, step, out)
    volatility_features(now, state, sums, step, out[_VOLATILITY:])
    volume_features(now, state, sums, step, out[_VOLUME:])
    flow_minute_features(now, sums, step, out[_FLOW:])
    session_features(now, out[_SESSION:])
    market_features(
        now,
        state,
        sums,
        market,
        clock[MARKET_AGE],
        step,
        out,
        out[_VOLUME_RATIO],
        scratch,
        room,
        out[_MARKET:],
    )
    regime_features(now, state, base, sums, step, out[_REGIME:])


@kernel
def _anyone(present: Flags) -> bool:
    shown = False
    for row in range(present.size):
        shown = shown or bool(present[row])
    return shown


@kernel
def _silence(out: Floats) -> None:
    for column in range(out.shape[0]):
        for row in range(out.shape[1]):
            out[column, row] = np.nan


@kernel
def close_minutes(
    minutes: Ints,
    opened: Ints,
    high: Ints,
    low: Ints,
    close: Ints,
    volume: Ints,
    present: Flags,
    absent: Flags,
    flows: Floats,
    unknown: Floats,
    now: Floats,
    state: Floats,
    base: Floats,
    sums: Floats,
    market: Floats,
    clock: Ints,
    scratch: Floats,
    room: Ints,
    first: int,
    out: Floats,
) -> None:
    """k minutes in order: bars int64[k, n] and flows float64[k, 4, n or 0] -> out float64[k, first + F, n].

    The columns of out before `first` are left alone. Minutes that nobody closed are caught up with as minutes
    without a bar. Before the session's first bar nothing is remembered of a minute: it does not matter when
    the shard began to look.
    """
    for index in range(minutes.size):
        begun = clock[LAST_MINUTE] >= 0
        missed = min(minutes[index] - clock[LAST_MINUTE] - 1, MAX_GAP) if begun else 0
        for gap in range(missed):
            minute = minutes[index] - missed + gap
            fill_minute(
                minute,
                opened[index],
                high[index],
                low[index],
                close[index],
                volume[index],
                absent,
                now,
                state,
            )
            _take(minute, unknown, now, state, base, sums, market, clock)
            _speak(now, state, base, sums, market, clock, scratch, room, out[index, first:])
        if not begun and not _anyone(present[index]):
            _silence(out[index, first:])
            continue
        fill_minute(
            minutes[index],
            opened[index],
            high[index],
            low[index],
            close[index],
            volume[index],
            present[index],
            now,
            state,
        )
        _take(minutes[index], flows[index], now, state, base, sums, market, clock)
        _speak(now, state, base, sums, market, clock, scratch, room, out[index, first:])


class MinuteShard:
    """State of n instruments. Not thread-safe; a session begins with `begin_session`."""

    def __init__(self, n: int) -> None:
        self.n = n
        self._absent = np.zeros(n, dtype=np.bool_)
        self._unknown = np.empty((FLOW, 0))
        self._now = np.zeros((at.NOW, n))
        self._scratch = np.zeros((2, n))
        self._room = np.zeros(room_for(n), dtype=np.int64)
        self._state = MinuteState.empty(n)

    def begin_session(
        self, open_at: Ints, close_at: Ints, tradable: Flags, previous_close_paise: Ints | None = None
    ) -> None:
        """Forget everything and begin anew. All [n]; times ns UTC of the continuous session.

        `tradable` is False for an index. `previous_close_paise` is 0 where it is not known; it may be told
        later by `tell_previous_close`.
        """
        self._state = MinuteState.empty(self.n)
        state = self._state.state
        state[at.OPENS] = open_at // MINUTE_NS
        state[at.CLOSES] = close_at // MINUTE_NS
        state[at.TRADABLE] = tradable
        if previous_close_paise is not None:
            self.tell_previous_close(previous_close_paise)

    def tell_previous_close(self, previous_close_paise: Ints) -> None:
        """int64[n], 0 where it is not known (yet)."""
        self._state.state[at.PREVIOUS_CLOSE] = previous_close_paise

    def on_minutes(
        self,
        close_at: Ints,
        opened: Ints,
        high: Ints,
        low: Ints,
        close: Ints,
        volume: Ints,
        present: Flags,
        flow: Floats | None = None,
        into: Floats | None = None,
    ) -> Floats:
        """Take k minutes in order of time; the features at each close, float64[k, n, F] by `MINUTE_NAMES`.

        `close_at` int64[k] is ns UTC; bars are int64[k, n] (paise, shares) and mean nothing where `present`
        bool[k, n] is False: there the features are NaN. `flow` float64[k, 4, n] has signed volume (shares),
        packets, mean spread (bps) and mean imbalance of each minute, NaN where unknown; None from bars alone.
        The answer is a view, one feature of all instruments contiguous; with `into` float64[k, G + F, n] it
        is of the last F columns there, and the first G are left alone.

        Raises:
            ValueError: a minute that is not after the one before it.
        """
        minutes = np.ascontiguousarray(close_at // MINUTE_NS - 1)
        newest = int(self._state.clock[LAST_MINUTE])
        if len(minutes) and (minutes[0] <= newest or np.any(np.diff(minutes) <= 0)):
            raise ValueError("the minutes are not in order, or one of them was taken before")
        known = self._state
        unknown = np.empty((len(minutes), FLOW, 0))
        out = np.empty((len(minutes), MINUTES, self.n)) if into is None else into
        first = out.shape[1] - MINUTES
        close_minutes(
            minutes,
            _whole(opened),
            _whole(high),
            _whole(low),
            _whole(close),
            _whole(volume),
            np.ascontiguousarray(present, dtype=np.bool_),
            self._absent,
            unknown if flow is None else np.ascontiguousarray(flow),
            self._unknown,
            self._now,
            known.state,
            known.base,
            known.sums,
            known.market,
            known.clock,
            self._scratch,
            self._room,
            first,
            out,
        )
        return out[:, first:].transpose(0, 2, 1)

    def snapshot(self) -> bytes:
        """Everything the next minute depends on, as plain little-endian arrays (msgpack)."""
        return pack(self._state)

    def restore(self, blob: bytes) -> None:
        """Go on as the shard that made `blob`.

        Raises:
            SnapshotError: not a snapshot, another version or another number of instruments.
        """
        self._state = unpack(blob, self.n)


def _whole(column: Ints) -> Ints:
    return np.ascontiguousarray(column, dtype=np.int64)
