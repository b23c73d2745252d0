"""Fills -> trades that have ended -> the streak of losers and the pause that follows it.

A trade is one position from flat to flat, whoever closed it. It lost when its profit is below the charges of
its own fills.
"""

from __future__ import annotations

from kitepilot.events import Side
from kitepilot.orders.positions import Position
from kitepilot.risk.exposure import charge_rates
from kitepilot.risk.state import DeskState, Holding

NS_PER_S = 1_000_000_000


def count_entry(state: DeskState, token: int) -> None:
    """An entry was approved, whatever becomes of it."""
    state.trades += 1
    state.trades_on[token] = state.trades_on.get(token, 0) + 1


def charge(state: DeskState, holding: Holding, side: Side, order_before_paise: int, value_paise: int) -> None:
    """A fill belongs to this trade: its charges are the trade's."""
    holding.ledger = holding.ledger.add_fill(charge_rates(state), side, order_before_paise, value_paise)


def end(state: DeskState, holding: Holding, after: Position) -> None:
    """The trade is over: `after` is its instrument's position now, flat or turned."""
    earned = after.realised_paise - holding.realised_before_paise
    lost = earned < holding.ledger.charges(charge_rates(state)).total
    state.streak, state.paused_until = next_streak(
        state.streak, state.paused_until, lost, state.now, state.limits.loss_streak, state.limits.loss_pause_s
    )


def next_streak(
    streak: int, paused_until: int, lost: bool, now: int, longest: int, pause_s: int
) -> tuple[int, int]:
    """Losers in a row and the end of the pause (ns). A full streak pauses, and the count begins anew."""
    if not lost:
        return 0, paused_until
    if streak + 1 < longest:
        return streak + 1, paused_until
    return 0, now + pause_s * NS_PER_S
