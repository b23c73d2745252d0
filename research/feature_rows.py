"""Sessions of bars into feature rows, by the kernels that the live flow uses.

    for bars, features in features_of(source): ...   # float64[m, n, F], columns FEATURE_NAMES

Second features are made of ticks, so bars alone leave them NaN, all but `minutes_since_open`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import numpy as np
import numpy.typing as npt

from kitepilot.kernels.features import FEATURE_NAMES, FEATURES, SECOND_NAMES, SECONDS
from kitepilot.kernels.minutes import MinuteShard
from kitepilot.market import calendar
from kitepilot.market.ticks import SEGMENT_INDICES
from research.bars import MINUTE_NS, BarSource, SessionBars
from research.closing_auctions import continuous_closes
from research.lent_arrays import LentArrays

__all__ = ["FEATURE_NAMES", "features_of", "minute_features"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
SEGMENT_MASK = 0xFF


def features_of(
    source: BarSource, sessions: Sequence[date] | None = None
) -> Iterator[tuple[SessionBars, Floats]]:
    """Each session's bars with float64[m, n, F] over `FEATURE_NAMES`; one session in memory at a time.

    `sessions` chooses some of the source's, in their order. A row without a bar is NaN throughout. The rows
    are a view: one feature of all instruments is contiguous. Their memory serves a later session once nothing
    refers to them any more.
    """
    since_open, room = SECOND_NAMES.index("minutes_since_open"), LentArrays()
    for day in source.sessions if sessions is None else sessions:
        bars = source.read(day)
        minutes, instruments = bars.present.shape
        columns = room.lend((minutes, FEATURES, instruments))
        columns[:, :SECONDS] = np.nan
        elapsed = (bars.close_at - session_span(bars)[0]) / MINUTE_NS
        columns[:, since_open] = np.where(bars.present, elapsed[:, None], np.nan)
        minute_features(bars, columns)
        yield bars, columns.transpose(0, 2, 1)


def minute_features(bars: SessionBars, into: Floats | None = None) -> Floats:
    """The minute features of one session, float64[m, n, F'] over `MINUTE_NAMES`: a view, made in one pass.

    `into`: see `MinuteShard.on_minutes`.
    """
    n = len(bars.symbols)
    open_at, closes_at = session_span(bars)
    shard = MinuteShard(n)
    shard.begin_session(
        np.full(n, open_at),
        closes_at,
        bars.tokens & SEGMENT_MASK != SEGMENT_INDICES,
        bars.previous_close_paise,
    )
    return shard.on_minutes(
        bars.close_at, bars.open, bars.high, bars.low, bars.close, bars.volume, bars.present, None, into
    )


def session_span(bars: SessionBars) -> tuple[int, Ints]:
    """(open, int64[n] closes) of continuous trading, ns UTC: by the calendar, as the live desk has them.

    09:15 to 15:30 where the calendar says nothing.
    """
    try:
        session = calendar.session(bars.session, allow_special=True)
    except calendar.CalendarError:
        closes = calendar.ist_ns(bars.session, "15:30")
        return calendar.ist_ns(bars.session, "09:15"), np.full(len(bars.symbols), closes)
    return session.open_at, continuous_closes(bars, session)
