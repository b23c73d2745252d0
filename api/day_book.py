"""The log's tail -> the day in memory: quotes, signals, orders, fills, positions. Bounded, whatever comes.

The thread that reads the log writes, handlers read. Topics are read side by side, so an update may come
before the intent behind it: what belongs together is kept by its id and met when it is asked for. What is
held is the decisions' own fold (`api.live.board`), put down after each batch. Every list is numbered in the
order of its topic, so a number means the same row after a restart. What is trimmed here lies in the book of
record.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from api.live.board import Board
from kitepilot import events as e
from kitepilot.events import InstrumentTerms
from kitepilot.orders.positions import FLAT, Position
from kitepilot.ports import LogRecord
from kitepilot.risk.limit_use import LimitUse, limit_use
from kitepilot.risk.state import DeskState

SIGNALS_KEPT = 2_000
ORDERS_KEPT = 5_000  # Kite takes no more in a day
FILLS_KEPT = 20_000
NOTES_KEPT = 500

T = TypeVar("T")


class Numbered(Generic[T]):
    """The last `kept` things by key, each with its number; a thing may be replaced by a newer form of it."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._next = 0
        self._rows: dict[str, tuple[int, T]] = {}

    def put(self, key: str, value: T) -> None:
        """New at the end, or in the place it has."""
        known = self._rows.get(key)
        if known is not None:
            self._rows[key] = (known[0], value)
            return
        self._next += 1
        self._rows[key] = (self._next, value)
        if len(self._rows) > self._kept:
            del self._rows[next(iter(self._rows))]

    def get(self, key: str) -> T | None:
        found = self._rows.get(key)
        return found[1] if found else None

    def newest(self, before: int | None = None) -> Iterator[tuple[int, T]]:
        """Newest first, those numbered below `before` only."""
        for number, value in reversed(list(self._rows.values())):
            if before is None or number < before:
                yield number, value

    def __len__(self) -> int:
        return len(self._rows)


@dataclass(frozen=True)
class Quote:
    """Paise; `quoted_at` ns UTC."""

    last_paise: int
    bid_paise: int
    ask_paise: int
    quoted_at: int


@dataclass(frozen=True)
class Held:
    """One instrument as the decisions' fold has it. `leave_at` ns UTC; zeros where nothing is held."""

    token: int
    position: Position
    owners: Position  # what the owner trades by hand
    mark_paise: int
    strategy: str
    stop_bps: int
    leave_at: int
    square_off_at: int


class DayBook:
    """Written by one thread; a listener of the view, behind the board's."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._stale = False  # whether the fold has moved since `settle`
        self.terms: dict[int, InstrumentTerms] = {}
        self.quotes: dict[int, Quote] = {}
        self.signals: Numbered[e.SignalRaised] = Numbered(SIGNALS_KEPT)
        self.judged: Numbered[e.Verdict] = Numbered(SIGNALS_KEPT)  # by signal
        self.intents: Numbered[e.ApprovedIntent] = Numbered(ORDERS_KEPT)
        self.updates: Numbered[e.OrderUpdated] = Numbered(ORDERS_KEPT)  # by intent
        self.fills: Numbered[e.Filled] = Numbered(FILLS_KEPT)
        self.held: tuple[Held, ...] = ()
        self.limits: tuple[LimitUse, ...] = ()
        self.profile: e.RiskProfile | None = None  # in force
        self.ceiling: e.RiskLimits | None = None
        self.strategies: frozenset[str] = frozenset()  # that may open positions
        self.notes: deque[e.StateChanged] = deque(maxlen=NOTES_KEPT)  # all that the decisions wrote down
        self._intent_ids: dict[str, str] = {}  # broker's order id -> intent
        self._tell: dict[type[e.AnyEvent], Callable[..., None]] = {
            e.RunStarted: self._begin,
            e.Marked: self._mark,
            e.SignalRaised: self._signal,
            e.Verdict: self._judge,
            e.ApprovedIntent: self._intent,
            e.OrderUpdated: self._update,
            e.Filled: self._fill,
            e.StateChanged: self.notes.append,
        }

    def hear(self, _: LogRecord, event: e.AnyEvent) -> None:
        """Take one message, after the board has."""
        self._stale = True
        tell = self._tell.get(type(event))
        if tell is not None:
            tell(event)

    def settle(self) -> None:
        """A batch was read: put down what the decisions' fold has, for handlers in other threads."""
        desk = self._board.desk
        if desk is None or not self._stale:
            return
        self._stale = False
        self.held = tuple(_held(desk, token) for token in sorted({*desk.positions, *desk.owners}))
        self.limits = limit_use(desk)
        self.profile, self.ceiling = desk.profile, desk.ceiling
        self.strategies = frozenset(desk.enabled)

    def intent_of(self, name: str) -> e.ApprovedIntent | None:
        """By its own id, or by the broker's order id."""
        return self.intents.get(self._intent_ids.get(name, name))

    def symbol(self, token: int) -> str:
        terms = self.terms.get(token)
        return terms.tradingsymbol if terms else str(token)

    def _begin(self, event: e.RunStarted) -> None:
        self.terms = {each.token: each for each in event.parameters.instruments}

    def _mark(self, event: e.Marked) -> None:
        rows = zip(
            *(event.tokens, event.last_paise, event.bid_paise, event.ask_paise, event.quoted_at), strict=True
        )
        for token, *quote in rows:
            self.quotes[token] = Quote(*quote)

    def _signal(self, event: e.SignalRaised) -> None:
        self.signals.put(event.signal_id, event)

    def _judge(self, event: e.Verdict) -> None:
        if event.signal_id:
            self.judged.put(event.signal_id, event)

    def _intent(self, event: e.ApprovedIntent) -> None:
        self.intents.put(event.intent_id, event)

    def _update(self, event: e.OrderUpdated) -> None:
        self.updates.put(event.intent_id, event)
        if event.order_id:
            self._intent_ids[event.order_id] = event.intent_id
            if len(self._intent_ids) > FILLS_KEPT:
                del self._intent_ids[next(iter(self._intent_ids))]

    def _fill(self, event: e.Filled) -> None:
        key = f"{event.order_id}/{event.trade_id}"
        if self.fills.get(key) is None:
            self.fills.put(key, event)


def _held(desk: DeskState, token: int) -> Held:
    plan, terms = desk.holdings.get(token), desk.terms.get(token)
    return Held(
        token=token,
        position=desk.position(token),
        owners=desk.owners.get(token, FLAT),
        mark_paise=desk.mark(token),
        strategy=plan.strategy if plan else "",
        stop_bps=plan.stop_bps if plan else 0,
        leave_at=plan.leave_at if plan else 0,
        square_off_at=terms.square_off_at if terms else 0,
    )
