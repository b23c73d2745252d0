"""Where everything lives in the kernels' arrays: column numbers, reason codes and sizes.

State is a few blocks for all n instruments of a shard, one row per instrument; the kernels see these numbers
as constants. Whole numbers everywhere but in `SUMS`: prices in paise, quantities in shares, times in epoch
seconds (UTC) unless the name ends in `_NS`.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Final

NS: Final = 1_000_000_000
DAY_S: Final = 86_400
IST_OFFSET_S: Final = 19_800  # UTC+05:30

# --- bounds ------------------------------------------------------------------------------
FUTURE_S: Final = 60  # a tick may be this far ahead of the clock
JUMP_S: Final = 300  # a longer step of the clock is reported, and its bars past this are skipped
MAX_GRACE_NS: Final = 60 * NS
SLOTS: Final = 128  # seconds open at once: FUTURE_S + grace + 2 at most; a power of two
WINDOW_S: Final = 300  # longest look-back of a feature
CLOSES: Final = WINDOW_S + 4  # ring of 1 s closes
FLOWS: Final = 64  # ring of 1 s volumes; longest look-back 60 s
MAX_PRICE_PAISE: Final = 2**31 - 1  # closes are kept as int32
MAX_FLOW: Final = 2**31 - 1  # shares a second in a feature's window, kept as int32
MAX_LEAP: Final = 2**30  # shares between two packets; more is a negative number read as unsigned
#: Outside reference / 3 .. reference * 3 a price is absurd: the widest fixed band of a day is 20 %.
PRICE_FACTOR: Final = 3
FALLS_TO_RESET: Final = 20  # so many falls in a row are a new count, not late packets
AUCTION_TAIL_S: Final = 300  # the pre-open's volume is final this long before the open
SQUARE_UNIT: Final = 65_536.0
MAX_RETURN_BPS: Final = 100_000.0  # volatility counts a 1 s return up to tenfold; its sums fit 64 bits
MAX_PENDING: Final = 1024  # refused records held until the next clock record

# --- words (4 bytes) of a 192-byte record ------------------------------------------------
WORDS: Final = 48
PACKET_WORDS: Final = 46
W_TOKEN: Final = 2
W_KIND: Final = 3
W_EVENT_AT: Final = 4
W_LAST_PRICE: Final = 3
W_LAST_QUANTITY: Final = 4
W_VOLUME: Final = 6
W_PREVIOUS_CLOSE: Final = 12
W_LAST_TRADE: Final = 13
W_EXCHANGE_TIME: Final = 17
W_BIDS: Final = 18
W_ASKS: Final = 33
LEVELS: Final = 5
WORDS_PER_LEVEL: Final = 3
W_INDEX_PREVIOUS_CLOSE: Final = 7
W_INDEX_EXCHANGE_TIME: Final = 9
W_AFTER_QUOTE: Final = 13  # a quote packet (44 bytes) ends here: all zero from here on

# --- TERMS int64[n, 5]: what the session says about an instrument ------------------------
TICK_SIZE, OPEN_S, CLOSE_S, DAY_START_S, IS_INDEX = range(5)  # the day is the IST one
TERMS: Final = 5

# --- CLOCK int64[4] ----------------------------------------------------------------------
WATERMARK_NS, NEXT_S, STEP, GRACE_NS = range(4)  # NEXT_S: first second not closed; STEP: seconds closed
CLOCK: Final = 4
NO_CLOCK_YET: Final = -1

# --- INST int64[n, 38] -------------------------------------------------------------------
# as ticks arrive
LAST, BID, ASK, QUOTED_S, CHANGED, VOLUME, FALLS, SIGN, BASELINE, STARTED = range(10)
# as seconds close; the book is the one of the last second with a tick
CLOSE, AGE, HIGH, LOW, TRADED, NOTIONAL = range(10, 16)
BOOK_BID, BOOK_ASK, BOOK_BID_1, BOOK_ASK_1, BOOK_BID_5, BOOK_ASK_5 = range(16, 22)
VOLUME_10, VOLUME_60, SIGNED_10, SIGNED_60, HIGH_300 = range(22, 27)
# the open minute
M_SECONDS, M_OPEN, M_HIGH, M_LOW, M_VOLUME, M_TICKS = range(27, 33)
SQUARES_60, SQUARES_300 = range(33, 35)  # sums of squared 1 s returns, 1 / SQUARE_UNIT bps squared
M_SIGNED, M_BOOKS = range(35, 37)  # of the open minute too: signed volume, seconds with a two-sided book
PREVIOUS = 37  # previous session's close, as the first accepted packet tells it
INST: Final = 38

# --- SLOT int64[SLOTS, n, 14]: the seconds still open ------------------------------------
S_OPEN, S_HIGH, S_LOW, S_CLOSE, S_VOLUME, S_TICKS, S_SIGNED, S_NOTIONAL = range(8)
S_BID, S_ASK, S_BID_1, S_ASK_1, S_BID_5, S_ASK_5 = range(8, 14)
SLOT: Final = 14

# --- SUMS float64[n, 5] ------------------------------------------------------------------
EW_VWAP, EW_VOLUME, EW_TICKS = range(3)
M_SPREAD, M_IMBALANCE = range(3, 5)  # of the open minute: sums over its seconds with a book
SUMS: Final = 5

# --- OUT int64[19, n]: what one closed second gives back ---------------------------------
O_SECOND, O_MINUTE = 0, 7  # row, open, high, low, close, volume, tick count, from these lines on
O_LAST, O_BID, O_ASK, O_QUOTED_AT, O_CHANGED = range(14, 19)
OUT: Final = 19

# --- reasons -----------------------------------------------------------------------------
#: Every record gets exactly one; the position is its code in the kernels.
REASONS: Final = (
    "ok",
    "duplicate",
    "pre_open",
    "after_close",
    "unknown_token",
    "not_full",
    "not_today",
    "future",
    "no_clock",
    "bad_price",
    "off_grid",
    "negative_volume",
    "volume_fell",
    "late",
    "clock_jump",
    "bad_own_record",
    "volume_reset",
    "clock",
    "feed",
)
(
    OK,
    DUPLICATE,
    PRE_OPEN,
    AFTER_CLOSE,
    UNKNOWN_TOKEN,
    NOT_FULL,
    NOT_TODAY,
    FUTURE,
    NO_CLOCK,
    BAD_PRICE,
    OFF_GRID,
    NEGATIVE_VOLUME,
    VOLUME_FELL,
    LATE,
    CLOCK_JUMP,
    BAD_OWN_RECORD,
    VOLUME_RESET,
    CLOCK_TICK,
    FEED,
) = range(len(REASONS))
LAST_SILENT: Final = AFTER_CLOSE  # up to here a record is counted, not published

# What made `absorb` stop, besides a reason whose record must be published.
END: Final = -1
CLOCK_DUE: Final = -2
CLOCK_LEAPT: Final = -3
FEED_RECORD: Final = -4


def source_digest() -> str:
    """SHA-256 over the sources of this package: what a compiled kernel may depend on."""
    digest = hashlib.sha256()
    for entry in sorted(resources.files(__package__).iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".py"):
            digest.update(entry.read_bytes())
    return digest.hexdigest()
