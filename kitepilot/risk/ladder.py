"""How an exit asks: each try without a fill climbs a rung, wider and louder, and none is ever the last.

rung 0    LIMIT at the touch: costs nothing beyond the spread, and in a quiet book it is enough.
rung 1+   MARKET with a protection that doubles up to the price band. The broker turns it into a limit that
          far from the last price (required of API orders since 1 Apr 2026, Kite documentation read
          2026-07-14), so it takes every level on the way. It is IOC: what it does not take does not rest.
past 6    `ASK_BROKER_AFTER` tries without a fill: the gateway reads positions and orders afresh, the owner is
          called, and the tries slow down. They alternate between the touch and the whole band, because a
          price outside the day's circuit limits is refused by the exchange while one at the touch is not.

A stop, the caps on loss and drawdown and the owner's flatten begin on rung 1: the price is running, and the
second spent on a limit nobody takes costs more than the wider order. Past the time to be flat the whole band
goes at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from kitepilot.events import RiskLimits, Side
from kitepilot.market.instruments import round_to_tick
from kitepilot.risk.state import Quote

LIMIT, MARKET = "LIMIT", "MARKET"
ASK_BROKER_AFTER = 6  # tries, a second apart
SLOW_AFTER = 20  # then five seconds apart, then fifteen
CALL_AGAIN_EVERY = 20  # tries after the first call of the owner
MAX_DOUBLINGS = 16
URGENT = frozenset({"stop", "daily_loss", "drawdown", "flatten"})


@dataclass(frozen=True)
class Rung:
    """`protection_bps` is 0 on a LIMIT: its price says it all."""

    order_type: str
    protection_bps: int


def rung(limits: RiskLimits, attempts: int, reason: str, *, must_be_flat: bool) -> Rung:
    """The rung after `attempts` exits without a fill, for a position that leaves for `reason`."""
    if attempts >= ASK_BROKER_AFTER and attempts % 2:
        return Rung(LIMIT, 0)
    if must_be_flat or attempts >= ASK_BROKER_AFTER:
        return Rung(MARKET, limits.price_band_bps)
    climbed = attempts + (reason in URGENT)
    if climbed == 0:
        return Rung(LIMIT, 0)
    doubled = limits.exit_protection_bps << min(climbed - 1, MAX_DOUBLINGS)
    return Rung(MARKET, min(doubled, limits.price_band_bps))


def wait_s(attempts: int) -> int:
    """Seconds to the next try: an instrument nobody trades must not use up the day's orders."""
    return 1 if attempts <= ASK_BROKER_AFTER else 5 if attempts <= SLOW_AFTER else 15


def calls_the_owner(attempts: int) -> bool:
    """After this many exits without a fill: once when the broker is asked, then sparsely."""
    past = attempts - ASK_BROKER_AFTER
    return past >= 0 and past % CALL_AGAIN_EVERY == 0


def worst_price(side: Side, quote: Quote, fallback_paise: int, tick: int, step: Rung) -> int:
    """The limit of a LIMIT; of a MARKET how far the broker's protection lets it go. Rounded outwards.

    A LIMIT counts from the touch, a MARKET from the last price, as the broker does.
    """
    touch = quote.ask_paise if side is Side.BUY else quote.bid_paise
    from_last = step.order_type == MARKET and quote.last_paise
    reference = from_last or touch or quote.last_paise or fallback_paise
    away = -(-reference * step.protection_bps // 10_000)
    if side is Side.BUY:
        return round_to_tick(reference + away, tick, "up")
    return max(round_to_tick(reference - away, tick, "down"), tick)
