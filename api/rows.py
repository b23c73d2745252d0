"""One thing of the day as the API shows it. Prices and money in integer paise, times in UTC and IST."""

from __future__ import annotations

import msgspec

from api.times import Instant


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """One approved order with all its child orders together. `order_id` is "" until the broker gave one."""

    intent_id: str
    order_id: str
    run_id: str
    signal_id: str
    strategy: str
    purpose: str
    token: int
    tradingsymbol: str
    side: str
    quantity: int
    filled_quantity: int
    limit_price_paise: int
    status: str
    venue_status: str
    message: str
    decided: Instant
    updated: Instant


class IntentRow(msgspec.Struct, frozen=True, kw_only=True):
    """Permission to send one order, as risk gave it."""

    intent_id: str
    run_id: str
    signal_id: str  # "": an exit of risk's own
    verdict_id: str
    strategy: str
    purpose: str
    token: int
    tradingsymbol: str
    side: str
    quantity: int
    order_type: str
    validity: str
    limit_price_paise: int
    decision_price_paise: int
    attempt: int
    decided: Instant


class FillRow(msgspec.Struct, frozen=True, kw_only=True):
    """One trade of ours."""

    run_id: str
    intent_id: str
    order_id: str
    trade_id: str
    token: int
    tradingsymbol: str
    side: str
    quantity: int
    price_paise: int
    traded: Instant


class SignalRow(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy's wish and what risk said of it. `verdict`: waiting | approved | denied."""

    signal_id: str
    run_id: str
    strategy: str
    token: int
    tradingsymbol: str
    side: str  # "": leave whatever is held
    strength: float
    interval_s: int
    horizon_s: int
    stop_bps: int
    take_profit_bps: int
    last_paise: int
    scores: dict[str, float | None]
    verdict: str
    denial: str
    intent_id: str
    raised: Instant


class PositionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument of the day, flat ones too. `cost_paise` is what the open part cost, never negative.

    `foreign_quantity` is what the owner holds there by hand. The stop is the price at which the position
    leaves; null where it has none, or is flat.
    """

    token: int
    tradingsymbol: str
    quantity: int
    cost_paise: int
    last_paise: int
    unrealised_paise: int
    realised_paise: int
    exposure_paise: int
    bought_quantity: int
    bought_paise: int
    sold_quantity: int
    sold_paise: int
    strategy: str
    stop_price_paise: int | None
    foreign_quantity: int
    leaves: Instant  # by its horizon
    square_off: Instant


class QuoteRow(msgspec.Struct, frozen=True, kw_only=True):
    """The last quote of one instrument. bid and ask are 0 where the feed has no depth."""

    token: int
    tradingsymbol: str
    last_paise: int
    bid_paise: int
    ask_paise: int
    quoted: Instant


class InstrumentRow(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument of the run, and its times of the session."""

    token: int
    tradingsymbol: str
    tick_size_paise: int
    lot_size: int
    sector: str
    average_volume: int
    margin_bps: int
    segment: str
    entry_cutoff: Instant
    square_off: Instant
    force_flat: Instant
