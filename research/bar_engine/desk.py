"""The risk fold before a venue of bars: events in, orders out, and the day's books."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from datetime import date

import numpy as np
import numpy.typing as npt

from kitepilot.events import (
    ApprovedIntent,
    Filled,
    ForeignFilled,
    Purpose,
    SessionEvent,
    SignalRaised,
    StateChanged,
    Verdict,
)
from kitepilot.orders.charges import rates_on
from kitepilot.risk.decide import decide
from kitepilot.risk.records import Decided
from kitepilot.risk.state import DeskState
from research.bar_engine.terms import SessionTerms
from research.bar_engine.trips import TripBook
from research.bar_engine.venue import BarVenue
from research.fills.in_bar import profit_price, stop_price

NEVER_LOW, NEVER_HIGH = -1, 2**62
Listener = Callable[[SignalRaised | Decided], None]


def silent(_: SignalRaised | Decided) -> None:
    """Nobody listens."""


class Triggers:
    """At which prices the open positions leave by themselves: int64[n] each, out of reach where none does."""

    def __init__(self, instruments: int) -> None:
        self.below = np.full((2, instruments), NEVER_LOW, dtype=np.int64)  # long stop, short profit
        self.above = np.full((2, instruments), NEVER_HIGH, dtype=np.int64)  # short stop, long profit

    def rows(self, profit: bool, high: npt.NDArray[np.int64], low: npt.NDArray[np.int64]) -> list[int]:
        """Instruments whose bar reaches the stop (or the profit) of their position."""
        kind = int(profit)
        found: list[int] = ((low <= self.below[kind]) | (high >= self.above[kind])).nonzero()[0].tolist()
        return found

    def price(self, row: int, profit: bool) -> int:
        kind = int(profit)
        below = int(self.below[kind, row])
        return below if below != NEVER_LOW else int(self.above[kind, row])

    def set(self, row: int, state: DeskState, token: int, tick: int) -> None:
        """From the position and its plan as they are now."""
        self.below[:, row], self.above[:, row] = NEVER_LOW, NEVER_HIGH
        holding, position = state.holdings.get(token), state.position(token)
        if holding is None or holding.exit_wanted:
            return
        stop_side = self.below if position.quantity > 0 else self.above
        profit_side = self.above if position.quantity > 0 else self.below
        if holding.stop_bps:
            stop_side[0, row] = stop_price(position.quantity, position.cost_paise, holding.stop_bps, tick)
        if holding.take_profit_bps:
            profit_side[1, row] = profit_price(
                position.quantity, position.cost_paise, holding.take_profit_bps, tick
            )


class BarDesk:
    """One session being traded: what the fold is told, and what became of it.

    `books` has the round trips, `denials` and `states` what the fold refused and why it stopped. `listener`
    hears every signal and what the fold says.
    """

    def __init__(
        self,
        session: date,
        terms: SessionTerms,
        venue: BarVenue,
        rows: dict[int, int],
        ticks: list[int],
        listener: Listener = silent,
    ) -> None:
        parameters = terms.parameters
        self.state: DeskState | None = None
        self.venue = venue
        self.books = TripBook(session, rates_on(date.fromisoformat(parameters.session_date)))
        self.triggers = Triggers(len(rows))
        self.denials: Counter[str] = Counter()
        self.states: list[str] = []
        self._rows = rows
        self._ticks = ticks
        self._listener = listener
        self._intents: dict[str, tuple[ApprovedIntent, str]] = {}

    @property
    def desk(self) -> DeskState:
        """The fold's state, once the run has been announced."""
        assert self.state is not None
        return self.state

    def take(self, events: Iterable[SessionEvent]) -> None:
        """Fold events in; orders that are approved go to the venue at once."""
        waiting = deque(events)
        while waiting:
            event = waiting.popleft()
            if isinstance(event, ForeignFilled):
                self._note_broker(event)
            elif isinstance(event, SignalRaised):
                self._listener(event)
            self.state, decided = decide(self.state, event)
            if isinstance(event, Filled):
                self._note_fill(event)
            for each in decided:
                self._listener(each)
                kind = type(each)
                if kind is ApprovedIntent:
                    assert isinstance(each, ApprovedIntent)
                    refused = self._send(each)
                    if refused is not None:
                        waiting.append(refused)
                elif isinstance(each, Verdict) and not each.approved:
                    self.denials[each.denial] += 1
                elif isinstance(each, StateChanged) and each.previous is not each.state:
                    self.states.append(f"{each.state.value}: {each.reason}")

    def leaving(self) -> list[int]:
        """Tokens of positions whose exit is wanted, and none is on its way."""
        state = self.desk
        if not state.holdings:
            return []
        working = {order.token for order in state.working.values()}
        return [
            token for token, holding in state.holdings.items() if holding.exit_wanted and token not in working
        ]

    def _send(self, intent: ApprovedIntent) -> SessionEvent | None:
        reason = ""
        if intent.purpose is not Purpose.ENTRY:
            holding = self.desk.holdings[intent.token]
            reason = holding.exit_wanted or intent.purpose.value
            self.triggers.set(self._rows[intent.token], self.desk, intent.token, 1)
        self._intents[intent.intent_id] = (intent, reason)
        return self.venue.send(intent)

    def _note_fill(self, fill: Filled) -> None:
        intent, reason = self._intents[fill.intent_id]
        row = self._rows[fill.token]
        self.triggers.set(row, self.desk, fill.token, self._ticks[row])
        self.books.fill(
            token=fill.token,
            tradingsymbol=intent.tradingsymbol,
            strategy=intent.strategy,
            order_id=fill.order_id,
            side=fill.side,
            quantity=fill.quantity,
            price_paise=fill.price_paise,
            decision_price_paise=intent.decision_price_paise,
            at=fill.filled_at,
            reason=reason,
        )

    def _note_broker(self, fill: ForeignFilled) -> None:
        """The broker closes what is ours; nothing else of this account trades."""
        self.books.fill(
            token=fill.token,
            tradingsymbol=fill.tradingsymbol,
            strategy="",
            order_id=fill.order_id,
            side=fill.side,
            quantity=fill.quantity,
            price_paise=fill.price_paise,
            decision_price_paise=self.desk.mark(fill.token),
            at=fill.filled_at,
            reason="broker",
            by_broker=True,
        )
        row = self._rows[fill.token]
        self.triggers.below[:, row], self.triggers.above[:, row] = NEVER_LOW, NEVER_HIGH
