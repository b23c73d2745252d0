"""Parameters of a run: all a decision may depend on besides the events themselves."""

from __future__ import annotations

import msgspec


class RiskLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Hard limits of one session. All amounts in paise, all of them positive."""

    daily_loss_paise: int
    instrument_exposure_paise: int
    gross_exposure_paise: int
    order_value_paise: int
    order_quantity: int
    open_positions: int
    orders_per_second: int
    orders_per_minute: int
    orders_per_day: int
    price_band_bps: int  # how far a limit price may be from the last quote
    stale_quote_s: float
    entry_protection_bps: int  # entries: limit at the touch plus this much
    exit_protection_bps: int  # exits: first rung; each retry doubles it up to price_band_bps


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


class DecisionParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the decision fold depends on besides events; travels in `RunStarted`."""

    session_date: str  # ISO date of the session, IST
    open_at: int
    close_at: int
    instruments: tuple[InstrumentTerms, ...]
    limits: RiskLimits
    trade_notional_paise: int  # sizing: fixed notional per entry
    strategies: tuple[str, ...]  # enabled at the start
