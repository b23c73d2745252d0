"""A closed second into 1 s bars, and 60 of them into 1 m bars.

A silent instrument that has traded today gets a flat bar (its last close, volume 0, no ticks) for every
second of its continuous session; before its first trade there is none. A 1 m bar is made of the 1 s bars of
its minute; one that began in the middle (the process started late, or the clock leapt) covers what was seen.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kitepilot.kernels.compiled import kernel
from kitepilot.kernels.layout import (
    AGE,
    ASK,
    BID,
    BOOK_BID,
    CHANGED,
    CLOSE,
    CLOSE_S,
    HIGH,
    LAST,
    LOW,
    M_BOOKS,
    M_HIGH,
    M_IMBALANCE,
    M_LOW,
    M_OPEN,
    M_SECONDS,
    M_SIGNED,
    M_SPREAD,
    M_TICKS,
    M_VOLUME,
    NEXT_S,
    NOTIONAL,
    NS,
    O_ASK,
    O_BID,
    O_CHANGED,
    O_LAST,
    O_MINUTE,
    O_QUOTED_AT,
    O_SECOND,
    OPEN_S,
    QUOTED_S,
    S_BID,
    S_CLOSE,
    S_HIGH,
    S_LOW,
    S_NOTIONAL,
    S_OPEN,
    S_TICKS,
    S_VOLUME,
    TRADED,
)
from kitepilot.kernels.minute_layout import F_IMBALANCE, F_SIGNED, F_SPREAD, F_TICKS

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@kernel
def _take_ticks(inst: Ints, slot: Ints) -> None:
    """The second's ticks into the session's totals and the book the features see."""
    first = inst[AGE] == 0
    inst[HIGH] = slot[S_HIGH] if first else max(inst[HIGH], slot[S_HIGH])
    inst[LOW] = slot[S_LOW] if first else min(inst[LOW], slot[S_LOW])
    inst[CLOSE] = slot[S_CLOSE]
    inst[TRADED] += slot[S_VOLUME]
    inst[NOTIONAL] += slot[S_NOTIONAL]
    for side in range(6):
        inst[BOOK_BID + side] = slot[S_BID + side]


@kernel
def _flatten(inst: Ints, slot: Ints) -> None:
    slot[:] = 0
    slot[S_OPEN] = inst[CLOSE]
    slot[S_HIGH] = inst[CLOSE]
    slot[S_LOW] = inst[CLOSE]
    slot[S_CLOSE] = inst[CLOSE]


@kernel
def _into_minute(inst: Ints, slot: Ints) -> None:
    first = inst[M_SECONDS] == 0
    inst[M_OPEN] = slot[S_OPEN] if first else inst[M_OPEN]
    inst[M_HIGH] = slot[S_HIGH] if first else max(inst[M_HIGH], slot[S_HIGH])
    inst[M_LOW] = slot[S_LOW] if first else min(inst[M_LOW], slot[S_LOW])
    inst[M_VOLUME] = slot[S_VOLUME] + (0 if first else inst[M_VOLUME])
    inst[M_TICKS] = slot[S_TICKS] + (0 if first else inst[M_TICKS])
    inst[M_SECONDS] += 1


@kernel
def _write(out: Ints, line: int, column: int, row: int, bar: tuple[int, int, int, int, int, int]) -> None:
    out[line, column] = row
    for field in range(6):
        out[line + 1 + field, column] = bar[field]


@kernel
def close_bars(second: int, terms: Ints, inst: Ints, slot: Ints, out: Ints) -> tuple[int, int]:
    """Close `second`: bars and quotes into `out`; how many 1 s and 1 m bars there are.

    `slot` is the open second's int64[n, SLOT]; a row without a bar has AGE 0 or stays as it was. AGE is the
    number of 1 s bars so far. The quotes are the newest accepted ones: up to the grace newer than the second.
    """
    seconds = 0
    minutes = 0
    for row in range(inst.shape[0]):
        mine = inst[row]
        here = slot[row]
        if here[S_TICKS] > 0:
            _take_ticks(mine, here)
        elif mine[AGE] > 0:
            _flatten(mine, here)
        if (here[S_TICKS] > 0 or mine[AGE] > 0) and terms[row, OPEN_S] <= second < terms[row, CLOSE_S]:
            mine[AGE] += 1
            _into_minute(mine, here)
            bar = (here[S_OPEN], here[S_HIGH], here[S_LOW], here[S_CLOSE], here[S_VOLUME], here[S_TICKS])
            _write(out, O_SECOND, seconds, row, bar)
            seconds += 1
        if (second + 1) % 60 == 0 and mine[M_SECONDS] > 0:
            bar = (mine[M_OPEN], mine[M_HIGH], mine[M_LOW], mine[CLOSE], mine[M_VOLUME], mine[M_TICKS])
            _write(out, O_MINUTE, minutes, row, bar)
            minutes += 1
            mine[M_SECONDS] = 0
        out[O_LAST, row] = mine[LAST]
        out[O_BID, row] = mine[BID]
        out[O_ASK, row] = mine[ASK]
        out[O_QUOTED_AT, row] = mine[QUOTED_S] * NS
        out[O_CHANGED, row] = mine[CHANGED]
        mine[CHANGED] = 0
    return seconds, minutes


@kernel
def begin_flow(inst: Ints, sums: Floats, row: int) -> None:
    """Nothing is known yet of the open minute's signs and book."""
    inst[row, M_SIGNED] = 0
    inst[row, M_BOOKS] = 0
    sums[row, M_SPREAD] = 0.0
    sums[row, M_IMBALANCE] = 0.0


@kernel
def take_minute(
    minutes: int, out: Ints, inst: Ints, sums: Floats, bars: Ints, present: Flags, flow: Floats
) -> None:
    """The 1 m bars in `out` by instrument: int64[5, n], bool[n], flow float64[4, n]; the next begins."""
    for row in range(inst.shape[0]):
        present[row] = False
    for column in range(minutes):
        row = out[O_MINUTE, column]
        present[row] = True
        for field in range(5):
            bars[field, row] = out[O_MINUTE + 1 + field, column]
        books = float(inst[row, M_BOOKS])
        flow[F_SIGNED, row] = float(inst[row, M_SIGNED])
        flow[F_TICKS, row] = float(out[O_MINUTE + 6, column])
        flow[F_SPREAD, row] = sums[row, M_SPREAD] / books if books > 0.0 else np.nan
        flow[F_IMBALANCE, row] = sums[row, M_IMBALANCE] / books if books > 0.0 else np.nan
        begin_flow(inst, sums, row)


@kernel
def skip_to(second: int, inst: Ints, sums: Floats, clock: Ints) -> int:
    """Leave out the 1 s bars up to `second`; how many. The open minute is dropped: it would be a lie."""
    skipped = int(second - clock[NEXT_S])
    clock[NEXT_S] = second
    inst[:, M_SECONDS] = 0
    for row in range(inst.shape[0]):
        begin_flow(inst, sums, row)
    return skipped
