"""Ticks into open seconds: validate each record in order and add it to the bar of its exchange second.

A tick belongs to the second of its exchange time. Prices within a second go in arrival order. The volume of a
tick is what the cumulative volume grew by since the last accepted one, so what a refused or late packet
carried is in the next accepted packet of that instrument, never lost. The first packet of the session has no
predecessor: it counts from the last pre-open packet of the final five minutes (volume is the auction's by
then), else it brings its own last quantity.
"""

# ruff: noqa: PLR0917 - kernels take their blocks one by one; names would be copied at every call
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kitepilot.kernels.compiled import kernel
from kitepilot.kernels.layout import (
    AFTER_CLOSE,
    ASK,
    AUCTION_TAIL_S,
    BAD_OWN_RECORD,
    BAD_PRICE,
    BASELINE,
    BID,
    CHANGED,
    CLOCK_DUE,
    CLOCK_JUMP,
    CLOCK_LEAPT,
    CLOCK_TICK,
    CLOSE_S,
    DAY,
    DAY_S,
    DUPLICATE,
    END,
    FALLS,
    FALLS_TO_RESET,
    FEED,
    FEED_RECORD,
    FUTURE,
    FUTURE_S,
    GRACE_NS,
    IS_INDEX,
    IST_OFFSET_S,
    JUMP_S,
    LAST,
    LAST_SILENT,
    LATE,
    LEVELS,
    MAX_LEAP,
    MAX_PRICE_PAISE,
    NEGATIVE_VOLUME,
    NEXT_S,
    NO_CLOCK,
    NO_CLOCK_YET,
    NOT_FULL,
    NOT_TODAY,
    NS,
    OFF_GRID,
    OK,
    OPEN_S,
    PACKET_WORDS,
    PRE_OPEN,
    PRICE_FACTOR,
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
    SLOTS,
    STARTED,
    TICK_SIZE,
    UNKNOWN_TOKEN,
    VOLUME,
    VOLUME_FELL,
    VOLUME_RESET,
    W_AFTER_QUOTE,
    W_ASKS,
    W_BIDS,
    W_EVENT_AT,
    W_EXCHANGE_TIME,
    W_INDEX_EXCHANGE_TIME,
    W_INDEX_PREVIOUS_CLOSE,
    W_KIND,
    W_LAST_PRICE,
    W_LAST_QUANTITY,
    W_LAST_TRADE,
    W_PREVIOUS_CLOSE,
    W_TOKEN,
    W_VOLUME,
    WATERMARK_NS,
    WORDS,
    WORDS_PER_LEVEL,
)
from kitepilot.market.ticks import KIND_CLOCK, KIND_FEED

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
def _is_repeat(packet: Words, kept: Words) -> bool:
    """Same 184 bytes as the instrument's last packet? Keeps this one if not."""
    for word in range(PACKET_WORDS):
        if packet[word] != kept[word]:
            kept[:] = packet
            return False
    return True


@kernel
def _untimed(record: Words) -> int:
    """A packet without exchange time is an ltp or quote packet if nothing follows, else it is from 1970."""
    for word in range(W_AFTER_QUOTE, WORDS):
        if record[word] != 0:
            return NOT_TODAY
    return NOT_FULL


@kernel
def _place(record: Words, terms: Ints, inst: Ints, clock: Ints, second: Whole) -> int:
    """Which session, and where in it: OK when the tick falls into a second that is still open."""
    if second == 0:
        return _untimed(record)
    if (second + IST_OFFSET_S) // DAY_S != terms[DAY]:
        return NOT_TODAY
    if second * NS > clock[WATERMARK_NS] + FUTURE_S * NS:
        return FUTURE
    traded = 0 if terms[IS_INDEX] else np.int64(record[W_LAST_TRADE])
    if second < terms[OPEN_S] or 0 < traded < terms[OPEN_S]:
        if second >= terms[OPEN_S] - AUCTION_TAIL_S and not inst[STARTED]:
            inst[BASELINE] = record[W_VOLUME]
        return PRE_OPEN
    if second >= terms[CLOSE_S]:
        return AFTER_CLOSE
    return OK


@kernel
def _price(record: Words, terms: Ints, inst: Ints) -> int:
    price = np.int64(record[W_LAST_PRICE])
    if price <= 0 or price > MAX_PRICE_PAISE:
        return BAD_PRICE
    reference = np.int64(record[W_INDEX_PREVIOUS_CLOSE if terms[IS_INDEX] else W_PREVIOUS_CLOSE])
    if reference == 0:
        reference = inst[LAST]
    if reference > 0 and (price > reference * PRICE_FACTOR or price * PRICE_FACTOR < reference):
        return BAD_PRICE
    if not terms[IS_INDEX] and price % terms[TICK_SIZE] != 0:
        return OFF_GRID
    return OK


@kernel
def _grown(record: Words, terms: Ints, inst: Ints) -> int:
    """Shares traded since the last accepted packet; negative: minus the reason to refuse this one."""
    if terms[IS_INDEX]:
        return 0
    volume = np.int64(record[W_VOLUME])
    before = inst[VOLUME]
    if not inst[STARTED]:
        before = inst[BASELINE]
        if before < 0 or before > volume:
            before = max(volume - np.int64(record[W_LAST_QUANTITY]), 0)
    if volume - before > MAX_LEAP and volume > MAX_PRICE_PAISE:
        return -NEGATIVE_VOLUME
    if volume < before:
        inst[FALLS] += 1
        if inst[FALLS] < FALLS_TO_RESET:
            return -VOLUME_FELL
        before = volume
    inst[VOLUME] = volume
    return int(volume - before)


@kernel
def _trade_sign(inst: Ints, price: Whole) -> int:
    """Who was in a hurry: +1 the buyer. Against the quote before this packet, else the price before it."""
    if inst[BID] > 0 and inst[ASK] > 0:
        lean = 2 * price - inst[BID] - inst[ASK]
        if lean != 0:
            return 1 if lean > 0 else -1
    if inst[LAST] > 0 and price != inst[LAST]:
        return 1 if price > inst[LAST] else -1
    return int(inst[SIGN])


@kernel
def _book(record: Words, slot: Ints) -> None:
    bid_5 = np.int64(0)
    ask_5 = np.int64(0)
    for level in range(LEVELS):
        bid_5 += np.int64(record[W_BIDS + WORDS_PER_LEVEL * level])
        ask_5 += np.int64(record[W_ASKS + WORDS_PER_LEVEL * level])
    slot[S_BID] = record[W_BIDS + 1]
    slot[S_ASK] = record[W_ASKS + 1]
    slot[S_BID_1] = record[W_BIDS]
    slot[S_ASK_1] = record[W_ASKS]
    slot[S_BID_5] = bid_5
    slot[S_ASK_5] = ask_5


@kernel
def _add(record: Words, is_index: bool, inst: Ints, slot: Ints, second: Whole, grown: int) -> None:
    price = np.int64(record[W_LAST_PRICE])
    if slot[S_TICKS] == 0:
        slot[:] = 0
        slot[S_OPEN] = price
        slot[S_HIGH] = price
        slot[S_LOW] = price
    slot[S_HIGH] = max(slot[S_HIGH], price)
    slot[S_LOW] = min(slot[S_LOW], price)
    slot[S_CLOSE] = price
    slot[S_TICKS] += 1
    if grown > 0:
        inst[SIGN] = _trade_sign(inst, price)
        slot[S_VOLUME] += grown
        slot[S_SIGNED] += grown * inst[SIGN]
        slot[S_NOTIONAL] += grown * price
    if not is_index:
        _book(record, slot)
    inst[STARTED] = 1
    inst[FALLS] = 0
    if second >= inst[QUOTED_S]:
        inst[LAST] = price
        inst[BID] = slot[S_BID]
        inst[ASK] = slot[S_ASK]
        inst[QUOTED_S] = second
        inst[CHANGED] = 1


@kernel
def _tick(  # noqa: PLR0911 - one reason, one exit
    record: Words,
    terms: Ints,
    table: Ints,
    inst: Ints,
    slots: Ints,
    packets: Words,
    clock: Ints,
    counts: Ints,
) -> int:
    row = _row_of(table, np.int64(record[W_TOKEN]))
    if row < 0:
        return UNKNOWN_TOKEN
    if _is_repeat(record[W_TOKEN:], packets[row]):
        return DUPLICATE
    if clock[WATERMARK_NS] == NO_CLOCK_YET:
        return NO_CLOCK
    mine = inst[row]
    place = W_INDEX_EXCHANGE_TIME if terms[row, IS_INDEX] else W_EXCHANGE_TIME
    second = np.int64(record[place])
    reason = _place(record, terms[row], mine, clock, second)
    if reason != OK:
        return reason
    reason = _price(record, terms[row], mine)
    if reason != OK:
        return reason
    if second < clock[NEXT_S]:
        return LATE
    grown = _grown(record, terms[row], mine)
    if grown < 0:
        return -grown
    if mine[FALLS] >= FALLS_TO_RESET:
        counts[VOLUME_RESET] += 1
    _add(record, terms[row, IS_INDEX] == 1, mine, slots[second & (SLOTS - 1), row], second, grown)
    return OK


@kernel
def _advance(record: Words, day: int, clock: Ints, flush: bool) -> int:
    """A clock record: END when nothing is due, else why the caller must act."""
    event_at = (np.int64(record[W_EVENT_AT]) << 32) | np.int64(record[W_EVENT_AT + 1])
    watermark = clock[WATERMARK_NS]
    if event_at < watermark or (event_at // NS + IST_OFFSET_S) // DAY_S != day:
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
        record = words[index]
        if record[W_TOKEN] != 0:
            reason = _tick(record, terms, table, inst, slots, packets, clock, counts)
            counts[reason] += 1
            if reason > LAST_SILENT:
                return index, reason
        elif record[W_KIND] == KIND_CLOCK:
            why = _advance(record, terms[0, DAY], clock, flush)
            counts[CLOCK_JUMP if why in (CLOCK_JUMP, CLOCK_LEAPT) else CLOCK_TICK] += 1
            if why != END:
                return index, why
        elif record[W_KIND] == KIND_FEED:
            counts[FEED] += 1
            return index, FEED_RECORD
        else:
            counts[BAD_OWN_RECORD] += 1
            return index, BAD_OWN_RECORD
    return words.shape[0], END
