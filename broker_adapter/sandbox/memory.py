"""The input log of a sandbox that runs: opened, its content given back to the parts, kept from then on."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator

from broker_adapter.sandbox.feed.port import MarketFeed, Slice
from broker_adapter.sandbox.input_log import InputLog, Played
from broker_adapter.sandbox.rest import Desk
from broker_adapter.sandbox.resume import resume
from broker_adapter.sandbox.session_clock import SessionClock
from broker_adapter.sandbox.ticker import Ticker
from broker_adapter.sandbox.venue import Venue
from kitepilot.config import Config
from kitepilot.market.calendar import to_ist

INPUTS = "inputs.log"

log = logging.getLogger(__name__)


def open_memory(config: Config, venue: Venue, feed: MarketFeed) -> InputLog | None:
    """The log in the venue's folder; None when it has none. Raises ConfigError as `InputLog`."""
    if venue.state is None:
        return None
    return InputLog(venue.state / INPUTS, venue.terms(config, feed), fsync=venue.fsync)


def clock_of(config: Config, first: int, memory: InputLog | None) -> SessionClock:
    """At the session's beginning (`first`, ns UTC) or where it stood, never before a request taken.

    Who acknowledged it before still does: it waits for him from there on, or it would run away at its pace
    while he finds his connection again.
    """
    stood = memory.played if memory else None
    speed = stood.speed if stood else str(config.session.speed)
    times = [asked.at for asked in memory.asked] if memory else []
    at = max([first, *times, *([stood.until] if stood else [])])
    clock = SessionClock(at, "max" if speed == "max" else float(speed), config.session.max_lead_s)
    if stood and stood.acked:
        clock.ack(at)
    return clock


def recall(
    memory: InputLog | None, slices: Iterator[Slice], desk: Desk, ticker: Ticker
) -> tuple[Iterator[Slice], Callable[[], None]]:
    """Bring a fresh desk to where it stood and have it recorded from now on.

    Returns:
        The slices that are left of the session's `slices`, and what notes that some were played.
    """
    if memory is None:
        return slices, lambda: None
    exchange, clock = desk.exchange, desk.clock
    stood = memory.played
    if stood:
        log.info("playing the session again up to %s", f"{to_ist(stood.until):%H:%M:%S}")
    left = resume(exchange, slices, memory.entries)
    for key, owner in (("accounts", desk.accounts), ("limits", desk.limiter)):
        saved = memory.kept(key)
        if saved is not None:
            owner.restore(saved)
        owner.save = functools.partial(memory.keep, key)
    if stood and stood.state == "running":
        clock.start()
    ticker.ticks_sent = stood.ticks_sent if stood else 0

    def note() -> None:
        counts = len(exchange.book.orders), len(exchange.book.trades), ticker.ticks_sent
        memory.append(Played(exchange.played, clock.state, str(clock.speed), *counts, clock.acked))

    clock.on_change, exchange.record, desk.settled = note, memory.append, memory.settled
    return left, note
