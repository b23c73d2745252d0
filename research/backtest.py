"""The backtest of one day: ticks -> the market flow's pipeline -> the risk fold -> a modelled exchange.

    trade(day, beats, pipeline_market(pipeline), venue) -> Result

One loop, no processes, no clock: time is what the clock records say. The same ticks and the same pace give
the same hashes. A recorded session's own marks and signals may stand in for the pipeline: `session_market`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from broker_adapter.sandbox.feed.port import FeedInstrument
from kitepilot.events import DecisionParameters, Marked, RunStarted, SessionEvent, SignalRaised
from kitepilot.market.pipeline import MarketPipeline
from kitepilot.market.ticks import PACKET_DTYPE
from kitepilot.topics import SESSION
from research.desk import Listener, ResearchDesk, Result, silent
from research.ticks import Beat
from research.venue import Terms, Venue

SOURCE = "research"
AFTER_CLOSE_NS = 60_000_000_000

Fact = tuple[int, SessionEvent]
Market = Callable[[Beat], Iterable[SessionEvent]]


@dataclass(frozen=True)
class Day:
    """One day to be traded again: its announcement, and the venue's terms.

    `facts`: what a recorded session says besides market and orders (the owner's commands and limits, funds),
    each with the session time (ns) of the mark it came after. They are said before the next mark.
    """

    started: RunStarted
    terms: Terms
    facts: tuple[Fact, ...] = ()


def trade(
    day: Day, beats: Iterable[Beat], market: Market, venue: Venue, listener: Listener = silent
) -> Result:
    """Trade the day; `market` says what the market flow makes of each beat."""
    desk = ResearchDesk(venue, listener)
    desk.take(day.started)
    facts = deque(day.facts)
    for beat in beats:
        desk.advance(beat.packets, beat.sent_at, beat.until)
        for event in market(beat):
            while isinstance(event, Marked) and facts and facts[0][0] < event.event_at:
                desk.take(facts.popleft()[1])
            desk.take(event)
    for _, fact in facts:
        desk.take(fact)
    finish(desk, day)
    return desk.result()


def finish(desk: ResearchDesk, day: Day) -> None:
    """The exchange plays on until nothing can happen to an order any more."""
    over = day.terms.session.close_at + AFTER_CLOSE_NS
    if desk.now < over:
        desk.advance(np.zeros(0, dtype=PACKET_DTYPE), np.zeros(0, dtype=np.int64), over)


def pipeline_market(pipeline: MarketPipeline, listener: Listener = silent) -> Market:
    """What the market flow would say. `listener` hears what is not for `session`: bars, features, letters."""

    def of(beat: Beat) -> Iterator[SessionEvent]:
        for message in beat.messages:
            for topic, event in pipeline.on_message(message):
                if topic == SESSION.name and isinstance(event, SessionEvent):
                    yield event
                else:
                    listener(event)

    return of


def session_market(events: Iterable[SessionEvent]) -> Market:
    """What the market flow did say: `events` are its own, in the order of the log."""
    waiting = iter(events)
    ahead: list[SessionEvent] = []

    def of(beat: Beat) -> Iterator[SessionEvent]:
        while event := ahead.pop() if ahead else next(waiting, None):
            timed = isinstance(event, Marked | SignalRaised)
            if timed and event.event_at > beat.until:
                ahead.append(event)
                return
            yield event

    return of


def announced(run_id: str, mode: str, config_hash: str, parameters: DecisionParameters) -> RunStarted:
    """The first event of a day that nobody announced; half an hour before it opens."""
    return RunStarted(
        source=SOURCE,
        seq=0,
        event_at=parameters.open_at - 30 * AFTER_CLOSE_NS,
        run_id=run_id,
        mode=mode,
        config_hash=config_hash,
        parameters=parameters,
    )


def listed(parameters: DecisionParameters) -> tuple[FeedInstrument, ...]:
    """The run's tradable instruments as an exchange lists them; circuits and closes the log does not say."""
    return tuple(
        FeedInstrument(
            token=each.token,
            exchange_token=each.token >> 8,
            tradingsymbol=each.tradingsymbol,
            name=each.tradingsymbol,
            tick_size_paise=each.tick_size_paise,
            lot_size=each.lot_size,
            previous_close_paise=0,
            closing_auction=each.closing_auction,
            lower_circuit_paise=0,
            upper_circuit_paise=0,
        )
        for each in parameters.instruments
        if each.tick_size_paise > 0
    )
