"""One order against one bar -> what it fills, and at which price: scalar kernels, shared by every bar engine.

Prices are paise, quantities shares, `sign` +1 buys and -1 sells. Every price that comes out lies within the
bar's low and high, whatever goes in; nothing fills where nothing was traded. The rules in words, with the
order of events inside a bar: docs/reference/backtest-fills.md.

The compiled engines call these very functions, so that they cannot differ from the exact one. All of it is
+ - * / and sqrt in the order written, without fast-math: the same bits everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")
BPS = 10_000
NOTHING = (0, 0)
GRID_EPSILON = 1e-9  # of a tick: a price that is on the grid but for rounding stays where it is


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compiled on first call. Kernels here call only each other, so numba's cache notices a change."""
    compiled: Callable[P, R] = numba.njit(cache=True, error_model="numpy", nogil=True)(function)
    return compiled


@kernel
def worse_on_grid(reference: int, bps: float, sign: int, tick: int) -> int:
    """The price `bps` worse than `reference` for that side, rounded away from us to the tick grid."""
    ticks = (reference + sign * reference * bps / BPS) / tick
    if sign > 0:
        return math.ceil(ticks - GRID_EPSILON) * tick
    return max(math.floor(ticks + GRID_EPSILON), 1) * tick


@kernel
def touch(last: int, half_spread_bps: float, tick: int) -> tuple[int, int]:
    """(bid, ask) around a last price, at least a tick apart."""
    bid = worse_on_grid(last, half_spread_bps, -1, tick)
    return bid, max(worse_on_grid(last, half_spread_bps, 1, tick), bid + tick)


@kernel
def room(volume: int, taken: int, participation_bps: int) -> int:
    """Shares of a bar that may still be ours: a share of what was traded, less what we took of it."""
    return max(volume * participation_bps // BPS - taken, 0)


@kernel
def arriving(
    sign: int,
    quantity: int,
    limit: int,
    reference: int,
    low: int,
    high: int,
    tick: int,
    volume: int,
    taken: int,
    half_spread_bps: float,
    impact_bps: float,
    participation_bps: int,
) -> tuple[int, int]:
    """An order that arrives while the price is `reference`: (price, shares), (0, 0) when nothing fills.

    It pays half the spread, and an impact that grows with the root of its share of the bar's volume (ours
    included that traded before it). `limit` 0 is none. An order whose limit is not reached by the touch fills
    nothing; one whose limit the impact passes fills as much as the limit pays for.
    """
    shares = min(quantity, room(volume, taken, participation_bps))
    if shares <= 0 or reference <= 0:
        return NOTHING
    if limit > 0:
        distance_bps = sign * (limit - reference) * float(BPS) / reference - half_spread_bps
        if sign * (worse_on_grid(reference, half_spread_bps, sign, tick) - limit) > 0 or distance_bps < 0.0:
            return NOTHING
        if impact_bps > 0.0:
            deep = distance_bps / impact_bps
            shares = min(shares, int(volume * deep * deep) - taken)
        if shares <= 0:
            return NOTHING
    impact = impact_bps * math.sqrt((taken + shares) / volume)
    price = worse_on_grid(reference, half_spread_bps + impact, sign, tick)
    if limit > 0 and sign * (price - limit) > 0:
        price = limit
    return min(max(price, low), high), shares


@kernel
def resting(
    sign: int,
    quantity: int,
    limit: int,
    low: int,
    high: int,
    volume: int,
    taken: int,
    participation_bps: int,
    queue_bps: int,
) -> tuple[int, int]:
    """A limit order that waits through a bar: (its limit, shares), (0, 0) when nothing fills.

    Traded through: our share of the volume. Traded at, no further: of that only the part that the queue in
    front of us leaves.
    """
    extreme = low if sign > 0 else high
    beyond = sign * (limit - extreme)
    if beyond < 0:
        return NOTHING
    share = participation_bps if beyond > 0 else participation_bps * queue_bps // BPS
    shares = min(quantity, room(volume, taken, share))
    if shares <= 0:
        return NOTHING
    return min(max(limit, low), high), shares


@kernel
def stop_price(held: int, cost: int, stop_bps: int, tick: int) -> int:
    """The first grid price that stops a position of `held` shares (signed) which cost `cost` paise."""
    if held > 0:
        return cost * (BPS - stop_bps) // (BPS * held) // tick * tick
    most = -(-cost * (BPS + stop_bps) // (BPS * -held))
    return -(-most // tick) * tick


@kernel
def profit_price(held: int, cost: int, take_profit_bps: int, tick: int) -> int:
    """The first grid price at which it takes its profit."""
    if held > 0:
        least = -(-cost * (BPS + take_profit_bps) // (BPS * held))
        return -(-least // tick) * tick
    return cost * (BPS - take_profit_bps) // (BPS * -held) // tick * tick


@kernel
def reached(
    held: int, cost: int, stop_bps: int, take_profit_bps: int, tick: int, opened: int, low: int, high: int
) -> tuple[int, int]:
    """(stop, profit): the price at which a bar stops a position, or takes its profit; 0 where it does not.

    A bar that opens past the price triggers at its open. Which of the two came first a bar cannot say: the
    stop is taken to have (the caller looks at it first).
    """
    sign = 1 if held > 0 else -1
    stopped = profited = 0
    if stop_bps > 0:
        at = stop_price(held, cost, stop_bps, tick)
        worst = low if sign > 0 else high
        if sign * (worst - at) <= 0:
            stopped = opened if sign * (opened - at) <= 0 else at
    if take_profit_bps > 0:
        at = profit_price(held, cost, take_profit_bps, tick)
        best = high if sign > 0 else low
        if sign * (best - at) >= 0:
            profited = opened if sign * (opened - at) >= 0 else at
    return stopped, profited


@kernel
def locked(previous_close: int, high: int, low: int, tick: int) -> int:
    """+1: a bar in which nobody sells (locked at the upper circuit), -1: nobody buys, 0: neither.

    A bar of one price that stands at 2, 5, 10 or 20 % from the previous close, to the tick: NSE's fixed price
    bands of stocks without derivatives (facts of NSE's price bands, read 2026-11). The bands themselves are
    not in bars, so this is what a lock looks like there.
    """
    if high != low or previous_close <= 0:
        return 0
    for percent in (2, 5, 10, 20):
        move = previous_close * percent
        if abs((high - previous_close) * 100 - move) <= tick * 100:
            return 1
        if abs((high - previous_close) * 100 + move) <= tick * 100:
            return -1
    return 0
