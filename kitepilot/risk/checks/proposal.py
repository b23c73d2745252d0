"""What is judged, and what a check is: a function with a code and words for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from kitepilot.events import Check, InstrumentTerms, RiskLimits, Side, SignalRaised
from kitepilot.risk.checks.denials import Denial
from kitepilot.risk.state import DeskState, Quote

NS_PER_S = 1_000_000_000
BPS = 10_000
LIVE = "live"


@dataclass(frozen=True)
class Proposal:
    """An entry before it is judged, with the facts that the checks compare."""

    signal: SignalRaised
    terms: InstrumentTerms | None
    side: Side
    quantity: int
    limit_price_paise: int
    quote: Quote
    now: int  # session time, ns
    risk_paise: int  # what the trade loses at its stop, charges of both sides included
    worst_loss_paise: int  # the day's loss at the worst of everything open, this entry included
    room_paise: int | None  # margin left for entries; None: not known

    @property
    def token(self) -> int:
        return self.signal.token

    @property
    def value_paise(self) -> int:
        return self.quantity * self.limit_price_paise

    @property
    def touch_paise(self) -> int:
        """The price on the other side: what we would trade against."""
        return self.quote.ask_paise if self.side is Side.BUY else self.quote.bid_paise


class Compared(NamedTuple):
    """What a check saw, against what."""

    passed: bool
    observed: float
    limit: float


Compare = Callable[[Proposal, DeskState, RiskLimits], Compared]


@dataclass(frozen=True)
class EntryCheck:
    """One check. `compare`'s docstring is its line in the reference: why refused, then what is observed."""

    code: Denial
    compare: Compare
    limit: str  # a name in `RiskLimits`, or words

    def __call__(self, proposal: Proposal, state: DeskState) -> Check:
        passed, observed, limit = self.compare(proposal, state, state.limits)
        return compared(code=self.code, passed=passed, observed=observed, limit=limit)


def check(code: Denial, limit: str) -> Callable[[Compare], EntryCheck]:
    """Make a check of a comparison."""
    return lambda compare: EntryCheck(code, compare, limit)


def compared(*, code: str, passed: bool, observed: float, limit: float) -> Check:
    """A check as it is recorded: floats, so that it equals itself when read back from the log."""
    return Check(code=code, passed=passed, observed=float(observed), limit=float(limit))


def at_most(observed: int, limit: int) -> Compared:
    return Compared(observed <= limit, observed, limit)


def flag(good: bool) -> Compared:
    """1 when it is as it must be."""
    return Compared(good, int(good), 1)
