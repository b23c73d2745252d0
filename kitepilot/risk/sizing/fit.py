"""Shares a method wants -> whole lots that pass every check on size, or none."""

from __future__ import annotations

from kitepilot.events import InstrumentTerms, RiskLimits
from kitepilot.orders.charges import Rates
from kitepilot.risk.trade_risk import BPS, stop_distance_bps, trade_risk_paise


def fit(
    wanted: int,
    *,
    price_paise: int,
    stop_bps: int,
    terms: InstrumentTerms,
    limits: RiskLimits,
    rates: Rates,
    room_paise: int | None,
) -> int:
    """The most shares up to `wanted` that no limit on size refuses. `room_paise`: free margin, if known."""
    most = min(
        wanted,
        limits.order_quantity,
        limits.order_value_paise // price_paise,
        terms.freeze_quantity or wanted,
        terms.average_volume * limits.volume_share_bps // BPS if terms.average_volume else wanted,
        _affordable(room_paise, price_paise * terms.margin_bps, wanted),
        limits.trade_risk_paise * BPS // (price_paise * stop_distance_bps(stop_bps, limits)),
    )
    lots = max(most, 0) // terms.lot_size
    return _bearable(lots, price_paise * terms.lot_size, stop_bps, limits, rates) * terms.lot_size


def _affordable(room_paise: int | None, margin_of_share: int, wanted: int) -> int:
    """Shares whose margin, rounded up to the paisa, is within the room."""
    if room_paise is None or not margin_of_share:
        return wanted
    return max(room_paise, 0) * BPS // margin_of_share


def _bearable(lots: int, lot_paise: int, stop_bps: int, limits: RiskLimits, rates: Rates) -> int:
    """The most lots whose loss at the stop, charges included, is within the limit."""

    def bearable(count: int) -> bool:
        return trade_risk_paise(rates, count * lot_paise, stop_bps, limits) <= limits.trade_risk_paise

    if bearable(lots):
        return lots
    low, high = 0, lots  # bearable, not bearable
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if bearable(middle) else (low, middle)
    return low
