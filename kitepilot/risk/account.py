"""Order updates and fills -> working orders, positions, profit and charges. Each thing counts once."""

from __future__ import annotations

from kitepilot.events import Filled, OrderUpdated, Purpose
from kitepilot.orders.positions import apply_fill
from kitepilot.risk import trades
from kitepilot.risk.exposure import charge_rates
from kitepilot.risk.state import RECENT_ORDERS, DeskOrder, DeskState, Holding

UNPLANNED = "unplanned"  # a position no entry of ours explains: it leaves at once


def apply_update(state: DeskState, update: OrderUpdated) -> None:
    """Merge the gateway's word about an order. Terminal is terminal; reported quantity never falls."""
    order = _find(state, update.intent_id)
    if order is None:
        return
    order.reported_quantity = max(order.reported_quantity, update.filled_quantity)
    if not order.status.terminal:
        order.status = update.status
    _retire_if_finished(state, order)


def apply_filled(state: DeskState, fill: Filled) -> bool:
    """Count a trade. False when this trade of this order was counted before.

    A fill after the order's end still moves the position: the venue raced us.
    """
    order = _find(state, fill.intent_id)
    trade = f"{fill.order_id}/{fill.trade_id}"
    if order is not None and trade in order.trades:
        return False
    value = fill.quantity * fill.price_paise
    before = order.filled_paise.get(fill.order_id, 0) if order is not None else 0
    state.valuation = None
    state.ledger = state.ledger.add_fill(charge_rates(state), fill.side, before, value)
    state.fills += 1
    if order is None:
        state.strangers += 1
    else:
        order.trades.append(trade)
        order.filled_quantity += fill.quantity
        order.filled_paise[fill.order_id] = before + value
        order.reported_quantity = max(order.reported_quantity, order.filled_quantity)
    _move_position(state, fill, order, before)
    if order is not None:
        _retire_if_finished(state, order)
    return True


def _move_position(state: DeskState, fill: Filled, order: DeskOrder | None, filled_before: int) -> None:
    """`filled_before`: paise of the same broker order's earlier fills, where its brokerage stands."""
    before = state.position(fill.token)
    after = apply_fill(before, fill.side, fill.quantity, fill.price_paise)
    state.positions[fill.token] = after
    state.realised_paise += after.realised_paise - before.realised_paise
    turned = before.quantity * after.quantity < 0
    value = (abs(before.quantity) if turned else fill.quantity) * fill.price_paise
    holding = state.holdings.get(fill.token)
    if holding is not None:
        trades.charge(state, holding, fill.side, filled_before, value)
        if after.flat or turned:
            trades.end(state, holding, after)
            del state.holdings[fill.token]
    if after.flat:
        return
    if holding is None or turned:
        rest = abs(after.quantity) * fill.price_paise if turned else value
        state.holdings[fill.token] = new = _plan(fill, order)
        new.realised_before_paise = after.realised_paise
        trades.charge(state, new, fill.side, filled_before + (value if turned else 0), rest)
    elif order is not None and order.purpose is not Purpose.ENTRY:
        holding.attempts, holding.next_attempt_at = 0, 0  # somebody trades: again from close to the touch


def _plan(fill: Filled, order: DeskOrder | None) -> Holding:
    """The plan of a new position: the entry's own, or to leave at once when no entry explains it."""
    if order is None or order.purpose is not Purpose.ENTRY:
        strategy = order.strategy if order is not None else UNPLANNED
        return Holding(strategy=strategy, leave_at=0, stop_bps=0, take_profit_bps=0, exit_wanted=UNPLANNED)
    return Holding(
        strategy=order.strategy,
        leave_at=order.leave_at,
        stop_bps=order.stop_bps,
        take_profit_bps=order.take_profit_bps,
    )


def _find(state: DeskState, intent_id: str) -> DeskOrder | None:
    return state.working.get(intent_id) or state.recent.get(intent_id)


def _retire_if_finished(state: DeskState, order: DeskOrder) -> None:
    """Finished orders leave the working set and are remembered for a while."""
    if not order.finished or order.intent_id not in state.working:
        return
    del state.working[order.intent_id]
    state.recent[order.intent_id] = order
    if len(state.recent) > RECENT_ORDERS:
        del state.recent[next(iter(state.recent))]
