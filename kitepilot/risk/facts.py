"""What the decisions are told besides market and orders -> what the checks compare. Unknown stays unknown."""

from __future__ import annotations

from kitepilot.events import (
    BandsMarked,
    ClockMeasured,
    FeedChanged,
    FundsMarked,
    ModelJudged,
    Purpose,
)
from kitepilot.risk.exposure import loss_paise, margin_paise, valued
from kitepilot.risk.state import RECENT_SIGNALS, Band, DeskOrder, DeskState, Funds


def apply_funds(state: DeskState, said: FundsMarked) -> None:
    """The broker's figure, and beside it what of our own margin is surely in it already.

    An entry that works, or was sent at or after the figure's time, may be in it or not: it is taken as not,
    so that the margin looks at most smaller than it is until the next figure.
    """
    unsure = {order.token for order in state.working.values()} | {
        order.token for order in state.recent.values() if order.sent_at >= said.event_at
    }
    state.funds = Funds(
        available_paise=said.available_paise,
        counted_paise=sum(_held(state, token) for token in state.holdings if token not in unsure),
        loss_paise=loss_paise(state),
        at=said.event_at,
    )


def room_paise(state: DeskState) -> int | None:
    """Free margin for the next entry, above the reserve; None when the broker's figure is not known.

    The figure less what our positions and working entries have asked for since, and less what was lost since.
    """
    funds = state.funds
    if funds is None:
        return None
    asked = valued(state).margin_paise + sum(_asked(state, order) for order in state.working.values())
    lost = max(loss_paise(state) - funds.loss_paise, 0)
    return funds.available_paise + funds.counted_paise - asked - lost - state.limits.cash_reserve_paise


def apply_bands(state: DeskState, said: BandsMarked) -> None:
    """Circuit limits in force from now on. A row without both limits is not known."""
    for token, lower, upper in zip(said.tokens, said.lower_paise, said.upper_paise, strict=True):
        if 0 < lower < upper:
            state.bands[token] = Band(lower, upper)
        else:
            state.bands.pop(token, None)


def apply_clock(state: DeskState, said: ClockMeasured) -> None:
    state.skew_ms = said.skew_ms


def apply_judgement(state: DeskState, said: ModelJudged) -> None:
    state.models[said.model] = said.state


def apply_feed(state: DeskState, said: FeedChanged) -> None:
    """Up after down: entries wait from now for the quotes to settle."""
    up = said.state == "up"
    if up and not state.feed_up:
        state.feed_gap_at = max(state.now, said.event_at)
    state.feed_up = up
    state.feed_down_at = 0 if up else state.feed_down_at or max(state.now, said.event_at)


def remember_signal(state: DeskState, signal_id: str) -> None:
    """This signal has become an order; the oldest of many is forgotten."""
    state.signals[signal_id] = None
    if len(state.signals) > RECENT_SIGNALS:
        del state.signals[next(iter(state.signals))]


def _held(state: DeskState, token: int) -> int:
    terms, position = state.terms.get(token), state.position(token)
    return 0 if terms is None else margin_paise(terms, 1, position.cost_paise)


def _asked(state: DeskState, order: DeskOrder) -> int:
    terms = state.terms.get(order.token)
    if terms is None or order.purpose is not Purpose.ENTRY:
        return 0
    return margin_paise(terms, order.pending_quantity, order.limit_price_paise)
