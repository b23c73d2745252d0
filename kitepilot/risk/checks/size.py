"""Is the order of a size that may be sent: shares, value, share of the volume, and loss at its stop."""

from __future__ import annotations

from kitepilot.events import RiskLimits
from kitepilot.risk.checks.denials import Denial
from kitepilot.risk.checks.proposal import BPS, LIVE, Compared, Proposal, at_most, check
from kitepilot.risk.state import DeskState


@check(Denial.ORDER_SIZE, "1")
def size_possible(proposal: Proposal, _state: DeskState, _limits: RiskLimits) -> Compared:
    """The sizing buys not even one lot within the limits on size. Observed: shares; at least 1."""
    return Compared(proposal.quantity >= 1, proposal.quantity, 1)


@check(Denial.ORDER_QUANTITY, "order_quantity")
def order_quantity(proposal: Proposal, _state: DeskState, limits: RiskLimits) -> Compared:
    """Too many shares. Observed: shares."""
    return at_most(proposal.quantity, limits.order_quantity)


@check(Denial.FREEZE_QUANTITY, "the instrument's freeze quantity")
def below_freeze_quantity(proposal: Proposal, _state: DeskState, _limits: RiskLimits) -> Compared:
    """More shares than the exchange takes in one order. Observed: shares; no limit (0) where not known."""
    freeze = proposal.terms.freeze_quantity if proposal.terms else 0
    return Compared(not freeze or proposal.quantity <= freeze, proposal.quantity, freeze)


@check(Denial.VOLUME_UNKNOWN, "known")
def volume_known(proposal: Proposal, state: DeskState, limits: RiskLimits) -> Compared:
    """Live, and its average volume is not known while a share of it limits orders. Observed: shares a day."""
    known = proposal.terms.average_volume if proposal.terms else 0
    return Compared(known > 0 or state.mode != LIVE or limits.volume_share_bps >= BPS, known, 1)


@check(Denial.VOLUME_SHARE, "volume_share_bps")
def volume_share(proposal: Proposal, _state: DeskState, limits: RiskLimits) -> Compared:
    """Too large a share of the instrument's average daily volume. Observed: bps of it; 0 where not known."""
    known = proposal.terms.average_volume if proposal.terms else 0
    if not known:
        return Compared(True, 0, limits.volume_share_bps)
    part = proposal.quantity * BPS
    return Compared(part <= limits.volume_share_bps * known, part / known, limits.volume_share_bps)


@check(Denial.ORDER_VALUE, "order_value_paise")
def order_value(proposal: Proposal, _state: DeskState, limits: RiskLimits) -> Compared:
    """Worth too much. Observed: its value at the limit price, in paise."""
    return at_most(proposal.value_paise, limits.order_value_paise)


@check(Denial.TRADE_RISK, "trade_risk_paise")
def trade_risk(proposal: Proposal, _state: DeskState, limits: RiskLimits) -> Compared:
    """It would lose too much at its stop. Observed: paise, charges of both sides included; without a stop
    the loss over the whole price band."""
    return at_most(proposal.risk_paise, limits.trade_risk_paise)
