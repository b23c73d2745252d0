"""When positions leave, and how: stop, profit, horizon, a strategy's word, or everything at the cutoff.

Exits are never refused. They are IOC and climb the ladder of `risk.ladder`: one that does not fill is sent
again on a later clock. An exit never asks for more than the position less what unfinished exits may still
take, so repeating it cannot turn the position; nor are there ever more exits on their way than positions.

No rate holds them here: `risk.orders_per_second` is for entries. Exits wait in one place, the gateway's
limiter, which knows the broker's seconds and lets exits use all of them; waiting for our next clock as well
made a flatten of twenty a second slower than the broker does.
"""

from __future__ import annotations

import msgspec

from kitepilot.events import InstrumentTerms, Purpose, RiskLimits, Side
from kitepilot.orders.positions import Position
from kitepilot.risk import ladder, records, states
from kitepilot.risk.checks import NS_PER_S, compared
from kitepilot.risk.state import DeskState, Holding

REDUCES_POSITION = "reduces_position"  # quantity against what is held
MARKET_PROTECTION = "market_protection"  # protection of the exit, 0 for a limit, against the price band


def leave_due(state: DeskState, now: int) -> list[records.Decided]:
    """Send the exits that are due at session time `now`. Costs grow with open positions only."""
    sent: list[records.Decided] = []
    for token, holding in list(state.holdings.items()):
        if not _stays(state, token, holding, now):
            sent.extend(leave(state, token, now))
    return sent


def _stays(state: DeskState, token: int, holding: Holding, now: int) -> bool:
    """Nothing asks for this position to leave: most positions at most marks, told quickly."""
    terms = state.terms.get(token)
    if terms is None or now >= terms.continuous_close_at:
        return False
    return not why_leave(state, holding, state.positions[token], terms, now)[1]


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
    if quantity <= 0:
        return []
    band = _ladder_limits(state).price_band_bps
    draft = _draft(state, holding, terms, purpose=purpose, quantity=quantity, now=now)
    called = _call_owner(state, holding, terms, position)
    holding.attempts += 1
    holding.next_attempt_at = now + ladder.wait_s(holding.attempts) * NS_PER_S
    held = compared(code=REDUCES_POSITION, passed=True, observed=quantity, limit=abs(position.quantity))
    wide = compared(code=MARKET_PROTECTION, passed=True, observed=draft.protection_bps, limit=band)
    return [*called, *records.approve(state, draft, (held, wide))]


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


def _draft(
    state: DeskState, holding: Holding, terms: InstrumentTerms, *, purpose: Purpose, quantity: int, now: int
) -> records.Draft:
    position, quote = state.position(terms.token), state.quote(terms.token)
    side = Side.SELL if position.quantity > 0 else Side.BUY
    paid = position.cost_paise // abs(position.quantity)
    step = ladder.rung(
        _ladder_limits(state),
        holding.attempts,
        holding.exit_wanted,
        must_be_flat=now >= terms.force_flat_at,
    )
    return records.Draft(
        terms=terms,
        strategy=holding.strategy,
        purpose=purpose,
        side=side,
        quantity=quantity,
        order_type=step.order_type,
        protection_bps=step.protection_bps,
        attempt=holding.attempts,
        limit_price_paise=ladder.worst_price(side, quote, paid, terms.tick_size_paise, step),
        decision_price_paise=quote.last_paise or paid,
        bar_close_at=now,
        now=now,
    )


def _ladder_limits(state: DeskState) -> RiskLimits:
    """The owner may narrow the band for entries during the day; how far the last exit goes stays what the
    run began with, or a position could not leave a market that has moved."""
    return msgspec.structs.replace(state.limits, price_band_bps=state.ceiling.price_band_bps)


def _call_owner(
    state: DeskState, holding: Holding, terms: InstrumentTerms, position: Position
) -> list[records.Decided]:
    """The position does not leave: a line in the record, while the tries go on."""
    if not ladder.calls_the_owner(holding.attempts):
        return []
    reason = (
        f"{terms.tradingsymbol}: {holding.attempts} exits without a fill, {position.quantity} shares held: "
        "look at the broker's terminal"
    )
    return [records.note(state, reason)]


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
    return [states.lower(state, states.STUCK_POSITION, reason)]
