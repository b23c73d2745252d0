"""Orders of the account that are not ours -> what they do to our positions, and what stays the owner's.

The broker keeps one intraday position per instrument, whoever traded. So of a foreign fill

* first what closes the owner's own shares is the owner's,
* then what stands against our position closes it, up to all of it: were it not counted, our own exit would
  later open a position the other way round,
* and the rest is the owner's. We never touch it, and open nothing on the instrument while it stands.

The watchdog's orders come this way too: it trades when the decisions or the gateway do not. They are exits of
ours, so what they close is ours first.

So `ours + the owner's` is always what the broker has, and both are kept to the paisa.
"""

from __future__ import annotations

from kitepilot.events import ForeignFilled, ForeignOrderUpdated, Side
from kitepilot.orders.positions import FLAT, Position, apply_fill
from kitepilot.risk import records, trades
from kitepilot.risk.exposure import charge_rates
from kitepilot.risk.state import RECENT_ORDERS, DeskState, ForeignOrder

WATCHDOG = "watchdog"  # `placed_by` of an order that carries a tag of the watchdog's
INTRADAY = "MIS"  # positions are netted per product; other products never meet ours


def apply_update(state: DeskState, update: ForeignOrderUpdated) -> None:
    """Remember whether it is live: entries on its instrument wait."""
    if update.product == INTRADAY:
        order = _order(state, update.order_id, update.token)
        order.live = not update.status.terminal


def apply_fill_of(state: DeskState, fill: ForeignFilled) -> list[records.Decided]:
    """Count a trade, once. A note when it took shares of ours."""
    order = _order(state, fill.order_id, fill.token)
    if fill.trade_id in order.trades:
        return []
    order.trades.append(fill.trade_id)
    state.foreign_fills += 1
    theirs, ours = split(state.owners.get(fill.token, FLAT), state.position(fill.token), fill)
    if fill.by_broker and not order.billed:
        order.billed = True
        _bill_square_off(state, ours > 0)
    if theirs:
        _to_owner(state, order, fill, theirs)
    if not ours:
        return []
    held = state.position(fill.token).quantity
    _to_us(state, order, fill, ours)
    return [
        records.note(state, f"{fill.tradingsymbol}: {_who(fill)} closed {ours} of our {abs(held)} shares")
    ]


def _who(fill: ForeignFilled) -> str:
    if fill.placed_by == WATCHDOG:
        return "the watchdog"
    return "the broker" if fill.by_broker else "a foreign order"


def split(owners: Position, ours: Position, fill: ForeignFilled) -> tuple[int, int]:
    """Shares of the fill that are the owner's, and ours."""
    closes_ours = portion(
        owners.quantity, ours.quantity, fill.side, fill.quantity, ours_first=fill.placed_by == WATCHDOG
    )
    return fill.quantity - closes_ours, closes_ours


def portion(owners: int, ours: int, side: Side, quantity: int, *, ours_first: bool) -> int:
    """Shares of a foreign order's `quantity` that close ours. `owners` and `ours` are signed positions."""
    closes_owners = 0 if ours_first else min(max(-owners * side.sign, 0), quantity)
    return min(max(-ours * side.sign, 0), quantity - closes_owners)


def _to_owner(state: DeskState, order: ForeignOrder, fill: ForeignFilled, quantity: int) -> None:
    before = state.owners.get(fill.token, FLAT)
    state.owners[fill.token] = apply_fill(before, fill.side, quantity, fill.price_paise)
    value = quantity * fill.price_paise
    rates = charge_rates(state)
    state.owners_ledger = state.owners_ledger.add_fill(rates, fill.side, order.filled_paise, value)
    order.filled_paise += value


def _to_us(state: DeskState, order: ForeignOrder, fill: ForeignFilled, quantity: int) -> None:
    """As an exit of ours would: position, profit, charges; the plan starts over or ends."""
    before = state.position(fill.token)
    after = apply_fill(before, fill.side, quantity, fill.price_paise)
    value = quantity * fill.price_paise
    state.ledger = state.ledger.add_fill(charge_rates(state), fill.side, order.filled_paise, value)
    holding = state.holdings[fill.token]
    trades.charge(state, holding, fill.side, order.filled_paise, value)
    order.filled_paise += value
    state.positions[fill.token] = after
    state.realised_paise += after.realised_paise - before.realised_paise
    state.valuation = None
    if after.flat:
        trades.end(state, holding, after)
        del state.holdings[fill.token]


def _bill_square_off(state: DeskState, ours: bool) -> None:
    if ours:
        state.ledger = state.ledger.add_auto_square_off()
    else:
        state.owners_ledger = state.owners_ledger.add_auto_square_off()


def _order(state: DeskState, order_id: str, token: int) -> ForeignOrder:
    """What is remembered of an order; the oldest that has ended makes room."""
    found = state.foreign.get(order_id)
    if found is None:
        found = state.foreign[order_id] = ForeignOrder(token=token)
        if len(state.foreign) > RECENT_ORDERS:
            ended = (name for name, each in state.foreign.items() if not each.live and name != order_id)
            state.foreign.pop(next(ended, ""), None)
    return found
