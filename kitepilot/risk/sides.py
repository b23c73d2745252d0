"""Exposure by side of the market and by sector, in paise. Costs grow with open positions and orders only."""

from __future__ import annotations

from kitepilot.events import Purpose, Side
from kitepilot.risk.exposure import valued
from kitepilot.risk.state import DeskState


def net_exposure_paise(state: DeskState, side: Side) -> int:
    """Positions of `side` at their marks less those of the other, with working entries of `side` filled.

    Working entries of the other side may never fill, so they make nothing smaller. Negative when the other
    side weighs more.
    """
    held = valued(state).net_paise
    entering = sum(
        order.pending_quantity * order.limit_price_paise
        for order in state.working.values()
        if order.purpose is Purpose.ENTRY and order.side is side
    )
    return held * side.sign + entering


def sector_exposure_paise(state: DeskState, sector: str) -> int:
    """Positions of the sector at their marks, and what its working entries may still add."""
    held = sum(
        state.position(token).exposure_paise(state.mark(token))
        for token in state.holdings
        if _sector(state, token) == sector
    )
    return held + sum(
        order.pending_quantity * order.limit_price_paise
        for order in state.working.values()
        if order.purpose is Purpose.ENTRY and _sector(state, order.token) == sector
    )


def _sector(state: DeskState, token: int) -> str:
    terms = state.terms.get(token)
    return terms.sector if terms is not None else ""
