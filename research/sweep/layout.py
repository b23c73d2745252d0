"""What the compiled desk keeps, as places in int64 arrays: an instrument, the account, limits, terms.

Amounts in paise, brokerage in nano-paise (`charge_units`), times ns UTC, quantities shares.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Sides = npt.NDArray[np.int8]


class Tape(NamedTuple):
    """A session's bars as all parameter sets read them, [m, n] but for the last three.

    `last`: the newest close known, `quoted`: when it was made; `tradable`: an order may meet the bar;
    `locked`: +1 where nobody sells, -1 where nobody buys. `rows`: the minutes to trade; `asked`: which row of
    the wishes belongs to each, -1 for one nobody recorded.
    """

    open: Ints
    high: Ints
    low: Ints
    volume: Ints
    tradable: Flags
    locked: Sides
    last: Ints
    quoted: Ints
    close_at: Ints
    rows: Ints
    asked: Ints


class Rules(NamedTuple):
    """What a session is traded by: places in `terms`, `limits` below; `units` are those of `charge_units`."""

    terms: Ints
    limits: Ints
    units: Ints
    half_spread_bps: float
    impact_bps: float


class Books(NamedTuple):
    """What trading changes; all of it begins at zero. `held`, `working`: rows, in the order they came."""

    inst: Ints
    held: Ints
    working: Ints
    acct: Ints
    value: Ints
    trips: Ints
    points: Ints
    refusals: Ints


#: inst int64[n, INST]. The quote of the last mark; what the fold knows of a position; its trip; its order.
(LAST, QUANTITY, COST, EXIT_WANTED, LEAVE_AT, STOP_BPS, PROFIT_BPS, W_KIND) = range(8)
(BELOW_STOP, BELOW_PROFIT, ABOVE_STOP, ABOVE_PROFIT, REFERENCE, MET, ATTEMPTS, NEXT_AT) = range(8, 16)
(W_SIGN, W_QUANTITY, W_LIMIT, W_DECISION, W_REASON, W_LEAVE_AT, TAKEN, TAKEN_IN) = range(16, 24)
(T_BOUGHT, T_SOLD, T_BROKERAGE, T_SQUARE_OFFS, T_SLIPPAGE, T_OPENED, T_SIGN, T_SHARES) = range(24, 32)
(T_REALISED, TRADES_ON, BROKER_PAID) = range(32, 35)
INST = 40  # whole cache lines; what every minute looks at stands in the first two
NEVER_LOW, NEVER_HIGH = -1, 2**62
ENTRY, EXIT = 1, 2  # W_KIND; 0: no order on its way

#: acct int64[ACCT]
(REALISED, BOUGHT, SOLD, BROKERAGE, SQUARE_OFFS, PEAK, LEAVING, TRADING) = range(8)
(STREAK, PAUSED_UNTIL, TRADES, SECOND, IN_SECOND, MINUTE, IN_MINUTE, IN_DAY) = range(8, 16)
(HELD, WORKING, ENTERING, ENTERING_BUY, ENTERING_SELL, ENTERING_WORST, ENTERING_MARGIN) = range(16, 23)
(DAILY_LOSS_STANDS, DRAWDOWN_STANDS, FLAW, CLOSED, SIGNALS, DEEPEST, HIGHEST) = range(23, 30)
(NOW, ENTRIES) = range(30, 32)
ACCT = 32
ACTIVE, REDUCING, HALTED = 0, 1, 2
SLICED, TOO_MANY_TRADES = 1, 2  # FLAW

#: value int64[VALUE]: the open positions at their marks, see `risk.exposure.Valuation`.
(V_EXPOSURE, V_UNREALISED, V_CLOSING, V_NET, V_AT_STOPS, V_MARGIN, V_WORST_KNOWN) = range(7)
VALUE = 7

#: limits int64[LIMITS]; the first are `RiskLimits` by name.
LIMIT_NAMES = (
    "daily_loss_paise",
    "drawdown_paise",
    "trade_risk_paise",
    "instrument_exposure_paise",
    "sector_exposure_paise",
    "gross_exposure_paise",
    "net_exposure_paise",
    "order_value_paise",
    "order_quantity",
    "open_positions",
    "orders_per_second",
    "orders_per_minute",
    "orders_per_day",
    "trades_per_day",
    "trades_per_instrument",
    "loss_streak",
    "loss_pause_s",
    "price_band_bps",
    "spread_bps",
    "cash_reserve_paise",
    "entry_protection_bps",
    "exit_protection_bps",
)
(
    L_DAILY_LOSS,
    L_DRAWDOWN,
    L_TRADE_RISK,
    L_INSTRUMENT,
    L_SECTOR,
    L_GROSS,
    L_NET,
    L_ORDER_VALUE,
    L_ORDER_QUANTITY,
    L_OPEN,
    L_PER_SECOND,
    L_PER_MINUTE,
    L_PER_DAY,
    L_TRADES,
    L_TRADES_ON,
    L_STREAK,
    L_PAUSE_S,
    L_BAND,
    L_SPREAD,
    L_RESERVE,
    L_ENTRY_PROTECTION,
    L_EXIT_PROTECTION,
) = range(22)
(L_STALE_NS, L_SIZING, L_SIZE, L_MARGIN_BPS, L_CAPITAL) = range(22, 27)
(L_PARTICIPATION, L_SLICE_VALUE, L_SLICE_QUANTITY) = range(27, 30)
LIMITS = 30
BY_SHARES, BY_NOTIONAL, BY_STOP = 0, 1, 2  # L_SIZING: what L_SIZE is

#: terms int64[n, TERMS]
(TICK, CUTOFF_AT, SQUARE_OFF_AT, FLAT_AT, CLOSE_AT, BROKER_AT, MAY_ENTER) = range(7)
TERMS = 7

#: Why a position left. The first is "no reason".
REASONS = (
    "",
    "signal",
    "stop",
    "take_profit",
    "horizon",
    "square_off",
    "daily_loss",
    "drawdown",
    "broker",
    "carried",
)
(NO_REASON, SIGNAL, STOP, TAKE_PROFIT, HORIZON, SQUARE_OFF, DAILY_LOSS, DRAWDOWN, BROKER, CARRIED) = range(10)

#: Codes of `risk.checks.denials` that can be met over bars, in the order of the checks; 0 is "approved".
DENIALS = (
    "",
    "unknown_instrument",
    "trading_state",
    "entry_cutoff",
    "not_allowed",
    "blocked",
    "not_intraday",
    "no_quote",
    "instrument_halted",
    "stale_quote",
    "wide_spread",
    "price_band",
    "order_working",
    "position_open",
    "order_size",
    "open_positions",
    "instrument_exposure",
    "sector_exposure",
    "gross_exposure",
    "net_exposure",
    "margin",
    "orders_per_second",
    "orders_per_minute",
    "orders_per_day",
    "trades_per_day",
    "trades_per_instrument",
    "loss_streak",
    "drawdown",
    "daily_loss",
)

#: MAY_ENTER: 0, or the code that refuses every entry on the instrument.
MAY = 0
UNKNOWN, NOT_ALLOWED, BLOCKED, NOT_INTRADAY = (
    DENIALS.index(code) for code in ("unknown_instrument", "not_allowed", "blocked", "not_intraday")
)

#: trips int64[many, TRADE]: a round trip.
(
    R_ROW,
    R_SIGN,
    R_SHARES,
    R_OPENED,
    R_CLOSED,
    R_ENTRY,
    R_EXIT,
    R_GROSS,
    R_BROKERAGE,
    R_SQUARE_OFFS,
    R_SLIPPAGE,
    R_REASON,
    R_PAID_EXIT,
) = range(13)
TRADE = 13

#: points int64[m, POINT]: the account at each close, P&L since the session's open.
(P_AT, P_GROSS, P_NET, P_EXPOSURE, P_POSITIONS) = range(5)
POINT = 5
