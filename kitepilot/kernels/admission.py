"""May a packet in? Repeats, packets of another time, absurd prices and shrunken volume, by reason."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kitepilot.kernels.compiled import kernel
from kitepilot.kernels.layout import (
    AFTER_CLOSE,
    AUCTION_TAIL_S,
    BAD_PRICE,
    BASELINE,
    CLOSE_S,
    DAY_S,
    DAY_START_S,
    FALLS,
    FALLS_TO_RESET,
    FUTURE,
    FUTURE_S,
    IS_INDEX,
    LAST,
    MAX_LEAP,
    MAX_PRICE_PAISE,
    NEGATIVE_VOLUME,
    NOT_FULL,
    NOT_TODAY,
    NS,
    OFF_GRID,
    OK,
    OPEN_S,
    PACKET_WORDS,
    PRE_OPEN,
    PRICE_FACTOR,
    STARTED,
    TICK_SIZE,
    VOLUME,
    VOLUME_FELL,
    W_AFTER_QUOTE,
    W_INDEX_PREVIOUS_CLOSE,
    W_LAST_PRICE,
    W_LAST_QUANTITY,
    W_LAST_TRADE,
    W_PREVIOUS_CLOSE,
    W_TOKEN,
    W_VOLUME,
    WATERMARK_NS,
    WORDS,
)

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint32]
Whole = int | np.int64  # int() of an unsigned word would stay unsigned in a kernel, so words become np.int64


@kernel
def is_repeat(words: Words, index: int, packets: Words, row: int) -> bool:
    """Same 184 bytes as the instrument's last packet? Keeps this one if not."""
    word = 0
    while word < PACKET_WORDS and words[index, W_TOKEN + word] == packets[row, word]:
        word += 1
    for later in range(word, PACKET_WORDS):
        packets[row, later] = words[index, W_TOKEN + later]
    return word == PACKET_WORDS


@kernel
def _untimed(words: Words, index: int) -> int:
    """A packet without exchange time is an ltp or quote packet if nothing follows, else it is from 1970."""
    for word in range(W_AFTER_QUOTE, WORDS):
        if words[index, word] != 0:
            return NOT_TODAY
    return NOT_FULL


@kernel
def place_of(words: Words, index: int, terms: Ints, inst: Ints, row: int, clock: Ints, second: Whole) -> int:
    """Which session, and where in it: OK when the tick falls into a second of continuous trading."""
    if second == 0:
        return _untimed(words, index)
    if not 0 <= second - terms[row, DAY_START_S] < DAY_S:
        return NOT_TODAY
    if second * NS > clock[WATERMARK_NS] + FUTURE_S * NS:
        return FUTURE
    opens = terms[row, OPEN_S]
    traded = np.int64(words[index, W_LAST_TRADE])
    if second < opens or (0 < traded < opens and not terms[row, IS_INDEX]):
        if second >= opens - AUCTION_TAIL_S and not inst[row, STARTED]:
            inst[row, BASELINE] = np.int64(words[index, W_VOLUME])
        return PRE_OPEN
    if second >= terms[row, CLOSE_S]:
        return AFTER_CLOSE
    return OK


@kernel
def check_price(words: Words, index: int, terms: Ints, inst: Ints, row: int) -> int:
    price = np.int64(words[index, W_LAST_PRICE])
    if price <= 0 or price > MAX_PRICE_PAISE:
        return BAD_PRICE
    place = W_INDEX_PREVIOUS_CLOSE if terms[row, IS_INDEX] else W_PREVIOUS_CLOSE
    reference = np.int64(words[index, place])
    if reference == 0:
        reference = inst[row, LAST]
    if reference > 0 and (price > reference * PRICE_FACTOR or price * PRICE_FACTOR < reference):
        return BAD_PRICE
    if not terms[row, IS_INDEX] and np.uint64(price) % np.uint64(terms[row, TICK_SIZE]) != 0:
        return OFF_GRID
    return OK


@kernel
def growth(words: Words, index: int, terms: Ints, inst: Ints, row: int) -> int:
    """Shares traded since the last accepted packet; negative: minus the reason to refuse this one."""
    if terms[row, IS_INDEX]:
        return 0
    volume = np.int64(words[index, W_VOLUME])
    before = inst[row, VOLUME]
    if not inst[row, STARTED]:
        before = inst[row, BASELINE]
        if before < 0 or before > volume:
            before = max(volume - np.int64(words[index, W_LAST_QUANTITY]), 0)
    if volume - before > MAX_LEAP and volume > MAX_PRICE_PAISE:
        return -NEGATIVE_VOLUME
    if volume < before:
        inst[row, FALLS] += 1
        if inst[row, FALLS] < FALLS_TO_RESET:
            return -VOLUME_FELL
        before = volume
    inst[row, VOLUME] = volume
    return int(volume - before)
