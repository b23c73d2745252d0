"""May anything be opened at all now: the desk's state, the feed, the clock, the session's hours."""

from __future__ import annotations

from kitepilot.events import RiskLimits, TradingState
from kitepilot.risk.checks.denials import Denial
from kitepilot.risk.checks.proposal import LIVE, NS_PER_S, Compared, Proposal, check, flag
from kitepilot.risk.state import DeskState


@check(Denial.TRADING_STATE, "active")
def trading_state(_proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Compared:
    """The system is reducing or halted. Observed: 1 when active."""
    return flag(state.trading is TradingState.ACTIVE)


@check(Denial.STRATEGY_DISABLED, "enabled")
def strategy_enabled(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Compared:
    """Its strategy is switched off. Observed: 1 when enabled."""
    return flag(proposal.signal.strategy in state.enabled)


@check(Denial.OWNER_ACKNOWLEDGEMENT, "acknowledged")
def owner_acknowledged(_proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Compared:
    """Live, and the owner has not said `kitepilot acknowledge` today. Observed: 1 when said, or on paper."""
    return flag(state.mode != LIVE or state.acknowledged)


@check(Denial.FEED_DOWN, "up")
def feed_up(_proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Compared:
    """The ticker is down. Observed: 1 while the feed is up."""
    return flag(state.feed_up)


@check(Denial.FEED_SETTLING, "feed_settle_s")
def feed_settled(proposal: Proposal, state: DeskState, limits: RiskLimits) -> Compared:
    """The feed came back after a gap a moment ago. Observed: seconds since; at least the limit."""
    if not state.feed_gap_at:
        return Compared(True, limits.feed_settle_s, limits.feed_settle_s)
    since = proposal.now - state.feed_gap_at
    return Compared(since >= round(limits.feed_settle_s * NS_PER_S), since / NS_PER_S, limits.feed_settle_s)


@check(Denial.CLOCK_SKEW, "clock_skew_ms")
def clock_right(_proposal: Proposal, state: DeskState, limits: RiskLimits) -> Compared:
    """This machine's clock is off, or was never compared (live). Observed: milliseconds, -1 if not known."""
    if state.skew_ms is None:
        return Compared(state.mode != LIVE, -1, limits.clock_skew_ms)
    return Compared(abs(state.skew_ms) <= limits.clock_skew_ms, abs(state.skew_ms), limits.clock_skew_ms)


@check(Denial.SESSION_CLOSED, "the open")
def session_open(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Compared:
    """Continuous trading has not begun. Observed: seconds since the open; at least 0."""
    since = proposal.now - state.parameters.open_at
    return Compared(since >= 0, since / NS_PER_S, 0)


@check(Denial.ENTRY_CUTOFF, "the instrument's cutoff")
def before_entry_cutoff(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Compared:
    """It is too late in the day for this instrument. Observed: seconds since the open; below the cutoff's."""
    open_at = state.parameters.open_at
    cutoff_at = proposal.terms.entry_cutoff_at if proposal.terms else open_at
    return Compared(
        proposal.now < cutoff_at, (proposal.now - open_at) / NS_PER_S, (cutoff_at - open_at) / NS_PER_S
    )
