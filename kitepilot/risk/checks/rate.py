"""How often: orders by second, minute and day, trades by day and instrument, the pause after losses."""

from __future__ import annotations

from kitepilot.events import RiskLimits
from kitepilot.risk.checks.denials import Denial
from kitepilot.risk.checks.proposal import NS_PER_S, Compared, Proposal, at_most, check
from kitepilot.risk.state import DeskState


@check(Denial.ORDERS_PER_SECOND, "orders_per_second")
def rate_per_second(proposal: Proposal, state: DeskState, limits: RiskLimits) -> Compared:
    """As many orders as allowed in this calendar second. Observed: orders, this one included."""
    return at_most(state.rate.at(proposal.now)[0] + 1, limits.orders_per_second)


@check(Denial.ORDERS_PER_MINUTE, "orders_per_minute")
def rate_per_minute(proposal: Proposal, state: DeskState, limits: RiskLimits) -> Compared:
    """As many orders as allowed in this calendar minute. Observed: orders, this one included."""
    return at_most(state.rate.at(proposal.now)[1] + 1, limits.orders_per_minute)


@check(Denial.ORDERS_PER_DAY, "orders_per_day")
def rate_per_day(proposal: Proposal, state: DeskState, limits: RiskLimits) -> Compared:
    """As many orders as allowed today. Observed: orders, exits too (they count and are never refused)."""
    return at_most(state.rate.at(proposal.now)[2] + 1, limits.orders_per_day)


@check(Denial.TRADES_PER_DAY, "trades_per_day")
def trades_per_day(_proposal: Proposal, state: DeskState, limits: RiskLimits) -> Compared:
    """As many entries as allowed today. Observed: entries, this one included."""
    return at_most(state.trades + 1, limits.trades_per_day)


@check(Denial.TRADES_PER_INSTRUMENT, "trades_per_instrument")
def trades_per_instrument(proposal: Proposal, state: DeskState, limits: RiskLimits) -> Compared:
    """As many entries as allowed in one instrument today. Observed: entries, this one included."""
    return at_most(state.trades_on.get(proposal.token, 0) + 1, limits.trades_per_instrument)


@check(Denial.LOSS_STREAK, "the end of the pause")
def no_pause(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Compared:
    """After a streak of losing trades entries pause. Observed: seconds the pause still lasts; none may be."""
    left = max(state.paused_until - proposal.now, 0)
    return Compared(left == 0, left / NS_PER_S, 0)
