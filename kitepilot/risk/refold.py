"""Read a session again: the same fold over its events, and the account it ends with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kitepilot.events import SessionEvent, TradingState
from kitepilot.orders.positions import Position
from kitepilot.risk.decide import decide
from kitepilot.risk.exposure import account_charges_paise, charges_paise
from kitepilot.risk.records import Decided
from kitepilot.risk.state import DeskState


@dataclass(frozen=True)
class InstrumentSummary:
    """One traded instrument; quantities in shares, amounts in paise."""

    token: int
    tradingsymbol: str
    quantity: int
    bought_quantity: int
    sold_quantity: int
    bought_paise: int
    sold_paise: int
    realised_paise: int


@dataclass(frozen=True)
class Summary:
    """The account as the decision fold has it, to be compared with the other books."""

    run_id: str
    state: TradingState
    orders: int
    fills: int
    realised_paise: int
    charges_paise: int
    open_positions: int
    working_orders: int
    strangers: int  # fills of orders the fold does not remember
    gaps: int  # sequence numbers that never came
    foreign_fills: int
    account_charges_paise: int  # with the owner's own trades
    instruments: tuple[InstrumentSummary, ...]  # by token
    owners: tuple[InstrumentSummary, ...]  # what foreign orders did beyond closing ours


def fold_all(events: Iterable[SessionEvent]) -> tuple[DeskState | None, list[Decided]]:
    """Fold a session from its start; the state is None when it holds no `RunStarted`."""
    state: DeskState | None = None
    outputs: list[Decided] = []
    for event in events:
        state, decided = decide(state, event)
        outputs.extend(decided)
    return state, outputs


def summary(state: DeskState) -> Summary:
    """What the reconciliation compares."""
    return Summary(
        run_id=state.run_id,
        state=state.trading,
        orders=state.orders,
        fills=state.fills,
        realised_paise=state.realised_paise,
        charges_paise=charges_paise(state),
        open_positions=len(state.holdings),
        working_orders=len(state.working),
        strangers=state.strangers,
        gaps=state.gaps,
        foreign_fills=state.foreign_fills,
        account_charges_paise=account_charges_paise(state),
        instruments=_summaries(state, state.positions),
        owners=_summaries(state, state.owners),
    )


def _summaries(state: DeskState, positions: dict[int, Position]) -> tuple[InstrumentSummary, ...]:
    return tuple(
        InstrumentSummary(
            token=token,
            tradingsymbol=state.terms[token].tradingsymbol if token in state.terms else "",
            quantity=position.quantity,
            bought_quantity=position.bought_quantity,
            sold_quantity=position.sold_quantity,
            bought_paise=position.bought_paise,
            sold_paise=position.sold_paise,
            realised_paise=position.realised_paise,
        )
        for token, position in sorted(positions.items())
    )
