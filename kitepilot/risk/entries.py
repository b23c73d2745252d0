"""A strategy's wish -> an approved entry or a refusal with its numbers."""

from __future__ import annotations

from kitepilot.events import InstrumentTerms, Purpose, RiskLimits, Side, SignalRaised
from kitepilot.market.instruments import round_to_tick
from kitepilot.risk import facts, records
from kitepilot.risk.checks import NS_PER_S, Proposal, first_denial, judge
from kitepilot.risk.exposure import loss_paise
from kitepilot.risk.state import DeskState, Quote


def consider(state: DeskState, signal: SignalRaised, side: Side) -> list[records.Decided]:
    """Size the wish, price it from the touch, judge it."""
    now = max(state.now, signal.event_at)
    proposal = propose(state, signal, side, now)
    checks = judge(proposal, state)
    denial = first_denial(checks)
    if denial or proposal.terms is None:
        return [
            records.deny(
                state,
                now=now,
                signal_id=signal.signal_id,
                strategy=signal.strategy,
                token=signal.token,
                tradingsymbol=signal.tradingsymbol,
                side=side,
                quantity=proposal.quantity,
                limit_price_paise=proposal.limit_price_paise,
                denial=denial,
                checks=checks,
            )
        ]
    draft = records.Draft(
        terms=proposal.terms,
        strategy=signal.strategy,
        purpose=Purpose.ENTRY,
        side=side,
        quantity=proposal.quantity,
        limit_price_paise=proposal.limit_price_paise,
        decision_price_paise=signal.last_paise,
        bar_close_at=signal.bar_close_at,
        now=now,
        signal_id=signal.signal_id,
        received_at=signal.received_at,
        signal_emitted_at=signal.emitted_at,
        leave_at=now + signal.horizon_s * NS_PER_S,
        stop_bps=signal.stop_bps,
        take_profit_bps=signal.take_profit_bps,
    )
    facts.remember_signal(state, signal.signal_id)
    facts.take_margin(
        state, facts.margin_paise(proposal.terms, proposal.quantity, proposal.limit_price_paise)
    )
    return records.approve(state, draft, checks)


def propose(state: DeskState, signal: SignalRaised, side: Side, now: int) -> Proposal:
    """The entry as it would be sent; price and quantity are 0 where they cannot be known."""
    terms, quote = state.terms.get(signal.token), state.quote(signal.token)
    limit_price = entry_limit(side, quote, terms, state.limits) if terms else 0
    return Proposal(
        strategy=signal.strategy,
        terms=terms,
        token=signal.token,
        side=side,
        quantity=_quantity(state.profile.sizing.parameters["notional_paise"], limit_price, terms),
        limit_price_paise=limit_price,
        quote=quote,
        now=now,
        loss_paise=loss_paise(state),
    )


def entry_limit(side: Side, quote: Quote, terms: InstrumentTerms, limits: RiskLimits) -> int:
    """The touch plus protection, on the tick grid and never further out than that; 0 without a touch."""
    touch = quote.ask_paise if side is Side.BUY else quote.bid_paise
    if not touch:
        return 0
    protection = touch * limits.entry_protection_bps // 10_000
    if side is Side.BUY:
        return round_to_tick(touch + protection, terms.tick_size_paise, "down")
    return round_to_tick(touch - protection, terms.tick_size_paise, "up")


def _quantity(notional_paise: int, limit_price_paise: int, terms: InstrumentTerms | None) -> int:
    """Whole lots that the fixed notional buys at the limit price."""
    if terms is None or limit_price_paise <= 0:
        return 0
    lots = notional_paise // (limit_price_paise * terms.lot_size)
    return lots * terms.lot_size
