"""How the fold says what it decided: verdicts, permissions, changes of state, the account each second."""

from __future__ import annotations

from dataclasses import dataclass

from kitepilot.events import (
    AccountMarked,
    ApprovedIntent,
    Check,
    InstrumentTerms,
    Purpose,
    Side,
    StateChanged,
    TradingState,
    Verdict,
)
from kitepilot.orders.intents import intent_id, verdict_id
from kitepilot.risk.exposure import (
    charges_paise,
    drawdown_paise,
    entry_fees_paise,
    gross_exposure_paise,
    loss_paise,
    unrealised_paise,
    worst_case_loss_paise,
)
from kitepilot.risk.state import DeskOrder, DeskState
from kitepilot.risk.trades import count_entry

DECISIONS_SOURCE = "decisions"  # verdicts, state changes, account marks
INTENTS_SOURCE = "decisions.intents"

Decided = Verdict | StateChanged | AccountMarked | ApprovedIntent  # everything the fold says


@dataclass(frozen=True)
class Draft:
    """An order the fold would like to send, before its verdict is written."""

    terms: InstrumentTerms
    strategy: str
    purpose: Purpose
    side: Side
    quantity: int
    limit_price_paise: int
    decision_price_paise: int
    bar_close_at: int  # what the intent's name is derived from: the signal's bar, or now for our own exits
    now: int  # session time, ns
    order_type: str = "LIMIT"
    protection_bps: int = 0
    attempt: int = 0
    signal_id: str = ""
    received_at: int = 0
    signal_emitted_at: int = 0
    leave_at: int = 0
    stop_bps: int = 0
    take_profit_bps: int = 0
    models: tuple[str, ...] = ()


def approve(state: DeskState, draft: Draft, checks: tuple[Check, ...]) -> list[Decided]:
    """Book the order as working and give permission: one verdict, one intent."""
    token, close_at = draft.terms.token, draft.bar_close_at
    name = intent_id(state.run_id, draft.strategy, token, close_at, state.orders, draft.purpose)
    state.orders += 1
    state.rate.count(draft.now)
    entering = draft.purpose is Purpose.ENTRY
    if entering:
        count_entry(state, token)
    state.working[name] = DeskOrder(
        intent_id=name,
        token=draft.terms.token,
        side=draft.side,
        purpose=draft.purpose,
        strategy=draft.strategy,
        quantity=draft.quantity,
        limit_price_paise=draft.limit_price_paise,
        sent_at=draft.now,
        leave_at=draft.leave_at,
        stop_bps=draft.stop_bps,
        take_profit_bps=draft.take_profit_bps,
        fees_paise=entry_fees_paise(state, draft.side, draft.quantity * draft.limit_price_paise)
        if entering
        else 0,
    )
    verdict = Verdict(
        source=DECISIONS_SOURCE,
        seq=state.next_decision(),
        event_at=draft.now,
        verdict_id=_next_verdict_id(state),
        run_id=state.run_id,
        signal_id=draft.signal_id,
        strategy=draft.strategy,
        token=draft.terms.token,
        tradingsymbol=draft.terms.tradingsymbol,
        purpose=draft.purpose,
        side=draft.side,
        quantity=draft.quantity,
        limit_price_paise=draft.limit_price_paise,
        approved=True,
        denial="",
        intent_id=name,
        state=state.trading,
        checks=checks,
        profile_version=state.profile.version,
        models=draft.models,
    )
    return [verdict, _permission(state, draft, verdict)]


def deny(  # one refusal as it is written down
    state: DeskState,
    *,
    now: int,
    signal_id: str,
    strategy: str,
    token: int,
    tradingsymbol: str,
    side: Side,
    quantity: int,
    limit_price_paise: int,
    denial: str,
    checks: tuple[Check, ...],
    models: tuple[str, ...],
) -> Verdict:
    """The record of a refused entry."""
    return Verdict(
        source=DECISIONS_SOURCE,
        seq=state.next_decision(),
        event_at=now,
        verdict_id=_next_verdict_id(state),
        run_id=state.run_id,
        signal_id=signal_id,
        strategy=strategy,
        token=token,
        tradingsymbol=tradingsymbol,
        purpose=Purpose.ENTRY,
        side=side,
        quantity=quantity,
        limit_price_paise=limit_price_paise,
        approved=False,
        denial=denial,
        intent_id="",
        state=state.trading,
        checks=checks,
        profile_version=state.profile.version,
        models=models,
    )


def move(state: DeskState, to: TradingState, reason: str, rule: str = "") -> StateChanged:
    """Set the trading state and say why. `to` may be the present state: then it is a note in the record.

    `rule` names what lowers it (`risk.states`); without one it is the owner's word, or a note.
    """
    previous, state.trading = state.trading, to
    if previous is not to:
        state.rule = rule
    return StateChanged(
        source=DECISIONS_SOURCE,
        seq=state.next_decision(),
        event_at=state.now,
        run_id=state.run_id,
        previous=previous,
        state=to,
        reason=reason,
        rule=rule,
    )


def note(state: DeskState, reason: str) -> StateChanged:
    """A line in the record without a change of state."""
    return move(state, state.trading, reason)


def account(state: DeskState) -> AccountMarked:
    """The account at the mark just applied."""
    oldest = next(iter(state.working.values()), None)
    return AccountMarked(
        source=DECISIONS_SOURCE,
        seq=state.next_decision(),
        event_at=state.now,
        run_id=state.run_id,
        state=state.trading,
        realised_paise=state.realised_paise,
        unrealised_paise=unrealised_paise(state),
        charges_paise=charges_paise(state),
        open_positions=len(state.holdings),
        gross_exposure_paise=gross_exposure_paise(state),
        working_orders=len(state.working),
        oldest_working_at=oldest.sent_at if oldest else 0,
        orders=state.orders,
        fills=state.fills,
        loss_paise=loss_paise(state),
        worst_case_paise=worst_case_loss_paise(state),
        drawdown_paise=drawdown_paise(state),
        trades=state.trades,
        profile_version=state.profile.version,
    )


def _permission(state: DeskState, draft: Draft, verdict: Verdict) -> ApprovedIntent:
    """The only place that makes an `ApprovedIntent`, and only from an approving verdict."""
    return ApprovedIntent(
        source=INTENTS_SOURCE,
        seq=state.next_intent(),
        event_at=draft.now,
        intent_id=verdict.intent_id,
        run_id=state.run_id,
        config_hash=state.config_hash,
        signal_id=draft.signal_id,
        verdict_id=verdict.verdict_id,
        strategy=draft.strategy,
        purpose=draft.purpose,
        token=verdict.token,
        tradingsymbol=verdict.tradingsymbol,
        side=draft.side,
        quantity=draft.quantity,
        order_type=draft.order_type,
        limit_price_paise=draft.limit_price_paise,
        validity="IOC",
        decision_price_paise=draft.decision_price_paise,
        received_at=draft.received_at,
        signal_emitted_at=draft.signal_emitted_at,
        protection_bps=draft.protection_bps,
        attempt=draft.attempt,
        models=draft.models,
    )


def _next_verdict_id(state: DeskState) -> str:
    state.verdicts += 1
    return verdict_id(state.run_id, state.verdicts - 1)
