"""Parameters of a run: all a decision may depend on besides the events themselves."""

from __future__ import annotations

from decimal import Decimal

import msgspec


class RiskLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Hard limits. Amounts in paise, all of them positive; each names the check that compares it."""

    daily_loss_paise: int  # realised, unrealised and charges, with the worst case of working orders
    drawdown_paise: int  # how far the day's result may fall below its best
    trade_risk_paise: int  # what one trade loses at its stop, charges included
    instrument_exposure_paise: int
    gross_exposure_paise: int
    net_exposure_paise: int
    sector_exposure_paise: int
    order_value_paise: int
    order_quantity: int
    volume_share_bps: int  # of the instrument's average daily volume
    open_positions: int
    orders_per_second: int
    orders_per_minute: int
    orders_per_day: int
    trades_per_day: int  # entries
    trades_per_instrument: int  # entries of one day
    loss_streak: int  # losing trades in a row before a pause
    loss_pause_s: int  # how long that pause lasts
    price_band_bps: int  # how far a limit price may be from the last quote
    stale_quote_s: float
    spread_bps: int  # widest spread that is entered
    circuit_distance_bps: int  # nearest an entry may be to a circuit limit
    cash_reserve_paise: int  # of the available margin, what entries never use
    feed_settle_s: float  # after a gap in the feed, how long nothing is opened
    clock_skew_ms: int
    model_age_s: float  # oldest score an entry may rest on
    entry_protection_bps: int  # entries: limit at the touch plus this much
    exit_protection_bps: int  # exits: first rung; each retry doubles it up to price_band_bps


class Sizing(msgspec.Struct, frozen=True, kw_only=True):
    """How large an entry is: a sizing plug-in and its parameters (paise, bps or shares, as it says)."""

    method: str
    parameters: dict[str, int]


class RiskProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One version of the owner's risk settings. Versions count from 1 and are never changed afterwards."""

    version: int
    limits: RiskLimits
    sizing: Sizing
    allowed: tuple[str, ...] = ()  # trading symbols; empty: all that are watched
    blocked: tuple[str, ...] = ()


class InstrumentTerms(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument as the decision flow knows it. Times are session time (ns UTC) of that day."""

    token: int
    tradingsymbol: str
    tick_size_paise: int
    lot_size: int
    closing_auction: bool
    entry_cutoff_at: int  # no entries at or after
    square_off_at: int  # start leaving
    force_flat_at: int  # must be flat
    continuous_close_at: int
    sector: str = ""
    average_volume: int = 0  # shares a day; 0: not known
    freeze_quantity: int = 0  # largest single order the exchange takes; 0: not known
    margin_bps: int = (
        10_000  # of an order's value, what the broker blocks for an intraday entry; 0: takes none
    )
    segment: str = "NSE"


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """What earlier live runs of the same date did: a new run's day begins there. All zero on paper."""

    realised_paise: int = 0
    bought_paise: int = 0
    sold_paise: int = 0
    brokerage: Decimal = Decimal(0)  # paise, each order capped
    auto_square_offs: int = 0
    orders: int = 0
    trades: int = 0  # entries
    trades_on: dict[int, int] = {}  # by token
    peak_paise: int = 0  # the day's best result so far, at the end of a trade
    streak: int = 0  # losing trades in a row
    paused_until: int = 0  # session time, ns


class DecisionParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the decision fold depends on besides events; travels in `RunStarted`."""

    session_date: str  # ISO date of the session, IST
    open_at: int
    close_at: int
    instruments: tuple[InstrumentTerms, ...]
    profile: RiskProfile
    strategies: tuple[str, ...]  # enabled at the start
    ceiling: RiskLimits | None = (
        None  # the configuration's: no profile may be looser; None: the profile's own
    )
    carried: Carried = Carried()
