"""May this instrument be entered: what it is, its circuit, and what of it is held or on its way."""

from __future__ import annotations

from kitepilot.events import OrderStatus, RiskLimits
from kitepilot.risk.checks.denials import Denial
from kitepilot.risk.checks.proposal import BPS, LIVE, Compared, Proposal, at_most, check, flag
from kitepilot.risk.state import DeskState

CASH = "NSE"
MAX_UNKNOWN = 2  # orders anywhere whose outcome is not known: with more, the broker's answers are not enough


@check(Denial.UNKNOWN_INSTRUMENT, "known")
def instrument_known(proposal: Proposal, _state: DeskState, _limits: RiskLimits) -> Compared:
    """It is not among the session's instruments. Observed: 1 when it is."""
    return flag(proposal.terms is not None)


@check(Denial.NOT_ALLOWED, "allowed")
def instrument_allowed(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Compared:
    """The profile names what may be traded, and this is not on the list. Observed: 1 when it may be."""
    allowed = state.profile.allowed
    return flag(not allowed or (proposal.terms is not None and proposal.terms.tradingsymbol in allowed))


@check(Denial.BLOCKED, "not blocked")
def instrument_not_blocked(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Compared:
    """The profile blocks it. Observed: 1 when it is not blocked."""
    return flag(proposal.terms is None or proposal.terms.tradingsymbol not in state.profile.blocked)


@check(Denial.NOT_CASH_SEGMENT, "NSE")
def cash_segment(proposal: Proposal, _state: DeskState, _limits: RiskLimits) -> Compared:
    """It is not a share of NSE's cash market. Observed: 1 when it is."""
    return flag(proposal.terms is None or proposal.terms.segment == CASH)


@check(Denial.NOT_INTRADAY, "above 0")
def intraday_possible(proposal: Proposal, _state: DeskState, _limits: RiskLimits) -> Compared:
    """The broker takes no intraday (MIS) orders of it. Observed: its intraday margin in bps; above 0."""
    margin = proposal.terms.margin_bps if proposal.terms else 0
    return Compared(proposal.terms is None or margin > 0, margin, 0)


@check(Denial.CIRCUIT_UNKNOWN, "known")
def circuit_known(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Compared:
    """Live, and its circuit limits are not known. Observed: 1 when known; paper goes on without."""
    known = proposal.token in state.bands
    return Compared(known or state.mode != LIVE, int(known), 1)


@check(Denial.CIRCUIT_NEAR, "circuit_distance_bps")
def circuit_far(proposal: Proposal, state: DeskState, limits: RiskLimits) -> Compared:
    """The price is near a circuit limit, where nobody may be left to trade with. Observed: bps; at least."""
    band, price = state.bands.get(proposal.token), proposal.limit_price_paise
    if band is None or price <= 0:
        return Compared(True, limits.circuit_distance_bps, limits.circuit_distance_bps)
    distance = min(band.upper_paise - price, price - band.lower_paise) * BPS
    least = limits.circuit_distance_bps
    return Compared(distance >= least * price, distance / price, least)


@check(Denial.OUTCOME_UNKNOWN, "none")
def no_unknown_outcome(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Compared:
    """An order on this instrument may or may not be live. Observed: such orders; none may be."""
    unknown = sum(order.status is OrderStatus.UNKNOWN for order in state.working_on(proposal.token))
    return at_most(unknown, 0)


@check(Denial.UNKNOWN_ORDERS, f"{MAX_UNKNOWN}")
def few_unknown_orders(_proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Compared:
    """Too many orders anywhere may or may not be live. Observed: such orders."""
    return at_most(sum(order.status is OrderStatus.UNKNOWN for order in state.working.values()), MAX_UNKNOWN)


@check(Denial.ORDER_WORKING, "none")
def no_working_order(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Compared:
    """An order on this instrument is still working. Observed: such orders; none may be."""
    return at_most(len(state.working_on(proposal.token)), 0)


@check(Denial.POSITION_OPEN, "none")
def no_position(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Compared:
    """The instrument is held already: one position each. Observed: shares held; none may be."""
    return at_most(abs(state.position(proposal.token).quantity), 0)


@check(Denial.FOREIGN_ORDER, "none")
def no_foreign_order(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Compared:
    """An order that is not ours (by hand, or the broker's) is live on it. Observed: how many; none may be."""
    return at_most(state.foreign_live(proposal.token), 0)


@check(Denial.FOREIGN_POSITION, "none")
def no_foreign_position(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Compared:
    """The account holds shares of it that are not ours: the broker would net them. Observed: shares; none."""
    return at_most(abs(state.owners_quantity(proposal.token)), 0)
