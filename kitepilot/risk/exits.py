"""When positions leave, and how: stop, profit, horizon, a strategy's word, or everything at the cutoff.

Exits are never refused. They are LIMIT IOC with protection from the touch; one that does not fill is sent
again on a later clock with twice the protection, up to the price band. An exit never asks for more than the
position less what unfinished exits may still take, so repeating it cannot turn the position.
"""

from __future__ import annotations

from kitepilot.events import InstrumentTerms, Purpose, RiskLimits, Side, TradingState
from kitepilot.market.instruments import round_to_tick
from kitepilot.orders.positions import Position
from kitepilot.risk import records
from kitepilot.risk.checks import NS_PER_S, compared
from kitepilot.risk.state import DeskState, Holding, Quote

REDUCES_POSITION = "reduces_position"  # the one check of an exit: quantity against what is held
QUICK_ATTEMPTS = 6  # a second apart
SLOW_ATTEMPTS = 20  # then five seconds apart, then fifteen
MAX_DOUBLINGS = 16


def leave_due(state: DeskState, now: int) -> list[records.Decided]:
    """Send the exits that are due at session time `now`. Costs grow with open positions only."""
    sent: list[records.Decided] = []
    for token in list(state.holdings):
        sent.extend(leave(state, token, now))
    return sent


def leave(state: DeskState, token: int, now: int) -> list[records.Decided]:
    """At most one exit order for one open position, if a reason stands and none is on its way."""
    holding, position, terms = state.holdings[token], state.position(token), state.terms.get(token)
    if terms is None:
        return []
    if now >= terms.continuous_close_at:
        return _report_stuck(state, terms, position)
    purpose, reason = why_leave(state, holding, position, terms, now)
    holding.exit_wanted = reason
    if not reason or now < holding.next_attempt_at:
        return []
    quantity = abs(position.quantity) - exiting_quantity(state, token)
    if quantity <= 0 or state.rate.at(now)[0] >= state.parameters.limits.orders_per_second:
        return []
    draft = _draft(state, holding, terms, purpose=purpose, quantity=quantity, now=now)
    _schedule_next(holding, terms, now)
    held = compared(code=REDUCES_POSITION, passed=True, observed=quantity, limit=abs(position.quantity))
    return records.approve(state, draft, (held,))


def why_leave(
    state: DeskState, holding: Holding, position: Position, terms: InstrumentTerms, now: int
) -> tuple[Purpose, str]:
    """The strongest standing reason, "" for none. A reason once found stands until the position is flat."""
    if state.leaving:
        return Purpose.SQUARE_OFF, state.leaving
    if now >= terms.square_off_at:
        return Purpose.SQUARE_OFF, "square_off"
    if holding.exit_wanted:
        return Purpose.EXIT, holding.exit_wanted
    if now >= holding.leave_at:
        return Purpose.EXIT, "horizon"
    return Purpose.EXIT, _price_reason(holding, position, state.mark(terms.token))


def exiting_quantity(state: DeskState, token: int) -> int:
    """Shares that unfinished exits of the instrument may still take."""
    return sum(
        order.pending_quantity for order in state.working_on(token) if order.purpose is not Purpose.ENTRY
    )


def exit_limit(side: Side, quote: Quote, fallback_paise: int, tick: int, protection_bps: int) -> int:
    """Touch, else last price, else the fallback, moved by the protection and rounded outwards to the tick."""
    touch = quote.ask_paise if side is Side.BUY else quote.bid_paise
    reference = touch or quote.last_paise or fallback_paise
    if side is Side.BUY:
        return round_to_tick(reference + -(-reference * protection_bps // 10_000), tick, "up")
    lowest = reference - -(-reference * protection_bps // 10_000)
    return max(round_to_tick(lowest, tick, "down"), tick)


def protection_bps(limits: RiskLimits, holding: Holding, terms: InstrumentTerms, now: int) -> int:
    """Doubles with each attempt up to the price band; the whole band at once when it must be flat."""
    if now >= terms.force_flat_at:
        return limits.price_band_bps
    doubled = limits.exit_protection_bps << min(holding.attempts, MAX_DOUBLINGS)
    return min(doubled, limits.price_band_bps)


def _draft(
    state: DeskState, holding: Holding, terms: InstrumentTerms, *, purpose: Purpose, quantity: int, now: int
) -> records.Draft:
    position, quote = state.position(terms.token), state.quote(terms.token)
    side = Side.SELL if position.quantity > 0 else Side.BUY
    bps = protection_bps(state.parameters.limits, holding, terms, now)
    paid = position.cost_paise // abs(position.quantity)
    return records.Draft(
        terms=terms,
        strategy=holding.strategy,
        purpose=purpose,
        side=side,
        quantity=quantity,
        limit_price_paise=exit_limit(side, quote, paid, terms.tick_size_paise, bps),
        decision_price_paise=quote.last_paise or paid,
        bar_close_at=now,
        now=now,
    )


def _schedule_next(holding: Holding, terms: InstrumentTerms, now: int) -> None:
    """Retries slow down, so that an instrument nobody trades does not use up the day's orders."""
    holding.attempts += 1
    quick = holding.attempts <= QUICK_ATTEMPTS
    wait_s = 1 if quick else 5 if holding.attempts <= SLOW_ATTEMPTS else 15
    holding.next_attempt_at = now + wait_s * NS_PER_S


def _price_reason(holding: Holding, position: Position, mark_paise: int) -> str:
    if not mark_paise:
        return ""
    profit = position.unrealised_paise(mark_paise) * 10_000
    if holding.stop_bps and profit <= -holding.stop_bps * position.cost_paise:
        return "stop"
    if holding.take_profit_bps and profit >= holding.take_profit_bps * position.cost_paise:
        return "take_profit"
    return ""


def _report_stuck(state: DeskState, terms: InstrumentTerms, position: Position) -> list[records.Decided]:
    """Once per instrument: it is past its continuous close and we still hold it. Only a person can help."""
    if terms.token in state.stuck:
        return []
    state.stuck.add(terms.token)
    reason = f"{terms.tradingsymbol}: {position.quantity} shares held after its continuous close"
    return [records.move(state, TradingState.HALTED, reason)]
