"""A strategy's wish -> an approved entry or a refusal with its numbers."""

from __future__ import annotations

import math

from kitepilot.events import InstrumentTerms, Purpose, RiskLimits, Side, SignalRaised
from kitepilot.market.instruments import round_to_tick
from kitepilot.risk import facts, records
from kitepilot.risk.checks import NS_PER_S, Proposal, first_denial, judge
from kitepilot.risk.exposure import charge_rates, entry_loss_paise, worst_case_loss_paise
from kitepilot.risk.sizing import Entry, fit, method_of
from kitepilot.risk.state import DeskState, Quote
from kitepilot.risk.trade_risk import stop_distance_bps, trade_risk_paise

MINUTE_MOVE = "vol_300s"  # the feature that says how far a minute usually goes, bps


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
                models=signal.models,
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
        models=signal.models,
    )
    facts.remember_signal(state, signal.signal_id)
    return records.approve(state, draft, checks)


def propose(state: DeskState, signal: SignalRaised, side: Side, now: int) -> Proposal:
    """The entry as it would be sent; price and quantity are 0 where they cannot be known."""
    terms, quote, limits = state.terms.get(signal.token), state.quote(signal.token), state.limits
    price = entry_limit(side, quote, terms, limits) if terms else 0
    room, rates = facts.room_paise(state), charge_rates(state)
    quantity = 0
    if terms is not None and price > 0:
        wanted = method_of(state.profile.sizing).shares(_entry(signal, price, limits))
        quantity = fit(
            wanted,
            price_paise=price,
            stop_bps=signal.stop_bps,
            terms=terms,
            limits=limits,
            rates=rates,
            room_paise=room,
        )
    risk = trade_risk_paise(rates, quantity * price, signal.stop_bps, limits)
    return Proposal(
        signal=signal,
        terms=terms,
        side=side,
        quantity=quantity,
        limit_price_paise=price,
        quote=quote,
        now=now,
        risk_paise=risk,
        worst_loss_paise=worst_case_loss_paise(
            state,
            entry_loss_paise(
                state,
                token=signal.token,
                side=side,
                quantity=quantity,
                limit_price_paise=price,
                stop_bps=signal.stop_bps,
            ),
        ),
        room_paise=room,
    )


def _entry(signal: SignalRaised, price_paise: int, limits: RiskLimits) -> Entry:
    """What a sizing method sees. A move that is not a number is not known."""
    move = signal.features.get(MINUTE_MOVE, math.nan)
    return Entry(
        price_paise=price_paise,
        stop_bps=stop_distance_bps(signal.stop_bps, limits),
        horizon_s=signal.horizon_s,
        minute_move_milli_bps=round(move * 1_000) if math.isfinite(move) else 0,
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
