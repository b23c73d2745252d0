"""Where the minute kernels keep what they know: rows of blocks with one column per instrument.

All of it is float64. `BASE` and `SUMS` hold whole numbers below 2**53, so that sums are exact and a window
(newest running sum less the one before the window) is too, however long the session. Prices in paise, returns
in thousandths of a basis point, volumes in shares.
"""

from __future__ import annotations

from typing import Final

RING: Final = 68  # minutes remembered: the longest window (60) and what its oldest minute looks back on

# --- bounds: each keeps a session's sum of its squares or products below 2**53 -----------
MILLI: Final = 1_000.0  # units in one basis point
MAX_RETURN: Final = 4_000_000.0  # a minute's return counts up to 40 %
MAX_SHARES: Final = 2_147_483_647.0  # a minute's volume; kept as int32 in a snapshot
MAX_NOTIONAL: Final = 2.0**53 / 512  # of a minute, three times its paise: about 580,000 lakh rupees
MAX_MONEY: Final = 4_000_000.0  # a minute's signed turnover, thousands of rupees
MAX_SPREAD: Final = 4_000_000.0
PAISE_PER_MONEY: Final = 100_000.0
IMBALANCE_UNIT: Final = 1_000_000.0
MAX_GAP: Final = 480  # minutes a shard catches up with; a longer silence is no session of NSE's

# --- NOW float64[10, n]: the minute just closed; a row without a bar stays flat ---------
(
    N_READY,  # bars so far if there was a bar in this minute, else 0: NaN below a feature's warm-up
    N_OPEN,
    N_HIGH,
    N_LOW,
    N_CLOSE,
    N_BEFORE,  # the close before; its own at the first bar
    N_VOLUME,
    N_SINCE_OPEN,
    N_MINUTES_LEFT,
    N_FLOW_READY,  # minutes with known signs so far if there was a bar in this minute, else 0
) = range(10)
NOW: Final = 10

# --- BASE float64[RING, 15, n]: a ring of minutes ----------------------------------------
(
    B_CLOSE,
    B_HIGH,
    B_LOW,
    B_RETURN,
    B_RANGE,  # (high - low) / close
    B_BODY,  # (close - open) / open
    B_PLACE,  # close against the session's first close
    B_VOLUME,
    B_PUSH,  # volume times the close's place in the bar, -1 at its low and 1 at its high
    B_SIGNED,
    B_TICKS,
    B_MONEY,  # signed volume times close, thousands of rupees
    B_BOOKS,  # 1 when the minute had a two-sided book
    B_SPREAD,
    B_IMBALANCE,
) = range(15)
BASE: Final = 15

# --- SUMS float64[RING, 24, n]: running sums over the session, a ring of minutes ---------
(
    C_RETURN,
    C_SQUARE,
    C_UP,
    C_ABS,
    C_LAG,
    C_BIPOWER,
    C_MARKET,
    C_RET5,
    C_RANGE,
    C_BODY,
    C_PATH,
    C_PLACE,
    C_PLACE2,
    C_VOLUME,
    C_NOTIONAL,
    C_SIDED,
    C_PUSH,
    C_SIGNED,
    C_TICKS,
    C_SPREAD,
    C_BOOKS,
    C_IMBALANCE,
    C_IMPACT,
    C_MONEY2,
) = range(24)
SUMS: Final = 24

# --- STATE float64[28, n] ----------------------------------------------------------------
(
    AGE,  # minutes since the first bar of the session, that one included
    TRADABLE,  # 0 for an index: it is not part of the market's mean, breadth and ranks
    OPENS,  # first minute of the continuous session, epoch minutes
    CLOSES,  # the minute after its last
    PREVIOUS_CLOSE,  # 0 where it is not known
    FIRST_OPEN,
    FIRST_CLOSE,
    VOLUME_TOTAL,
    NOTIONAL_TOTAL,
    FLOW_AGE,
    EMA_10,
    EMA_12,
    EMA_20,
    EMA_26,
    EMA_MACD,
    RSI_UP,
    RSI_DOWN,
    ATR,
    DM_UP,
    DM_DOWN,
    ADX,
    VOLUME_MEAN,
    VOLUME_VARIANCE,
    HIGH_15,
    LOW_15,
    HIGH_30,
    LOW_30,
    CLOSE,
) = range(28)
STATE: Final = 28

# --- MARKET float64[3, RING]: mean return of the tradable rows, its sum and sum of squares
M_MEAN, M_SUM, M_SQUARE = range(3)
MARKET: Final = 3

# --- CLOCK int64[3] ----------------------------------------------------------------------
LAST_MINUTE, STEP, MARKET_AGE = range(3)  # epoch minute closed last, -1 before the first bar; minutes taken
CLOCK: Final = 3

# --- FLOW float64[4, n]: what only ticks can tell of a minute; NaN where nothing is known -
F_SIGNED, F_TICKS, F_SPREAD, F_IMBALANCE = range(4)  # shares, packets, bps, -1..1
FLOW: Final = 4
