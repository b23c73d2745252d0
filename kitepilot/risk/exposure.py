"""What the account has at risk and what the day has earned, in paise. Costs grow with open positions only."""

from __future__ import annotations

from datetime import date

from kitepilot.events import Purpose, Side
from kitepilot.orders.charges import Charges, Rates, rates_on
from kitepilot.risk.state import DeskOrder, DeskState


def instrument_exposure_paise(state: DeskState, token: int) -> int:
    """Position at the mark plus what unfinished entries may still add."""
    held = state.position(token).exposure_paise(state.mark(token))
    return held + sum(_entering_paise(order) for order in state.working_on(token))


def gross_exposure_paise(state: DeskState) -> int:
    """All positions at their marks plus what all unfinished entries may still add."""
    held = sum(state.position(token).exposure_paise(state.mark(token)) for token in state.holdings)
    return held + sum(_entering_paise(order) for order in state.working.values())


def unrealised_paise(state: DeskState) -> int:
    """Profit of the open positions at their marks, before charges."""
    return sum(state.position(token).unrealised_paise(state.mark(token)) for token in state.holdings)


def charge_rates(state: DeskState) -> Rates:
    return rates_on(date.fromisoformat(state.parameters.session_date))


def charges_paise(state: DeskState) -> int:
    """Charges of all fills so far."""
    return state.ledger.charges(charge_rates(state)).total_paise


def loss_paise(state: DeskState) -> int:
    """What the day would have lost if everything were closed at the marks now, charges included.

    Negative when the day has earned. Each position is taken to leave in one order.
    """
    return -(state.realised_paise + unrealised_paise(state) - _charges_when_closed(state).total_paise)


def _charges_when_closed(state: DeskState) -> Charges:
    rates, ledger = charge_rates(state), state.ledger
    for token in state.holdings:
        position = state.position(token)
        side = Side.SELL if position.quantity > 0 else Side.BUY
        ledger = ledger.add_fill(rates, side, 0, position.exposure_paise(state.mark(token)))
    return ledger.charges(rates)


def _entering_paise(order: DeskOrder) -> int:
    if order.purpose is not Purpose.ENTRY:
        return 0
    return order.pending_quantity * order.limit_price_paise
