"""Read a session again: the same fold over its events, and the account it ends with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kitepilot.events import SessionEvent, TradingState
from kitepilot.risk.decide import decide
from kitepilot.risk.exposure import charges_paise
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
    instruments: tuple[InstrumentSummary, ...]  # by token


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
    traded = sorted(state.positions.items())
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
        instruments=tuple(
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
            for token, position in traded
        ),
    )
