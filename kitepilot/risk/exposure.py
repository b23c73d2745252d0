"""What the account has at risk and what the day has earned, in paise. Costs grow with open positions only.

Three figures of the same day, each at least the one before (docs/explanation/the-loss-cap.md):

* `loss_paise`: everything closed at the marks, charges included;
* `closing_loss_paise`: that, when every exit pays its first rung's protection and what our unfinished entries
  may still bring leaves at once as well. The daily cap acts on it at each mark;
* `worst_case_loss_paise`: every position and every unfinished entry leaves at its stop instead, or a whole
  price band away where it has none. An entry may not take it past the cap.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache

import msgspec

from kitepilot.events import InstrumentTerms, Purpose, Side
from kitepilot.orders.charges import DayCharges, Rates, brokerage_of, rates_on
from kitepilot.risk.state import DeskOrder, DeskState, Valuation

BPS = 10_000


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
    return rates_on(_date(state.parameters.session_date))


@lru_cache(maxsize=64)
def _date(text: str) -> date:
    """Asked for several times an event."""
    return date.fromisoformat(text)


def margin_paise(terms: InstrumentTerms, quantity: int, price_paise: int) -> int:
    """What the broker blocks for an intraday entry, rounded up."""
    return -(-quantity * price_paise * terms.margin_bps // BPS)


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

    Negative when the day has earned. Each position is taken to leave in one order. Earlier runs of a live
    day count (`Carried`).
    """
    value = valued(state)
    earned = state.parameters.carried.realised_paise + state.realised_paise
    return value.closing_charges_paise - earned - value.unrealised_paise


def drawdown_paise(state: DeskState) -> int:
    """How far the day's result is below its best at any mark so far."""
    return state.peak_paise + loss_paise(state)


def closing_loss_paise(state: DeskState) -> int:
    """What the day would have lost if everything left now and every exit paid its first rung's protection."""
    protection = share(valued(state).exposure_paise, state.limits.exit_protection_bps)
    return loss_paise(state) + protection + _entering_losses(state, at_stop=False)


def worst_case_loss_paise(state: DeskState, extra_paise: int = 0) -> int:
    """What the day would have lost if everything, unfinished entries too, ran to its stop.

    `extra_paise` is added: an entry that is judged (`entry_loss_paise`). A price that jumps over a stop,
    and an exit that needs more than its first rung, are not in it.
    """
    value = valued(state)
    earned = state.parameters.carried.realised_paise + state.realised_paise
    at_stops = value.worst_charges_paise - earned - value.worst_unrealised_paise
    return at_stops + _entering_losses(state, at_stop=True) + extra_paise


def entry_loss_paise(
    state: DeskState, *, token: int, side: Side, quantity: int, limit_price_paise: int, stop_bps: int
) -> int:
    """The worst one entry can do: filled at its limit, left at its stop, charges of both legs.

    Without a stop (`stop_bps` 0) it is left a whole price band away.
    """
    loss = _entry_price_loss(state, token, side, quantity, limit_price_paise, stop_bps)
    return loss + entry_fees_paise(state, side, quantity * limit_price_paise, loss)


def entry_fees_paise(state: DeskState, side: Side, value_paise: int, loss_paise: int = 0) -> int:
    """Charges of an entry of that value and of its exit, which for a short may cost more by the loss."""
    rates = charge_rates(state)
    leaving = value_paise + (loss_paise if side is Side.SELL else 0)
    both = DayCharges().add_fill(rates, side, 0, value_paise).add_fill(rates, side.opposite, 0, leaving)
    return both.charges(rates).total_paise + 1  # the day rounds once, so many orders may round up together


def share(value_paise: int, bps: int) -> int:
    """So many basis points of an amount, rounded up."""
    return -(-value_paise * bps // BPS)


def valued(state: DeskState) -> Valuation:
    """The open positions at the marks. Every entry asks for it; it is worked out once per change."""
    if state.valuation is None:
        state.valuation = _value(state)
    return state.valuation


def _value(state: DeskState) -> Valuation:
    """One pass, without a function call a position: a mark of the whole market asks for it each time."""
    rates, ledger, limits = charge_rates(state), _day_ledger(state), state.limits
    protection, band = limits.exit_protection_bps, limits.price_band_bps
    bought = sold = unrealised = worst = dearer = margin = 0
    values: list[int] = []  # of the closing orders, at the marks and at the worst
    worst_values: list[int] = []
    for token, holding in state.holdings.items():
        position, quote, terms = state.positions[token], state.quotes.get(token), state.terms.get(token)
        quantity, cost = position.quantity, position.cost_paise
        mark = (quote.last_paise if quote is not None else 0) or state.mark(token)
        exposure = abs(quantity) * mark
        at_mark = exposure - cost if quantity > 0 else cost - exposure
        at_stop = -cost * holding.stop_bps // BPS if holding.stop_bps else at_mark - share(exposure, band)
        at_worst = min(at_mark, at_stop) - share(exposure, protection)
        unrealised += at_mark
        worst += at_worst
        margin += margin_paise(terms, 1, cost) if terms is not None else 0
        values.append(exposure)
        if quantity > 0:
            sold += exposure
            worst_values.append(exposure)
        else:
            bought += exposure
            dearer += at_mark - at_worst
            worst_values.append(exposure + at_mark - at_worst)
    closed = msgspec.structs.replace(
        ledger,
        bought_paise=ledger.bought_paise + bought,
        sold_paise=ledger.sold_paise + sold,
        brokerage=ledger.brokerage + brokerage_of(rates, values),
    )
    stopped = msgspec.structs.replace(
        closed,
        bought_paise=closed.bought_paise + dearer,
        brokerage=ledger.brokerage + brokerage_of(rates, worst_values),
    )
    return Valuation(
        exposure_paise=bought + sold,
        net_paise=sold - bought,
        margin_paise=margin,
        unrealised_paise=unrealised,
        closing_charges_paise=closed.charges(rates).total_paise,
        worst_unrealised_paise=worst,
        worst_charges_paise=stopped.charges(rates).total_paise,
    )


def _day_ledger(state: DeskState) -> DayCharges:
    """Fills of the day, those of earlier runs included."""
    earlier, ledger = state.parameters.carried, state.ledger
    return DayCharges(
        bought_paise=ledger.bought_paise + earlier.bought_paise,
        sold_paise=ledger.sold_paise + earlier.sold_paise,
        brokerage=ledger.brokerage + earlier.brokerage,
        auto_square_offs=ledger.auto_square_offs + earlier.auto_square_offs,
    )


def _entering_losses(state: DeskState, *, at_stop: bool) -> int:
    """What unfinished entries may lose: run to their stops, or left as soon as they are filled."""
    return sum(_entering_loss(state, order, at_stop=at_stop) for order in state.working.values())


def _entering_loss(state: DeskState, order: DeskOrder, *, at_stop: bool) -> int:
    pending = order.pending_quantity if order.purpose is Purpose.ENTRY else 0
    if not pending:
        return 0
    stop_bps = order.stop_bps if at_stop else None
    loss = _entry_price_loss(state, order.token, order.side, pending, order.limit_price_paise, stop_bps)
    return loss + order.fees_paise


def _entry_price_loss(
    state: DeskState, token: int, side: Side, quantity: int, limit_price_paise: int, stop_bps: int | None
) -> int:
    """Filled at the limit, left at the stop (0: a price band away; None: at the mark), with protection."""
    value, mark, limits = quantity * limit_price_paise, state.mark(token), state.limits
    at_mark = max(side.sign * (value - quantity * mark), 0) if mark else 0
    at_stop = 0 if stop_bps is None else share(value, stop_bps or limits.price_band_bps)
    return max(at_mark, at_stop) + share(max(value, quantity * mark), limits.exit_protection_bps)


def _entering_paise(order: DeskOrder) -> int:
    if order.purpose is not Purpose.ENTRY:
        return 0
    return order.pending_quantity * order.limit_price_paise
