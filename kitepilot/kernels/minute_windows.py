"""A closed minute into the ring of minutes and the running sums that every window is cut from.

A minute without a bar, once an instrument has begun, counts as flat at its last close with no volume: windows
are of the clock, whatever the feed left out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kitepilot.kernels import minute_layout as at
from kitepilot.kernels.compiled import kernel
from kitepilot.kernels.minute_layout import (
    AGE,
    CLOSE,
    CLOSES,
    FIRST_CLOSE,
    FIRST_OPEN,
    FLOW_AGE,
    MAX_MONEY,
    MAX_NOTIONAL,
    MAX_RETURN,
    MAX_SHARES,
    MAX_SPREAD,
    MILLI,
    NOTIONAL_TOTAL,
    OPENS,
    RING,
    VOLUME_TOTAL,
)

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
BPS = 10_000.0
_ROUNDER = 1.5 * 2.0**52  # added and taken away again, it leaves a whole number


@kernel
def whole(value: float, most: float) -> float:
    """The nearest whole number within +-most; `most` is below 2**50."""
    return (min(max(value, -most), most) + _ROUNDER) - _ROUNDER


@kernel
def back(step: int, minutes: int) -> int:
    """Place in a ring of the minute `minutes` before `step`."""
    return (step - minutes) % RING


@kernel
def fill_minute(
    minute: int,
    opened: Ints,
    high: Ints,
    low: Ints,
    close: Ints,
    volume: Ints,
    present: Flags,
    now: Floats,
    state: Floats,
) -> None:
    """The bars of one minute int64[n] into `now`; a row without one is flat, a row not begun is all zero."""
    for row in range(present.size):
        shown = present[row]
        before = state[CLOSE, row]
        first = shown and state[AGE, row] == 0.0
        begun = shown or state[AGE, row] > 0.0
        state[AGE, row] += 1.0 if begun else 0.0
        last = float(close[row]) if shown else before
        now[at.N_OPEN, row] = float(opened[row]) if shown else last
        now[at.N_HIGH, row] = float(high[row]) if shown else last
        now[at.N_LOW, row] = float(low[row]) if shown else last
        now[at.N_CLOSE, row] = last
        now[at.N_BEFORE, row] = last if first else before
        now[at.N_VOLUME, row] = min(float(volume[row]), MAX_SHARES) if shown else 0.0
        now[at.N_READY, row] = state[AGE, row] if shown else 0.0
        now[at.N_SINCE_OPEN, row] = float(minute) + 1.0 - state[OPENS, row]
        now[at.N_MINUTES_LEFT, row] = state[CLOSES, row] - float(minute) - 1.0
        if first:
            state[FIRST_OPEN, row] = float(opened[row])
            state[FIRST_CLOSE, row] = last
        state[CLOSE, row] = last


@kernel
def fill_flow(flow: Floats, now: Floats, state: Floats, base: Floats, place: int) -> None:
    """The minute's flow float64[4, n] (n may be 0: nothing is known) into `base`."""
    known = flow.shape[1] > 0
    for row in range(now.shape[1]):
        signed = flow[at.F_SIGNED, row] if known else np.nan
        ticks = flow[at.F_TICKS, row] if known else np.nan
        spread = flow[at.F_SPREAD, row] if known else np.nan
        shown = now[at.N_READY, row] > 0.0
        told = shown and not np.isnan(signed + ticks)
        booked = shown and not np.isnan(spread)
        if told or (not shown and state[FLOW_AGE, row] > 0.0):
            state[FLOW_AGE, row] += 1.0
        else:
            state[FLOW_AGE, row] = 0.0
        now[at.N_FLOW_READY, row] = state[FLOW_AGE, row] if told else 0.0
        money = signed * now[at.N_CLOSE, row] / at.PAISE_PER_MONEY
        base[place, at.B_SIGNED, row] = whole(signed, MAX_SHARES) if told else 0.0
        base[place, at.B_MONEY, row] = whole(money, MAX_MONEY) if told else 0.0
        base[place, at.B_TICKS, row] = whole(ticks, MAX_SHARES) if told else 0.0
        base[place, at.B_BOOKS, row] = 1.0 if booked else 0.0
        base[place, at.B_SPREAD, row] = whole(spread * MILLI, MAX_SPREAD) if booked else 0.0
        imbalance = flow[at.F_IMBALANCE, row] * at.IMBALANCE_UNIT if booked else 0.0
        base[place, at.B_IMBALANCE, row] = whole(imbalance, at.IMBALANCE_UNIT)


@kernel
def _copy(source: Floats, out: Floats) -> None:
    for row in range(out.size):
        out[row] = source[row]


@kernel
def _change(now: Floats, then: Floats, out: Floats) -> None:
    """now over then, less 1, in thousandths of a basis point; 0 where `then` is not known."""
    for row in range(out.size):
        moved = whole((now[row] - then[row]) / then[row] * BPS * MILLI, MAX_RETURN)
        out[row] = moved if then[row] > 0.0 else 0.0


@kernel
def _range(high: Floats, low: Floats, close: Floats, out: Floats) -> None:
    for row in range(out.size):
        width = whole((high[row] - low[row]) / close[row] * BPS * MILLI, MAX_RETURN)
        out[row] = width if close[row] > 0.0 else 0.0


@kernel
def _push(now: Floats, out: Floats) -> None:
    for row in range(out.size):
        width = now[at.N_HIGH, row] - now[at.N_LOW, row]
        side = (2.0 * now[at.N_CLOSE, row] - now[at.N_HIGH, row] - now[at.N_LOW, row]) / width
        out[row] = whole(side * now[at.N_VOLUME, row], MAX_SHARES) if width > 0.0 else 0.0


@kernel
def fill_base(now: Floats, state: Floats, base: Floats, place: int) -> None:
    """What of the minute's bars is remembered."""
    _copy(now[at.N_CLOSE], base[place, at.B_CLOSE])
    _copy(now[at.N_HIGH], base[place, at.B_HIGH])
    _copy(now[at.N_LOW], base[place, at.B_LOW])
    _copy(now[at.N_VOLUME], base[place, at.B_VOLUME])
    _change(now[at.N_CLOSE], now[at.N_BEFORE], base[place, at.B_RETURN])
    _change(now[at.N_CLOSE], now[at.N_OPEN], base[place, at.B_BODY])
    _change(now[at.N_CLOSE], state[FIRST_CLOSE], base[place, at.B_PLACE])
    _range(now[at.N_HIGH], now[at.N_LOW], now[at.N_CLOSE], base[place, at.B_RANGE])
    _push(now, base[place, at.B_PUSH])


@kernel
def fill_totals(now: Floats, state: Floats) -> None:
    """The session's volume and notional so far."""
    for row in range(now.shape[1]):
        typical = now[at.N_HIGH, row] + now[at.N_LOW, row] + now[at.N_CLOSE, row]
        state[NOTIONAL_TOTAL, row] += min(typical * now[at.N_VOLUME, row], MAX_NOTIONAL)
        state[VOLUME_TOTAL, row] += now[at.N_VOLUME, row]


@kernel
def _plus(before: Floats, value: Floats, out: Floats) -> None:
    for row in range(out.size):
        out[row] = before[row] + value[row]


@kernel
def _plus_product(before: Floats, one: Floats, other: Floats, out: Floats) -> None:
    for row in range(out.size):
        out[row] = before[row] + one[row] * other[row]


@kernel
def _plus_magnitudes(before: Floats, one: Floats, other: Floats, out: Floats) -> None:
    for row in range(out.size):
        out[row] = before[row] + abs(one[row] * other[row])


@kernel
def _plus_times(before: Floats, value: Floats, times: float, out: Floats) -> None:
    for row in range(out.size):
        out[row] = before[row] + value[row] * times


@kernel
def _plus_gains(before: Floats, value: Floats, out: Floats) -> None:
    for row in range(out.size):
        gain = max(value[row], 0.0)
        out[row] = before[row] + gain * gain


@kernel
def _plus_size(before: Floats, value: Floats, out: Floats) -> None:
    for row in range(out.size):
        out[row] = before[row] + abs(value[row])


@kernel
def _plus_step(before: Floats, now: Floats, then: Floats, out: Floats) -> None:
    for row in range(out.size):
        out[row] = before[row] + (abs(now[row] - then[row]) if then[row] > 0.0 else 0.0)


@kernel
def _plus_sided(before: Floats, volume: Floats, moved: Floats, out: Floats) -> None:
    for row in range(out.size):
        side = 1.0 if moved[row] > 0.0 else (-1.0 if moved[row] < 0.0 else 0.0)
        out[row] = before[row] + side * volume[row]


@kernel
def _plus_square_of_five(before: Floats, newer: Floats, older: Floats, out: Floats) -> None:
    for row in range(out.size):
        moved = min(max(newer[row] - older[row], -MAX_RETURN), MAX_RETURN)
        out[row] = before[row] + moved * moved


@kernel
def _plus_notional(before: Floats, base: Floats, place: int, out: Floats) -> None:
    for row in range(out.size):
        typical = base[place, at.B_HIGH, row] + base[place, at.B_LOW, row] + base[place, at.B_CLOSE, row]
        out[row] = before[row] + min(typical * base[place, at.B_VOLUME, row], MAX_NOTIONAL)


@kernel
def sum_up(base: Floats, sums: Floats, mean: float, step: int) -> None:
    """The running sums of minute `step` from what is remembered of it; `mean` is the market's return."""
    here, last = back(step, 0), back(step, 1)
    before, out = sums[last], sums[here]
    moved, moved_last = base[here, at.B_RETURN], base[last, at.B_RETURN]
    _plus(before[at.C_RETURN], moved, out[at.C_RETURN])
    _plus_product(before[at.C_SQUARE], moved, moved, out[at.C_SQUARE])
    _plus_gains(before[at.C_UP], moved, out[at.C_UP])
    _plus_size(before[at.C_ABS], moved, out[at.C_ABS])
    _plus_product(before[at.C_LAG], moved, moved_last, out[at.C_LAG])
    _plus_magnitudes(before[at.C_BIPOWER], moved, moved_last, out[at.C_BIPOWER])
    _plus_times(before[at.C_MARKET], moved, mean, out[at.C_MARKET])
    five_ago = sums[back(step, 5), at.C_RETURN]
    _plus_square_of_five(before[at.C_RET5], out[at.C_RETURN], five_ago, out[at.C_RET5])
    _plus_product(before[at.C_RANGE], base[here, at.B_RANGE], base[here, at.B_RANGE], out[at.C_RANGE])
    _plus_product(before[at.C_BODY], base[here, at.B_BODY], base[here, at.B_BODY], out[at.C_BODY])
    _plus_product(before[at.C_PLACE2], base[here, at.B_PLACE], base[here, at.B_PLACE], out[at.C_PLACE2])
    _plus_step(before[at.C_PATH], base[here, at.B_CLOSE], base[last, at.B_CLOSE], out[at.C_PATH])
    _plus(before[at.C_PLACE], base[here, at.B_PLACE], out[at.C_PLACE])
    _plus(before[at.C_VOLUME], base[here, at.B_VOLUME], out[at.C_VOLUME])
    _plus_notional(before[at.C_NOTIONAL], base, here, out[at.C_NOTIONAL])
    _plus_sided(before[at.C_SIDED], base[here, at.B_VOLUME], moved, out[at.C_SIDED])
    _plus(before[at.C_PUSH], base[here, at.B_PUSH], out[at.C_PUSH])
    _plus(before[at.C_SIGNED], base[here, at.B_SIGNED], out[at.C_SIGNED])
    _plus(before[at.C_TICKS], base[here, at.B_TICKS], out[at.C_TICKS])
    _plus(before[at.C_SPREAD], base[here, at.B_SPREAD], out[at.C_SPREAD])
    _plus(before[at.C_BOOKS], base[here, at.B_BOOKS], out[at.C_BOOKS])
    _plus(before[at.C_IMBALANCE], base[here, at.B_IMBALANCE], out[at.C_IMBALANCE])
    _plus_product(before[at.C_IMPACT], base[here, at.B_MONEY], moved, out[at.C_IMPACT])
    _plus_product(before[at.C_MONEY2], base[here, at.B_MONEY], base[here, at.B_MONEY], out[at.C_MONEY2])
