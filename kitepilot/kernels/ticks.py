"""Ticks into open seconds: validate each record in order and add it to the bar of its exchange second.

A tick belongs to the second of its exchange time. Prices within a second go in arrival order. The volume of a
tick is what the cumulative volume grew by since the last accepted one, so what a refused or late packet
carried is in the next accepted packet of that instrument, never lost. The first packet of the session has no
predecessor: it counts from the last pre-open packet of the final five minutes (volume is the auction's by
then), else it brings its own last quantity.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kitepilot.kernels.admission import check_price, growth, is_repeat, place_of
from kitepilot.kernels.compiled import kernel
from kitepilot.kernels.layout import (
    ASK,
    BAD_OWN_RECORD,
    BID,
    CHANGED,
    CLOCK_DUE,
    CLOCK_JUMP,
    CLOCK_LEAPT,
    CLOCK_TICK,
    DAY_S,
    DAY_START_S,
    DUPLICATE,
    END,
    FALLS,
    FALLS_TO_RESET,
    FEED,
    FEED_RECORD,
    GRACE_NS,
    IS_INDEX,
    JUMP_S,
    LAST,
    LAST_SILENT,
    LATE,
    LEVELS,
    NEXT_S,
    NO_CLOCK,
    NO_CLOCK_YET,
    NS,
    OK,
    PREVIOUS,
    QUOTED_S,
    S_ASK,
    S_ASK_1,
    S_ASK_5,
    S_BID,
    S_BID_1,
    S_BID_5,
    S_CLOSE,
    S_HIGH,
    S_LOW,
    S_NOTIONAL,
    S_OPEN,
    S_SIGNED,
    S_TICKS,
    S_VOLUME,
    SIGN,
    SLOT,
    SLOTS,
    STARTED,
    UNKNOWN_TOKEN,
    VOLUME_RESET,
    W_ASKS,
    W_BIDS,
    W_EVENT_AT,
    W_EXCHANGE_TIME,
    W_INDEX_EXCHANGE_TIME,
    W_INDEX_PREVIOUS_CLOSE,
    W_KIND,
    W_LAST_PRICE,
    W_PREVIOUS_CLOSE,
    W_TOKEN,
    WATERMARK_NS,
    WORDS_PER_LEVEL,
)
from kitepilot.market.ticks import KIND_CLOCK, KIND_FEED, KIND_STRATEGY

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint32]
Whole = int | np.int64  # int() of an unsigned word would stay unsigned in a kernel, so words become np.int64
_HASH = 2_654_435_761
_SHIFT = 15


def token_table(tokens: Ints) -> Ints:
    """int64[size, 2] of (token, row), open addressing; a token of 0 marks a free place."""
    size = 8
    while size < 4 * len(tokens):
        size *= 2
    table = np.zeros((size, 2), dtype=np.int64)
    for row, token in enumerate(tokens.tolist()):
        place = ((token * _HASH) >> _SHIFT) & (size - 1)
        while table[place, 0]:
            place = (place + 1) & (size - 1)
        table[place] = (token, row)
    return table


@kernel
def _row_of(table: Ints, token: Whole) -> int:
    mask = table.shape[0] - 1
    place = ((token * _HASH) >> _SHIFT) & mask
    while table[place, 0] != token:
        if table[place, 0] == 0:
            return -1
        place = (place + 1) & mask
    return int(table[place, 1])


@kernel
def _trade_sign(inst: Ints, row: int, price: Whole) -> int:
    """Who was in a hurry: +1 the buyer. Against the quote before this packet, else the price before it."""
    bid = inst[row, BID]
    ask = inst[row, ASK]
    if bid > 0 and ask > 0 and 2 * price != bid + ask:
        return 1 if 2 * price > bid + ask else -1
    last = inst[row, LAST]
    if last > 0 and price != last:
        return 1 if price > last else -1
    return int(inst[row, SIGN])


@kernel
def _book(words: Words, index: int, slots: Ints, slot: int, row: int) -> None:
    bid_5 = np.int64(0)
    ask_5 = np.int64(0)
    for level in range(LEVELS):
        bid_5 += np.int64(words[index, W_BIDS + WORDS_PER_LEVEL * level])
        ask_5 += np.int64(words[index, W_ASKS + WORDS_PER_LEVEL * level])
    slots[slot, row, S_BID] = np.int64(words[index, W_BIDS + 1])
    slots[slot, row, S_ASK] = np.int64(words[index, W_ASKS + 1])
    slots[slot, row, S_BID_1] = np.int64(words[index, W_BIDS])
    slots[slot, row, S_ASK_1] = np.int64(words[index, W_ASKS])
    slots[slot, row, S_BID_5] = bid_5
    slots[slot, row, S_ASK_5] = ask_5


@kernel
def _add(slots: Ints, slot: int, row: int, price: Whole, grown: int, sign: Whole) -> None:
    if slots[slot, row, S_TICKS] == 0:
        for column in range(SLOT):
            slots[slot, row, column] = 0
        slots[slot, row, S_OPEN] = price
        slots[slot, row, S_HIGH] = price
        slots[slot, row, S_LOW] = price
    slots[slot, row, S_HIGH] = max(slots[slot, row, S_HIGH], price)
    slots[slot, row, S_LOW] = min(slots[slot, row, S_LOW], price)
    slots[slot, row, S_CLOSE] = price
    slots[slot, row, S_TICKS] += 1
    slots[slot, row, S_VOLUME] += grown
    slots[slot, row, S_SIGNED] += grown * sign
    slots[slot, row, S_NOTIONAL] += grown * price


@kernel
def _take(
    words: Words, index: int, terms: Ints, inst: Ints, slots: Ints, row: int, second: Whole, grown: int
) -> None:
    """An accepted tick into the bar of its second and, unless it is older than the quote, into the quote."""
    slot = int(second & (SLOTS - 1))
    price = np.int64(words[index, W_LAST_PRICE])
    sign = np.int64(0)
    if grown > 0:
        sign = np.int64(_trade_sign(inst, row, price))
        inst[row, SIGN] = sign
    _add(slots, slot, row, price, grown, sign)
    if not terms[row, IS_INDEX]:
        _book(words, index, slots, slot, row)
    if not inst[row, STARTED]:
        place = W_INDEX_PREVIOUS_CLOSE if terms[row, IS_INDEX] else W_PREVIOUS_CLOSE
        inst[row, PREVIOUS] = np.int64(words[index, place])
    inst[row, STARTED] = 1
    inst[row, FALLS] = 0
    if second >= inst[row, QUOTED_S]:
        inst[row, LAST] = price
        inst[row, BID] = slots[slot, row, S_BID]
        inst[row, ASK] = slots[slot, row, S_ASK]
        inst[row, QUOTED_S] = second
        inst[row, CHANGED] = 1


@kernel
def _tick(  # noqa: PLR0911 - one reason, one exit
    words: Words,
    index: int,
    terms: Ints,
    table: Ints,
    inst: Ints,
    slots: Ints,
    packets: Words,
    clock: Ints,
    counts: Ints,
) -> int:
    row = _row_of(table, np.int64(words[index, W_TOKEN]))
    if row < 0:
        return UNKNOWN_TOKEN
    if is_repeat(words, index, packets, row):
        return DUPLICATE
    if clock[WATERMARK_NS] == NO_CLOCK_YET:
        return NO_CLOCK
    second = np.int64(words[index, W_INDEX_EXCHANGE_TIME if terms[row, IS_INDEX] else W_EXCHANGE_TIME])
    reason = place_of(words, index, terms, inst, row, clock, second)
    if reason != OK:
        return reason
    reason = check_price(words, index, terms, inst, row)
    if reason != OK:
        return reason
    if second < clock[NEXT_S]:
        return LATE
    grown = growth(words, index, terms, inst, row)
    if grown < 0:
        return -grown
    if inst[row, FALLS] >= FALLS_TO_RESET:
        counts[VOLUME_RESET] += 1
    _take(words, index, terms, inst, slots, row, second, grown)
    return OK


@kernel
def _advance(words: Words, index: int, day_start_s: int, clock: Ints, flush: bool) -> int:
    """A clock record: END when nothing is due, else why the caller must act."""
    event_at = (np.int64(words[index, W_EVENT_AT]) << 32) | np.int64(words[index, W_EVENT_AT + 1])
    watermark = clock[WATERMARK_NS]
    if event_at < watermark or not 0 <= event_at // NS - day_start_s < DAY_S:
        return CLOCK_JUMP
    clock[WATERMARK_NS] = event_at
    due = (event_at - clock[GRACE_NS]) // NS
    if watermark == NO_CLOCK_YET:
        clock[NEXT_S] = due
    elif event_at - watermark > JUMP_S * NS:
        return CLOCK_LEAPT
    return CLOCK_DUE if due > clock[NEXT_S] or flush else END


@kernel
def absorb(
    words: Words,
    start: int,
    flush: bool,
    terms: Ints,
    table: Ints,
    inst: Ints,
    slots: Ints,
    packets: Words,
    clock: Ints,
    counts: Ints,
) -> tuple[int, int]:
    """Take records from `start` on until one needs the caller: (its index, reason or why), or (m, END).

    `words` is uint32[m, 48] in the machine's byte order. Shapes of the state: see `layout`. `flush` makes
    every clock record stop. Everything but `words`, `terms` and `table` is changed in place.
    """
    for index in range(start, words.shape[0]):
        if words[index, W_TOKEN] != 0:
            reason = _tick(words, index, terms, table, inst, slots, packets, clock, counts)
            counts[reason] += 1
            if reason > LAST_SILENT:
                return index, reason
        elif words[index, W_KIND] == KIND_CLOCK:
            why = _advance(words, index, terms[0, DAY_START_S], clock, flush)
            counts[CLOCK_JUMP if why in (CLOCK_JUMP, CLOCK_LEAPT) else CLOCK_TICK] += 1
            if why != END:
                return index, why
        elif KIND_FEED <= words[index, W_KIND] <= KIND_STRATEGY:
            counts[FEED] += 1
            return index, FEED_RECORD
        else:
            counts[BAD_OWN_RECORD] += 1
            return index, BAD_OWN_RECORD
    return words.shape[0], END
