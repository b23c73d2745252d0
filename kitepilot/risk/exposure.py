"""What the account has at risk and what the day has earned, in paise. Costs grow with open positions only."""

from __future__ import annotations

from datetime import date

import msgspec

from kitepilot.events import Purpose
from kitepilot.orders.charges import DayCharges, Rates, brokerage, rates_on
from kitepilot.risk.state import DeskOrder, DeskState, Valuation


def instrument_exposure_paise(state: DeskState, token: int) -> int:
    """Position at the mark plus what unfinished entries may still add."""
    held = state.position(token).exposure_paise(state.mark(token))
    return held + sum(_entering_paise(order) for order in state.working_on(token))


def gross_exposure_paise(state: DeskState) -> int:
    """All positions at their marks plus what all unfinished entries may still add."""
    return valued(state).exposure_paise + sum(_entering_paise(order) for order in state.working.values())


def unrealised_paise(state: DeskState) -> int:
    """Profit of the open positions at their marks, before charges."""
    return valued(state).unrealised_paise


def charge_rates(state: DeskState) -> Rates:
    return rates_on(date.fromisoformat(state.parameters.session_date))


def charges_paise(state: DeskState) -> int:
    """Charges of all fills so far."""
    return state.ledger.charges(charge_rates(state)).total_paise


def account_charges_paise(state: DeskState) -> int:
    """Charges of every intraday fill of the account, ours and the owner's."""
    ours, owners = state.ledger, state.owners_ledger
    together = DayCharges(
        bought_paise=ours.bought_paise + owners.bought_paise,
        sold_paise=ours.sold_paise + owners.sold_paise,
        brokerage=ours.brokerage + owners.brokerage,
        auto_square_offs=ours.auto_square_offs + owners.auto_square_offs,
    )
    return together.charges(charge_rates(state)).total_paise


def loss_paise(state: DeskState) -> int:
    """What the day would have lost if everything were closed at the marks now, charges included.

    Negative when the day has earned. Each position is taken to leave in one order.
    """
    value = valued(state)
    return value.closing_charges_paise - state.realised_paise - value.unrealised_paise


def valued(state: DeskState) -> Valuation:
    """The open positions at the marks. Every entry asks for it; it is worked out once per change."""
    if state.valuation is None:
        state.valuation = _value(state)
    return state.valuation


def _value(state: DeskState) -> Valuation:
    rates, ledger = charge_rates(state), state.ledger
    bought = sold = unrealised = 0
    fees = ledger.brokerage
    for token in state.holdings:
        position, mark = state.position(token), state.mark(token)
        exposure = position.exposure_paise(mark)
        unrealised += position.unrealised_paise(mark)
        fees += brokerage(rates, exposure)
        if position.quantity > 0:
            sold += exposure
        else:
            bought += exposure
    closed = msgspec.structs.replace(
        ledger,
        bought_paise=ledger.bought_paise + bought,
        sold_paise=ledger.sold_paise + sold,
        brokerage=fees,
    )
    return Valuation(
        exposure_paise=bought + sold,
        unrealised_paise=unrealised,
        closing_charges_paise=closed.charges(rates).total_paise,
    )


def _entering_paise(order: DeskOrder) -> int:
    if order.purpose is not Purpose.ENTRY:
        return 0
    return order.pending_quantity * order.limit_price_paise
