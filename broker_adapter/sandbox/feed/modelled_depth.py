"""Packets for a recording that has only last price and cumulative volume: what is missing is modelled.

Derived from the rows: open, high, low and average price of the day, last trade's time and quantity. Modelled
around the last price: five levels, one to three units wide by recent volatility, where a unit is the larger
of a tick and about a basis point; the last price is at the ask after an uptick, at the bid after a downtick.
Everything is a function of the rows alone, so a duplicate row is a duplicate packet.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
HEAD_WORDS = 16


def head_words(
    token: int,
    previous_close: int,
    previous_trade_s: int,
    at_s: Ints,
    price: Ints,
    volume: Ints,
    session_s: tuple[int, int],
) -> npt.NDArray[np.uint32]:
    """The first 16 words of one symbol's packets, uint32[k, 16], rows in recorded order.

    `session_s` is the continuous session (open, close) in epoch seconds. Rows outside it show no trade of
    today of their own; before the first trade of the day the packet shows the previous session's.
    """
    live = (at_s >= session_s[0]) & (at_s <= session_s[1])
    highest = np.maximum.accumulate(np.where(live, volume, 0))
    traded = np.diff(highest, prepend=0)
    turnover = np.cumsum(traded * price)
    average = np.where(highest > 0, (2 * turnover + highest) // np.maximum(2 * highest, 1), 0)
    moved = live & ((traded > 0) | (np.diff(price, prepend=price[:1]) != 0))
    begun = np.maximum.accumulate(live)
    first = price[np.argmax(live)] if live.any() else previous_close
    high = np.maximum.accumulate(np.where(live, price, 0))
    low = np.minimum.accumulate(np.where(live, price, np.iinfo(np.int64).max))
    trade_s = np.maximum.accumulate(np.where(moved, at_s, previous_trade_s))
    seen = np.r_[0, traded[1:]]  # what traded before the first row is not one trade
    quantity = seen[_latest(seen > 0)]
    words = np.zeros((len(at_s), HEAD_WORDS), np.uint32)
    words[:, 0] = token
    words[:, 1] = price
    words[:, 2] = np.maximum(quantity, 1)
    words[:, 3] = average
    words[:, 4] = volume
    words[:, 7] = np.where(begun, first, previous_close)
    words[:, 8] = np.where(begun, high, previous_close)
    words[:, 9] = np.where(begun, low, previous_close)
    words[:, 10] = previous_close
    words[:, 11] = np.minimum(trade_s, np.maximum(at_s, previous_trade_s))
    words[:, 15] = np.maximum(at_s, 0)
    return words


def quotes(at_s: Ints, price: Ints, volume: Ints, tick: int) -> tuple[Ints, Ints, Ints, Ints]:
    """(bid paise, unit paise, spread in units, version) for each row of one symbol.

    `version` counts the rows that differ from the one before; it seeds the sizes.
    """
    change = np.diff(price, prepend=price[:1])
    new = (change != 0) | (np.diff(at_s, prepend=at_s[:1]) != 0) | (np.diff(volume, prepend=volume[:1]) != 0)
    version = np.cumsum(new)
    unit = np.maximum((price // 10_000 + tick // 2) // tick, 1) * tick
    distance = np.cumsum(np.abs(change))
    recent = distance - np.r_[np.zeros(min(30, len(distance)), np.int64), distance[:-30]]
    jitter = recent / (30.0 * unit)
    spread = 1 + (jitter > 0.6).astype(np.int64) + (jitter > 1.6)
    rising = change[_latest(change != 0)] > 0
    bid = np.maximum(price - np.where(rising, spread * unit, 0), tick)
    return bid, unit, spread, version


def depth_words(
    token: Ints, bid: Ints, unit: Ints, spread: Ints, version: Ints, touch: Ints
) -> npt.NDArray[np.uint32]:
    """Words 5, 6 and 16 to 45 of packets as uint32[k, 32]: total quantities, then ten levels."""
    words = np.zeros((len(bid), 32), np.uint32)
    noise = _noise(token, version)
    for side in range(2):
        best = bid if side == 0 else bid + spread * unit
        for level in range(5):
            price = np.maximum(best + (-level if side == 0 else level) * unit, 0)
            factor = 32 + ((noise >> np.uint64(6 * (5 * side + level))) & np.uint64(63)).astype(np.int64)
            size = np.clip(touch * (2 + level) * factor * factor // 4096, 1, 2_000_000_000)
            column = 2 + 15 * side + 3 * level
            words[:, column] = size
            words[:, column + 1] = price
            words[:, column + 2] = (1 + level + factor // 24).astype(np.uint32) << np.uint32(16)
        words[:, side] = np.clip(
            touch * (400 + (noise >> np.uint64(60 - side)).astype(np.int64)), 1, 2**32 - 1
        )
    return words


def _latest(mask: npt.NDArray[np.bool_]) -> Ints:
    """Index of the last true entry at or before each position; 0 where there is none."""
    return np.maximum.accumulate(np.where(mask, np.arange(len(mask)), 0))


def _noise(token: Ints, version: Ints) -> npt.NDArray[np.uint64]:
    """64 well-mixed bits per (token, version): SplitMix64's finaliser."""
    z = token.astype(np.uint64) * np.uint64(0xD1B54A32D192ED03) + version.astype(np.uint64) * np.uint64(
        0x9E3779B97F4A7C15
    )
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: npt.NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return mixed
