"""What one trade may lose: from its entry to its stop, with the charges of both sides. Paise."""

from __future__ import annotations

from kitepilot.events import RiskLimits
from kitepilot.orders.charges import DayCharges, Rates, brokerage

BPS = 10_000


def stop_distance_bps(stop_bps: int, limits: RiskLimits) -> int:
    """A trade without a stop is judged as if it lost the whole price band."""
    return stop_bps or limits.price_band_bps


def trade_risk_paise(rates: Rates, value_paise: int, stop_bps: int, limits: RiskLimits) -> int:
    """Loss at the stop, rounded up, and the charges of entering and leaving at the entry's value."""
    if value_paise <= 0:
        return 0
    lost = -(-value_paise * stop_distance_bps(stop_bps, limits) // BPS)
    both = DayCharges(
        bought_paise=value_paise, sold_paise=value_paise, brokerage=2 * brokerage(rates, value_paise)
    )
    return lost + both.charges(rates).total_paise
