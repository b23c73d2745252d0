"""The risk checks on an entry, one function each: what was observed, against which limit.

Every check runs on every proposed entry, so that a verdict shows all the numbers; the first that fails, in
the order of `ENTRY_CHECKS`, is the denial. A check passes when `observed <= limit` unless its text differs.
Numbers in a `Check` are for people and reports: decisions are made on the integers before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from kitepilot.events import Check, InstrumentTerms, OrderStatus, RiskLimits, Side, TradingState
from kitepilot.risk.exposure import gross_exposure_paise, instrument_exposure_paise
from kitepilot.risk.state import DeskState, Quote

NS_PER_S = 1_000_000_000


class Denial(StrEnum):
    """Why an entry was refused."""

    UNKNOWN_INSTRUMENT = "unknown_instrument"  # not among the session's instruments
    TRADING_STATE = "trading_state"  # reducing or halted
    STRATEGY_DISABLED = "strategy_disabled"
    FEED_DOWN = "feed_down"
    SESSION_CLOSED = "session_closed"  # before the open
    ENTRY_CUTOFF = "entry_cutoff"  # too late in the day
    NO_QUOTE = "no_quote"  # no last price yet
    NO_DEPTH = "no_depth"  # nobody on the side we would trade with
    CROSSED_QUOTE = "crossed_quote"  # bid above ask
    STALE_QUOTE = "stale_quote"
    PRICE_BAND = "price_band"  # limit price too far from the last price
    OUTCOME_UNKNOWN = "outcome_unknown"  # an order on this instrument may or may not be live
    ORDER_WORKING = "order_working"
    POSITION_OPEN = "position_open"
    FOREIGN_ORDER = "foreign_order"  # an order that is not ours may fill on this instrument
    FOREIGN_POSITION = "foreign_position"  # the account holds shares of it that are not ours
    ORDER_SIZE = "order_size"  # the fixed notional buys not even one lot
    ORDER_QUANTITY = "order_quantity"
    ORDER_VALUE = "order_value"
    OPEN_POSITIONS = "open_positions"
    INSTRUMENT_EXPOSURE = "instrument_exposure"
    GROSS_EXPOSURE = "gross_exposure"
    ORDERS_PER_SECOND = "orders_per_second"
    ORDERS_PER_MINUTE = "orders_per_minute"
    ORDERS_PER_DAY = "orders_per_day"
    DAILY_LOSS = "daily_loss"


@dataclass(frozen=True)
class Proposal:
    """An entry before it is judged, with the facts that the checks compare."""

    strategy: str
    terms: InstrumentTerms | None
    token: int
    side: Side
    quantity: int
    limit_price_paise: int
    quote: Quote
    now: int  # session time, ns
    loss_paise: int  # what the day has lost so far, charges included; negative when it has earned

    @property
    def value_paise(self) -> int:
        return self.quantity * self.limit_price_paise

    @property
    def touch_paise(self) -> int:
        """The price on the other side: what we would trade against."""
        return self.quote.ask_paise if self.side is Side.BUY else self.quote.bid_paise


EntryCheck = Callable[[Proposal, DeskState, RiskLimits], Check]


def judge(proposal: Proposal, state: DeskState) -> tuple[Check, ...]:
    """All checks, in order."""
    limits = state.limits
    return tuple(check(proposal, state, limits) for check in ENTRY_CHECKS)


def compared(*, code: str, passed: bool, observed: float, limit: float) -> Check:
    """A check as it is recorded: floats, so that it equals itself when read back from the log."""
    return Check(code=code, passed=passed, observed=float(observed), limit=float(limit))


def first_denial(checks: tuple[Check, ...]) -> str:
    """Code of the first check that failed, empty when all passed."""
    return next((check.code for check in checks if not check.passed), "")


def instrument_known(proposal: Proposal, _state: DeskState, _limits: RiskLimits) -> Check:
    """Observed is 1 for an instrument of the session."""
    return _flag(Denial.UNKNOWN_INSTRUMENT, proposal.terms is not None)


def trading_state(_proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Check:
    """Observed is 1 when active."""
    return _flag(Denial.TRADING_STATE, state.trading is TradingState.ACTIVE)


def strategy_enabled(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Check:
    """Observed is 1 when the strategy is enabled."""
    return _flag(Denial.STRATEGY_DISABLED, proposal.strategy in state.enabled)


def feed_up(_proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Check:
    """Observed is 1 while the feed is up."""
    return _flag(Denial.FEED_DOWN, state.feed_up)


def session_open(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Check:
    """Seconds since the open: observed >= limit, which is 0."""
    since_s = (proposal.now - state.parameters.open_at) / NS_PER_S
    return compared(
        code=Denial.SESSION_CLOSED, passed=proposal.now >= state.parameters.open_at, observed=since_s, limit=0
    )


def before_entry_cutoff(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Check:
    """Seconds since the open, against the instrument's cutoff: observed < limit."""
    open_at = state.parameters.open_at
    cutoff_at = proposal.terms.entry_cutoff_at if proposal.terms else open_at
    return compared(
        code=Denial.ENTRY_CUTOFF,
        passed=proposal.now < cutoff_at,
        observed=(proposal.now - open_at) / NS_PER_S,
        limit=(cutoff_at - open_at) / NS_PER_S,
    )


def quote_there(proposal: Proposal, _state: DeskState, _limits: RiskLimits) -> Check:
    """Observed is the last price; it must be above 0."""
    last = proposal.quote.last_paise
    return compared(code=Denial.NO_QUOTE, passed=last > 0, observed=last, limit=0)


def depth_there(proposal: Proposal, _state: DeskState, _limits: RiskLimits) -> Check:
    """Observed is the touch we would trade with; it must be above 0."""
    touch = proposal.touch_paise
    return compared(code=Denial.NO_DEPTH, passed=touch > 0, observed=touch, limit=0)


def quote_not_crossed(proposal: Proposal, _state: DeskState, _limits: RiskLimits) -> Check:
    """Bid (observed) against ask (limit); a missing side is not crossed."""
    bid, ask = proposal.quote.bid_paise, proposal.quote.ask_paise
    return compared(code=Denial.CROSSED_QUOTE, passed=not ask or bid <= ask, observed=bid, limit=ask)


def quote_fresh(proposal: Proposal, _state: DeskState, limits: RiskLimits) -> Check:
    """Age of the quote in seconds."""
    age = proposal.now - proposal.quote.quoted_at
    limit = round(limits.stale_quote_s * NS_PER_S)
    return compared(
        code=Denial.STALE_QUOTE, passed=age <= limit, observed=age / NS_PER_S, limit=limits.stale_quote_s
    )


def price_sane(proposal: Proposal, _state: DeskState, limits: RiskLimits) -> Check:
    """Distance of the limit price from the last price, in paise."""
    last = proposal.quote.last_paise
    distance = abs(proposal.limit_price_paise - last)
    allowed = last * limits.price_band_bps // 10_000
    return compared(code=Denial.PRICE_BAND, passed=distance <= allowed, observed=distance, limit=allowed)


def no_unknown_outcome(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Check:
    """Orders on the instrument whose outcome is unknown: none may be."""
    unknown = sum(order.status is OrderStatus.UNKNOWN for order in state.working_on(proposal.token))
    return _at_most(Denial.OUTCOME_UNKNOWN, unknown, 0)


def no_working_order(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Check:
    """Orders on the instrument that are not finished: none may be."""
    return _at_most(Denial.ORDER_WORKING, len(state.working_on(proposal.token)), 0)


def no_position(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Check:
    """Shares held of the instrument: none may be."""
    return _at_most(Denial.POSITION_OPEN, abs(state.position(proposal.token).quantity), 0)


def no_foreign_order(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Check:
    """Live orders on the instrument that are not ours: none may be."""
    return _at_most(Denial.FOREIGN_ORDER, state.foreign_live(proposal.token), 0)


def no_foreign_position(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Check:
    """Shares of the instrument that are the owner's: none may be, the broker would net them with ours."""
    return _at_most(Denial.FOREIGN_POSITION, abs(state.owners_quantity(proposal.token)), 0)


def size_possible(proposal: Proposal, _state: DeskState, _limits: RiskLimits) -> Check:
    """Observed is the quantity; it must be at least one."""
    return compared(
        code=Denial.ORDER_SIZE, passed=proposal.quantity >= 1, observed=proposal.quantity, limit=1
    )


def order_quantity(proposal: Proposal, _state: DeskState, limits: RiskLimits) -> Check:
    return _at_most(Denial.ORDER_QUANTITY, proposal.quantity, limits.order_quantity)


def order_value(proposal: Proposal, _state: DeskState, limits: RiskLimits) -> Check:
    """Value at the limit price, in paise."""
    return _at_most(Denial.ORDER_VALUE, proposal.value_paise, limits.order_value_paise)


def open_positions(proposal: Proposal, state: DeskState, limits: RiskLimits) -> Check:
    """Instruments with a position or an unfinished order, this one included."""
    occupied = set(state.holdings) | {order.token for order in state.working.values()} | {proposal.token}
    return _at_most(Denial.OPEN_POSITIONS, len(occupied), limits.open_positions)


def instrument_exposure(proposal: Proposal, state: DeskState, limits: RiskLimits) -> Check:
    """Paise at risk in the instrument with this order filled."""
    total = instrument_exposure_paise(state, proposal.token) + proposal.value_paise
    return _at_most(Denial.INSTRUMENT_EXPOSURE, total, limits.instrument_exposure_paise)


def gross_exposure(proposal: Proposal, state: DeskState, limits: RiskLimits) -> Check:
    """Paise at risk in all instruments with this order filled."""
    total = gross_exposure_paise(state) + proposal.value_paise
    return _at_most(Denial.GROSS_EXPOSURE, total, limits.gross_exposure_paise)


def rate_per_second(proposal: Proposal, state: DeskState, limits: RiskLimits) -> Check:
    """Orders in this calendar second of session time, this one included."""
    return _at_most(Denial.ORDERS_PER_SECOND, state.rate.at(proposal.now)[0] + 1, limits.orders_per_second)


def rate_per_minute(proposal: Proposal, state: DeskState, limits: RiskLimits) -> Check:
    """Orders in this calendar minute of session time, this one included."""
    return _at_most(Denial.ORDERS_PER_MINUTE, state.rate.at(proposal.now)[1] + 1, limits.orders_per_minute)


def rate_per_day(proposal: Proposal, state: DeskState, limits: RiskLimits) -> Check:
    """Orders today, this one included. Exits count and are never refused: the limit leaves them room."""
    return _at_most(Denial.ORDERS_PER_DAY, state.rate.in_day + 1, limits.orders_per_day)


def daily_loss(proposal: Proposal, _state: DeskState, limits: RiskLimits) -> Check:
    """The day's loss in paise, closing costs included, must be below the cap: observed < limit."""
    cap = limits.daily_loss_paise
    return compared(
        code=Denial.DAILY_LOSS, passed=proposal.loss_paise < cap, observed=proposal.loss_paise, limit=cap
    )


ENTRY_CHECKS: tuple[EntryCheck, ...] = (
    instrument_known,
    trading_state,
    strategy_enabled,
    feed_up,
    session_open,
    before_entry_cutoff,
    quote_there,
    depth_there,
    quote_not_crossed,
    quote_fresh,
    price_sane,
    no_unknown_outcome,
    no_working_order,
    no_position,
    no_foreign_order,
    no_foreign_position,
    size_possible,
    order_quantity,
    order_value,
    open_positions,
    instrument_exposure,
    gross_exposure,
    rate_per_second,
    rate_per_minute,
    rate_per_day,
    daily_loss,
)


def _at_most(code: Denial, observed: int, limit: int) -> Check:
    return compared(code=code, passed=observed <= limit, observed=observed, limit=limit)


def _flag(code: Denial, good: bool) -> Check:
    return compared(code=code, passed=good, observed=int(good), limit=1)
