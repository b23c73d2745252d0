"""All checks in their order, the judgement, and the reference page made from them."""

from __future__ import annotations

from kitepilot.events import Check
from kitepilot.risk.checks import account, instrument, quote, rate, session, signal, size
from kitepilot.risk.checks.proposal import EntryCheck, Proposal
from kitepilot.risk.state import DeskState

#: Cheap and telling first: what forbids everything, then the instrument, the quote, the size, the account.
ENTRY_CHECKS: tuple[EntryCheck, ...] = (
    instrument.instrument_known,
    session.trading_state,
    session.strategy_enabled,
    session.owner_acknowledged,
    session.feed_up,
    session.feed_settled,
    session.clock_right,
    session.session_open,
    session.before_entry_cutoff,
    signal.signal_is_new,
    instrument.instrument_allowed,
    instrument.instrument_not_blocked,
    instrument.cash_segment,
    instrument.intraday_possible,
    signal.scores_there,
    signal.scores_fresh,
    signal.models_recent,
    signal.models_fit,
    quote.quote_there,
    quote.depth_there,
    quote.quote_not_crossed,
    quote.instrument_moving,
    quote.quote_fresh,
    quote.book_has_two_sides,
    quote.spread_narrow,
    quote.price_sane,
    instrument.circuit_known,
    instrument.circuit_far,
    instrument.no_unknown_outcome,
    instrument.few_unknown_orders,
    instrument.no_working_order,
    instrument.no_position,
    instrument.no_foreign_order,
    instrument.no_foreign_position,
    size.size_possible,
    size.order_quantity,
    size.below_freeze_quantity,
    size.volume_known,
    size.volume_share,
    size.order_value,
    size.trade_risk,
    account.open_positions,
    account.instrument_exposure,
    account.sector_exposure,
    account.gross_exposure,
    account.net_exposure,
    account.funds_known,
    account.margin_available,
    rate.rate_per_second,
    rate.rate_per_minute,
    rate.rate_per_day,
    rate.trades_per_day,
    rate.trades_per_instrument,
    rate.no_pause,
    account.drawdown,
    account.daily_loss,
)


_COMPARISONS = tuple((check.code, check.compare) for check in ENTRY_CHECKS)  # an entry meets all of them


def judge(proposal: Proposal, state: DeskState) -> tuple[Check, ...]:
    """All checks, in order."""
    limits, judged = state.limits, []
    for code, compare in _COMPARISONS:
        passed, observed, limit = compare(proposal, state, limits)
        judged.append(Check(code=code, passed=passed, observed=float(observed), limit=float(limit)))
    return tuple(judged)


def first_denial(checks: tuple[Check, ...]) -> str:
    """Code of the first check that failed, empty when all passed."""
    return next((check.code for check in checks if not check.passed), "")
