"""Can the account bear it: positions, exposures, margin, and the day's worst case."""

from __future__ import annotations

from kitepilot.events import RiskLimits
from kitepilot.risk.checks.denials import Denial
from kitepilot.risk.checks.proposal import LIVE, NS_PER_S, Compared, Proposal, at_most, check
from kitepilot.risk.exposure import (
    drawdown_paise,
    gross_exposure_paise,
    instrument_exposure_paise,
    margin_paise,
)
from kitepilot.risk.sides import net_exposure_paise, sector_exposure_paise
from kitepilot.risk.state import DeskState

FUNDS_AGE_S = 300  # live: the gateway reads funds each minute; older than this they are not known


@check(Denial.OPEN_POSITIONS, "open_positions")
def open_positions(proposal: Proposal, state: DeskState, limits: RiskLimits) -> Compared:
    """Enough positions are open or on their way. Observed: instruments, this one included."""
    occupied = set(state.holdings) | {order.token for order in state.working.values()} | {proposal.token}
    return at_most(len(occupied), limits.open_positions)


@check(Denial.INSTRUMENT_EXPOSURE, "instrument_exposure_paise")
def instrument_exposure(proposal: Proposal, state: DeskState, limits: RiskLimits) -> Compared:
    """Too much in one instrument. Observed: paise at risk in it with this order filled."""
    total = instrument_exposure_paise(state, proposal.token) + proposal.value_paise
    return at_most(total, limits.instrument_exposure_paise)


@check(Denial.SECTOR_EXPOSURE, "sector_exposure_paise")
def sector_exposure(proposal: Proposal, state: DeskState, limits: RiskLimits) -> Compared:
    """Too much in one sector. Observed: paise at risk in it with this order filled; its sector is named in
    `market.sectors`, and an instrument without one is judged alone."""
    sector = proposal.terms.sector if proposal.terms else ""
    others = (
        sector_exposure_paise(state, sector) if sector else instrument_exposure_paise(state, proposal.token)
    )
    return at_most(others + proposal.value_paise, limits.sector_exposure_paise)


@check(Denial.GROSS_EXPOSURE, "gross_exposure_paise")
def gross_exposure(proposal: Proposal, state: DeskState, limits: RiskLimits) -> Compared:
    """Too much in all. Observed: paise at risk in all instruments with this order filled."""
    return at_most(gross_exposure_paise(state) + proposal.value_paise, limits.gross_exposure_paise)


@check(Denial.NET_EXPOSURE, "net_exposure_paise")
def net_exposure(proposal: Proposal, state: DeskState, limits: RiskLimits) -> Compared:
    """Too much on one side of the market. Observed: paise on this order's side less what is held on the
    other, with it and every working entry of its side filled."""
    return at_most(net_exposure_paise(state, proposal.side) + proposal.value_paise, limits.net_exposure_paise)


@check(Denial.FUNDS_UNKNOWN, f"{FUNDS_AGE_S} s")
def funds_known(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Compared:
    """Live, and the broker's word on free margin is missing or old. Observed: its age in seconds, or -1."""
    if state.funds is None:
        return Compared(state.mode != LIVE, -1, FUNDS_AGE_S)
    age = proposal.now - state.funds.at
    return Compared(age <= FUNDS_AGE_S * NS_PER_S or state.mode != LIVE, age / NS_PER_S, FUNDS_AGE_S)


@check(Denial.MARGIN, "free margin less `risk.cash_reserve_rupees`")
def margin_available(proposal: Proposal, state: DeskState, limits: RiskLimits) -> Compared:
    """Not enough free margin above the reserve. Observed: paise the broker would block for it; the limit is
    the broker's figure less what our entries asked for since, or 0 where it is not known (paper)."""
    terms, room = proposal.terms, proposal.room_paise
    needed = margin_paise(terms, proposal.quantity, proposal.limit_price_paise) if terms else 0
    return Compared(room is None or needed <= room, needed, room or 0)


@check(Denial.DRAWDOWN, "drawdown_paise")
def drawdown(_proposal: Proposal, state: DeskState, limits: RiskLimits) -> Compared:
    """The day has fallen too far below its best. Observed: paise below the peak; below the limit."""
    fallen = drawdown_paise(state)
    return Compared(fallen < limits.drawdown_paise, fallen, limits.drawdown_paise)


@check(Denial.DAILY_LOSS, "daily_loss_paise")
def daily_loss(proposal: Proposal, _state: DeskState, limits: RiskLimits) -> Compared:
    """The day could lose its cap. Observed: paise lost so far, charges included, with everything open at
    its worst and this entry as well; below the limit."""
    worst, cap = proposal.worst_loss_paise, limits.daily_loss_paise
    return Compared(worst < cap, worst, cap)
