"""What the decisions are told besides market and orders -> what the checks compare. Unknown stays unknown."""

from __future__ import annotations

from kitepilot.events import (
    BandsMarked,
    ClockMeasured,
    FeedChanged,
    FundsMarked,
    InstrumentTerms,
    ModelJudged,
    Purpose,
)
from kitepilot.risk.state import RECENT_SIGNALS, Band, DeskOrder, DeskState, Funds

BPS = 10_000


def margin_paise(terms: InstrumentTerms, quantity: int, price_paise: int) -> int:
    """What the broker blocks for an intraday entry, rounded up."""
    return -(-quantity * price_paise * terms.margin_bps // BPS)


def apply_funds(state: DeskState, said: FundsMarked) -> None:
    """The broker's figure, less entries it may not have known of when it answered.

    Entries that still work, and those sent at or after the figure's time, are taken off again. Some may be in
    the figure already: then the margin looks smaller than it is until the next one.
    """
    unsure = [
        *state.working.values(),
        *(order for order in state.recent.values() if order.sent_at >= said.event_at),
    ]
    asked = sum(_asked(state, order) for order in unsure)
    state.funds = Funds(available_paise=said.available_paise, asked_paise=asked, at=said.event_at)


def take_margin(state: DeskState, margin: int) -> None:
    """An entry was approved: its margin is gone, whatever becomes of it, until the broker's next figure."""
    if state.funds is not None:
        state.funds.asked_paise += margin


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


def _asked(state: DeskState, order: DeskOrder) -> int:
    terms = state.terms.get(order.token)
    if terms is None or order.purpose is not Purpose.ENTRY:
        return 0
    return margin_paise(terms, order.quantity, order.limit_price_paise)
