"""Is there a market to trade with: a quote that is there, fresh, narrow, and a price near it."""

from __future__ import annotations

from kitepilot.events import RiskLimits
from kitepilot.risk.checks.denials import Denial
from kitepilot.risk.checks.proposal import BPS, NS_PER_S, Compared, Proposal, check
from kitepilot.risk.state import DeskState

HALTED_AFTER_S = 60  # silent for so long while another instrument speaks: trading in it is halted


@check(Denial.NO_QUOTE, "above 0")
def quote_there(proposal: Proposal, _state: DeskState, _limits: RiskLimits) -> Compared:
    """There is no last price yet. Observed: the last price; above 0."""
    last = proposal.quote.last_paise
    return Compared(last > 0, last, 0)


@check(Denial.NO_DEPTH, "above 0")
def depth_there(proposal: Proposal, _state: DeskState, _limits: RiskLimits) -> Compared:
    """Nobody quotes the side we would trade with. Observed: the touch there; above 0."""
    return Compared(proposal.touch_paise > 0, proposal.touch_paise, 0)


@check(Denial.CROSSED_QUOTE, "the ask")
def quote_not_crossed(proposal: Proposal, _state: DeskState, _limits: RiskLimits) -> Compared:
    """The bid is above the ask. Observed: the bid; a missing side is not crossed."""
    bid, ask = proposal.quote.bid_paise, proposal.quote.ask_paise
    return Compared(not ask or bid <= ask, bid, ask)


@check(Denial.INSTRUMENT_HALTED, f"{HALTED_AFTER_S} s")
def instrument_moving(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Compared:
    """It is silent while others trade: halted, or frozen. Observed: seconds behind the newest quote."""
    behind = state.newest_quote_at - proposal.quote.quoted_at if proposal.quote.quoted_at else 0
    return Compared(behind <= HALTED_AFTER_S * NS_PER_S, behind / NS_PER_S, HALTED_AFTER_S)


@check(Denial.STALE_QUOTE, "stale_quote_s")
def quote_fresh(proposal: Proposal, _state: DeskState, limits: RiskLimits) -> Compared:
    """The quote is too old. Observed: its age in seconds."""
    age = proposal.now - proposal.quote.quoted_at
    return Compared(age <= round(limits.stale_quote_s * NS_PER_S), age / NS_PER_S, limits.stale_quote_s)


@check(Denial.LOCKED_BOOK, "2")
def book_has_two_sides(proposal: Proposal, _state: DeskState, _limits: RiskLimits) -> Compared:
    """One side of the book is empty: locked at a circuit, and no way out. Observed: sides quoted; both."""
    sides = (proposal.quote.bid_paise > 0) + (proposal.quote.ask_paise > 0)
    return Compared(sides == 2, sides, 2)


@check(Denial.WIDE_SPREAD, "spread_bps")
def spread_narrow(proposal: Proposal, _state: DeskState, limits: RiskLimits) -> Compared:
    """The spread is too wide. Observed: ask less bid, in bps of the middle."""
    bid, ask = proposal.quote.bid_paise, proposal.quote.ask_paise
    if not bid or not ask:
        return Compared(True, 0, limits.spread_bps)  # judged by the checks of the sides
    wide = 2 * (ask - bid) * BPS
    return Compared(wide <= limits.spread_bps * (ask + bid), wide / (ask + bid), limits.spread_bps)


@check(Denial.PRICE_BAND, "price_band_bps")
def price_sane(proposal: Proposal, _state: DeskState, limits: RiskLimits) -> Compared:
    """The limit price is too far from the last price. Observed: the distance, and the limit, in paise."""
    last = proposal.quote.last_paise
    distance = abs(proposal.limit_price_paise - last)
    allowed = last * limits.price_band_bps // BPS
    return Compared(distance <= allowed, distance, allowed)
