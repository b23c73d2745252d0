"""The risk fold and a venue in one loop: session events in, what was decided and traded out.

Everything a day's session says goes through `take`, and the market the exchange sees through `advance`; what
the venue tells is folded at once, so nothing waits in a queue and memory grows with the day's orders alone.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kitepilot.events import (
    AnyEvent,
    ApprovedIntent,
    Filled,
    SessionEvent,
    SignalRaised,
    StateChanged,
    Verdict,
    canonical,
)
from kitepilot.risk.decide import decide
from kitepilot.risk.exposure import charges_paise, unrealised_paise
from kitepilot.risk.records import Decided
from kitepilot.risk.state import DeskState
from research.account import Account, Ledger, Trip
from research.ticks import Packets
from research.venue import Venue

Listener = Callable[[AnyEvent], None]


def silent(_: AnyEvent) -> None:
    """A listener who keeps nothing."""


class StreamHash:
    """SHA-256 over events as `kitepilot.events.stream_hash` makes it, one at a time."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, event: AnyEvent) -> None:
        raw = canonical(event)
        self._digest.update(len(raw).to_bytes(4, "big"))
        self._digest.update(raw)

    def hex(self) -> str:
        return self._digest.hexdigest()


@dataclass(frozen=True)
class Result:
    """What a day came to. Amounts in paise; `intents` by id in the order they were decided.

    `account` is the fold's own; `trips` say the same trip by trip (an owner's own trades apart).
    """

    account: Account
    trips: tuple[Trip, ...]
    intents: dict[str, ApprovedIntent]
    filled: dict[str, int]  # intent id -> shares
    signals: int
    fills: int
    denials: Counter[str]
    states: tuple[str, ...]  # reasons of moves of the trading state, oldest first
    session_hash: str
    decisions_hash: str

    def as_json(self) -> dict[str, object]:
        """Plain figures for `--json`."""
        closed = [trip for trip in self.trips if trip.closed_at]
        won = sum(trip.gross_paise > 0 for trip in closed)
        return {
            "signals": self.signals,
            "intents": len(self.intents),
            "fills": self.fills,
            "round_trips": len(closed),
            "hit_rate": won / len(closed) if closed else 0.0,
            "open_positions": len(self.trips) - len(closed),
            "denials": dict(self.denials.most_common()),
            "states": list(self.states),
            "gross_pnl_paise": self.account.gross_paise,
            "charges_paise": self.account.charges_paise,
            "net_pnl_paise": self.account.net_paise,
            "session_hash": self.session_hash,
            "decisions_hash": self.decisions_hash,
        }


STATES_KEPT = 100


@dataclass
class ResearchDesk:
    """One day being traded. `listener` hears every session event and every decision, in order."""

    venue: Venue
    listener: Listener = silent
    state: DeskState | None = None
    ledger: Ledger = field(default_factory=Ledger)
    intents: dict[str, ApprovedIntent] = field(default_factory=dict)
    filled: Counter[str] = field(default_factory=Counter)
    signals: int = 0
    denials: Counter[str] = field(default_factory=Counter)
    states: deque[str] = field(default_factory=lambda: deque(maxlen=STATES_KEPT))
    now: int = 0
    _session: StreamHash = field(default_factory=StreamHash)
    _decisions: StreamHash = field(default_factory=StreamHash)
    _trades: set[tuple[str, str]] = field(default_factory=set)

    def advance(self, packets: Packets, sent_at: npt.NDArray[np.int64], until: int) -> None:
        """The market moves on to `until` (session ns); what became of our orders is folded in."""
        self.now = until
        for told in self.venue.advance(packets, sent_at, until):
            self.take(told)

    def take(self, event: SessionEvent) -> None:
        """Fold one event in; what it leads to at the venue follows at once."""
        waiting: deque[SessionEvent] = deque([event])
        while waiting:
            said = waiting.popleft()
            self._note(said)
            self.state, decided = decide(self.state, said)
            for each in decided:
                self._note_decided(each)
                if isinstance(each, ApprovedIntent):
                    waiting.extend(self.venue.send(each, self.now))

    def result(self) -> Result:
        """The day so far; what is still held is valued at its last mark."""
        state = self.state
        account = Account(0, 0)
        if state is not None:
            account = Account(state.realised_paise + unrealised_paise(state), charges_paise(state))
            for token in state.holdings:
                self.ledger.mark(token, state.mark(token))
        return Result(
            account=account,
            trips=tuple(self.ledger.trips),
            intents=self.intents,
            filled=dict(self.filled),
            signals=self.signals,
            fills=len(self._trades),
            denials=self.denials,
            states=tuple(self.states),
            session_hash=self._session.hex(),
            decisions_hash=self._decisions.hex(),
        )

    def _note(self, event: SessionEvent) -> None:
        self.listener(event)
        self._session.add(event)
        match event:
            case SignalRaised():
                self.signals += 1
            case Filled() if (event.order_id, event.trade_id) not in self._trades:
                self._trades.add((event.order_id, event.trade_id))
                self.filled[event.intent_id] += event.quantity
                self.ledger.add(event, self.intents.get(event.intent_id))

    def _note_decided(self, event: Decided) -> None:
        self.listener(event)
        if isinstance(event, ApprovedIntent):
            self.intents[event.intent_id] = event
            return
        self._decisions.add(event)
        match event:
            case Verdict() if not event.approved:
                self.denials[event.denial] += 1
            case StateChanged() if event.previous is not event.state:
                self.states.append(f"{event.state.value}: {event.reason}")
