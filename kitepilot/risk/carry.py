"""The fills of a day's earlier live runs -> where a new run of that day begins.

A restart must not give the day a fresh loss cap. The same fold counts these fills that counted them then;
positions that stood open between the runs are in it as far as they were closed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from kitepilot.events import (
    Carried,
    DecisionParameters,
    Filled,
    ForeignFilled,
    OrderStatus,
    Purpose,
    Side,
)
from kitepilot.risk import account, foreign
from kitepilot.risk.exposure import loss_paise
from kitepilot.risk.state import DeskOrder, DeskState, begin


class EarlierIntent(msgspec.Struct, frozen=True, kw_only=True):
    """One order that an earlier run approved."""

    intent_id: str
    token: int
    side: Side
    purpose: Purpose
    strategy: str
    quantity: int
    limit_price_paise: int


def carried(
    parameters: DecisionParameters, intents: Iterable[EarlierIntent], fills: Iterable[Filled | ForeignFilled]
) -> Carried:
    """What has been used up. `fills` in any order, each trade once; `parameters` of the run that begins."""
    state = begin("", "", msgspec.structs.replace(parameters, carried=Carried()))
    entries: Counter[int] = Counter()
    for each in intents:
        state.recent[each.intent_id] = _finished(each)
        entries[each.token] += each.purpose is Purpose.ENTRY
    for fill in sorted(fills, key=lambda each: (each.filled_at, each.order_id, each.trade_id)):
        _count(state, fill)
    ledger = state.ledger
    return Carried(
        realised_paise=state.realised_paise,
        bought_paise=ledger.bought_paise,
        sold_paise=ledger.sold_paise,
        brokerage=ledger.brokerage,
        auto_square_offs=ledger.auto_square_offs,
        orders=len(state.recent),
        trades=entries.total(),
        trades_on={token: count for token, count in sorted(entries.items()) if count},
        peak_paise=state.peak_paise,
        streak=state.streak,
        paused_until=state.paused_until,
    )


def _count(state: DeskState, fill: Filled | ForeignFilled) -> None:
    state.now = max(state.now, fill.filled_at)
    if isinstance(fill, Filled):
        account.apply_filled(state, fill)
    else:
        foreign.apply_fill_of(state, fill)
    if not state.holdings:
        state.peak_paise = max(state.peak_paise, -loss_paise(state))


def _finished(intent: EarlierIntent) -> DeskOrder:
    return DeskOrder(
        intent_id=intent.intent_id,
        token=intent.token,
        side=intent.side,
        purpose=intent.purpose,
        strategy=intent.strategy,
        quantity=intent.quantity,
        limit_price_paise=intent.limit_price_paise,
        sent_at=0,
        status=OrderStatus.FILLED,
    )
