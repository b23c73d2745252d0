"""Live, replay and backtest of one day -> where the difference in profit comes from, to the paisa.

The way from the recorded result to the backtest's is walked in steps, and each step changes one thing and
computes the whole day again:

    recorded -> replayed        today's decisions from the recorded session           code
             -> modelled fills  the same market said, the model's fills at the         fill price
                                instants at which the orders reached the exchange
             -> modelled times  the same, at the instants of the model's pace          timing
             -> computed market today's marks and signals from the recorded ticks      code
             -> backtest        the other telling's ticks                              data

A part is the change of profit before charges over its steps; charges are the sixth part. The parts are
differences of neighbours in one chain, so they add up to the whole difference whatever the numbers are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import zip_longest

from kitepilot.events import ApprovedIntent
from kitepilot.market.pipeline import MarketPipeline
from research.account import Account, Trip, ledger_of
from research.backtest import Day, Market, pipeline_market, session_market, trade
from research.desk import Result
from research.recorded import RecordedDay, RecordedDayError
from research.replay import replay
from research.tick_streams import TickDifference, TickStream
from research.ticks import Beat, shares_of, shown_by
from research.venue import ModelledVenue, Pace, nameless

CODE, FILL_PRICE, TIMING, DATA, CHARGES = "code", "fill price", "timing", "data", "charges"
PARTS = (DATA, TIMING, FILL_PRICE, CHARGES, CODE)


@dataclass(frozen=True)
class Step:
    """One telling of the day. `part`: what changed since the step before; "" for the first."""

    name: str
    part: str
    account: Account
    trips: tuple[Trip, ...]
    intents: tuple[ApprovedIntent, ...]


@dataclass(frozen=True)
class Pair:
    """The same round trip in two tellings; one side may lack it. Difference in paise before charges."""

    left: Trip | None
    right: Trip | None

    @property
    def difference_paise(self) -> int:
        return (self.right.gross_paise if self.right else 0) - (self.left.gross_paise if self.left else 0)

    @property
    def where(self) -> str:
        return "both" if self.left and self.right else "first" if self.left else "last"


@dataclass(frozen=True)
class Attribution:
    """The steps in order; everything else follows from them."""

    steps: tuple[Step, ...]

    @property
    def total_paise(self) -> int:
        """Net profit of the last step less that of the first."""
        return self.steps[-1].account.net_paise - self.steps[0].account.net_paise

    def parts(self) -> dict[str, int]:
        """Paise by part, in the order of `PARTS`; they sum to `total_paise`."""
        found = dict.fromkeys(PARTS, 0)
        for before, after in zip(self.steps, self.steps[1:], strict=False):
            found[after.part] += after.account.gross_paise - before.account.gross_paise
            found[CHARGES] -= after.account.charges_paise - before.account.charges_paise
        return found

    def pairs(self) -> tuple[Pair, ...]:
        """Round trips of the first step and the last, matched."""
        return matched(self.steps[0].trips, self.steps[-1].trips)


@dataclass(frozen=True)
class TickComparison:
    """The two tick streams: packets, hash, and where they differ. `right` is None without another telling."""

    left: TickStream
    right: TickStream | None
    differences: tuple[TickDifference, ...]


def matched(left: Iterable[Trip], right: Iterable[Trip]) -> tuple[Pair, ...]:
    """The same signal on the same instrument, in order of opening; without a signal, by instrument alone."""
    sides: dict[tuple[int, str], tuple[list[Trip], list[Trip]]] = defaultdict(lambda: ([], []))
    for number, trips in enumerate((left, right)):
        for trip in trips:
            sides[trip.token, trip.signal_id][number].append(trip)
    pairs = [Pair(one, other) for mine, theirs in sides.values() for one, other in zip_longest(mine, theirs)]
    return tuple(sorted(pairs, key=_opened_at))


def _opened_at(pair: Pair) -> int:
    return min(trip.opened_at for trip in (pair.left, pair.right) if trip is not None)


@dataclass(frozen=True)
class Comparison:
    """What `compare` found."""

    attribution: Attribution
    ticks: TickComparison
    replayed_equal: bool  # today's code decides the recorded session as it was decided


def compare(
    day: Day,
    recorded: RecordedDay,
    make_pipeline: Callable[[], MarketPipeline],
    pace: Pace,
    other: Callable[[], Iterable[Beat]] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Walk the steps. `other`: another telling of the day's ticks, for the backtest; without one it has the
    recorded ones. Each step is one pass over the day.

    Raises:
        RecordedDayError: the run's session or ticks are gone.
    """
    ours, theirs = TickStream(), TickStream() if other else None

    def received() -> Iterator[Beat]:
        if other is None:
            return recorded.beats()
        return shown_by(other(), recorded.beats())

    def traded(beats: Iterable[Beat], market: Market, arrivals: Mapping[ApprovedIntent, int]) -> Result:
        return trade(day, beats, market, ModelledVenue(day.terms, pace, arrivals))

    progress("replaying the recorded session")
    replayed = replay(day, recorded, received(), ModelledVenue(day.terms, pace))
    steps = [recorded_step(recorded), _step("replayed", CODE, replayed)]
    progress("trading the recorded signals at the recorded instants")
    found = traded(received(), session_market(recorded.market()), recorded.arrivals())
    steps.append(_step("modelled fills", FILL_PRICE, found))
    progress("trading the recorded signals at the model's instants")
    found = traded(received(), session_market(recorded.market()), {})
    steps.append(_step("modelled times", TIMING, found))
    progress("computing the market from the recorded ticks")
    found = traded(_through(ours, received()), pipeline_market(make_pipeline()), {})
    steps.append(_step("computed market", CODE, found))
    if not ours.packets:
        raise RecordedDayError(f"the ticks of {recorded.run_id} are gone: there is nothing to trade again")
    if other is not None and theirs is not None:
        progress("backtesting the other ticks")
        beats = _through(theirs, other())
        found = traded(beats, pipeline_market(make_pipeline()), {})
        steps.append(_step("backtest", DATA, found))
    else:
        steps[-1] = replace(steps[-1], name="backtest")
    same = [nameless(intent) for intent in recorded.intents.values()] == [
        nameless(intent) for intent in replayed.intents.values()
    ]
    lost = ours.against(theirs) if theirs is not None else ()
    return Comparison(Attribution(tuple(steps)), TickComparison(ours, theirs, lost), same)


def _through(stream: TickStream, beats: Iterable[Beat]) -> Iterator[Beat]:
    """The beats as they are; what was received in them is remembered."""
    for beat in beats:
        for message in beat.messages:
            stream.add(shares_of(message))
        yield beat


def recorded_step(recorded: RecordedDay) -> Step:
    """What the day came to by its own books: the decision flow's last account, if it knows every fill."""
    intents = recorded.intents
    ledger = ledger_of(recorded.fills, intents)
    said = recorded.last_account
    account = ledger.account(date.fromisoformat(recorded.started.parameters.session_date))
    if said is not None and said.fills == len(recorded.fills):
        account = Account(said.realised_paise + said.unrealised_paise, said.charges_paise)
    return Step("recorded", "", account, tuple(ledger.trips), tuple(intents.values()))


def _step(name: str, part: str, result: Result) -> Step:
    return Step(name, part, result.account, result.trips, tuple(result.intents.values()))
