"""Ticker frames -> messages for the log, and what is worth counting on the way.

One binary frame becomes one message of n x 192-byte records; the venue's clock frames (paper) or a heartbeat
of the machine's clock (live) become clock records between them, and the feed going up or down becomes a
record too, so that time and control have a place in the order.
"""

from __future__ import annotations

import sys
import time

import msgspec

from broker_adapter.gaps import GapWatch, Silence
from broker_adapter.kite.clock import VenueClock, WallClock
from broker_adapter.kite.ticker import LOGIN_NEEDED, Binary, Down, Frame, Text, Up
from broker_adapter.kite.wire import BadFrame, ClockSaid, ErrorSaid, decode, read_text
from broker_adapter.letters import Letters
from kitepilot.market.ticks import KIND_CLOCK, KIND_FEED, MAX_TEXT_BYTES, RECORD_BYTES, own_record
from kitepilot.run import Run
from kitepilot.topics import TICKS

MESSAGE_RECORDS = 4_000  # 768 kB: below the log's bound for one value
#: So long after a subscription packets in a lesser mode are its answers; later the mode command was lost.
MODE_TAKES_NS = 10_000_000_000


class Beat:
    """Live only: the moment to write a clock record from the machine's clock."""


class Counts(msgspec.Struct):
    """What the ingester of this run has done so far, over all its incarnations; in the run's folder.

    A killed incarnation takes with it what it counted since the file was last written.
    """

    incarnations: int = 0
    frames: int = 0
    messages: int = 0
    ticks: int = 0
    clocks: int = 0
    before_mode: int = 0  # packets in quote mode between a subscription and its mode command
    bad_frames: int = 0
    connects: int = 0
    reconnects: int = 0
    server_errors: int = 0
    backfilled_bars: int = 0
    minutes_to_backfill: int = 0
    feed: str = "down: not connected yet"
    session_at: int = 0  # session time, ns UTC
    heard_at: int = 0  # session time of the last frame, ns UTC
    frame_at: int = 0  # the same frame by the machine's clock, ns UTC


class Batch(msgspec.Struct):
    """Messages for the log, in order, and what was missed before them."""

    ticks: list[bytes] = msgspec.field(default_factory=list)
    letters: list[bytes] = msgspec.field(default_factory=list)
    alarms: list[bytes] = msgspec.field(default_factory=list)
    silences: list[Silence] = msgspec.field(default_factory=list)
    size: int = 0


class Translator:
    """Frames -> log messages. No I/O; `counts` go on from an earlier incarnation's."""

    def __init__(self, run: Run, counts: Counts | None = None) -> None:
        self.counts = counts or Counts()
        self.counts.incarnations += 1
        self.counts.feed = "down: not connected yet"
        self.clock: VenueClock | WallClock = VenueClock() if run.config.mode == "paper" else WallClock()
        self._paper = run.config.mode == "paper"
        self._gaps = GapWatch(self.counts.heard_at)
        self._letters = Letters("ingest", run.run_id)
        self._mode_by = 0  # machine ns: until then lesser packets are expected

    def take(self, frame: Frame | Beat, batch: Batch) -> None:
        """Add what `frame` means to `batch`."""
        match frame:
            case Binary(received_at, raw):
                self._heard(received_at, batch)
                self._binary(received_at, raw, batch)
            case Text(received_at, text):
                self._heard(received_at, batch)
                self._text(received_at, text, batch)
            case Up(received_at):
                self._up(received_at, batch)
            case Down(received_at, reason):
                self._down(received_at, reason, batch)
            case Beat():
                now = time.time_ns()
                self._clock(now, now, batch)

    def _heard(self, received_at: int, batch: Batch) -> None:
        self.counts.frame_at = received_at
        if not self._paper:  # live, a frame is as late as it was received
            self._at(received_at, batch)

    def _at(self, session_ns: int, batch: Batch) -> None:
        silence = self._gaps.heard(session_ns)
        self.counts.heard_at = self._gaps.heard_at
        if silence:
            batch.silences.append(silence)

    def _up(self, received_at: int, batch: Batch) -> None:
        self.counts.connects += 1
        self.counts.reconnects = self.counts.connects - 1
        self.counts.feed = "up"
        self._mode_by = received_at + MODE_TAKES_NS
        self._own(KIND_FEED, self.counts.session_at, received_at, batch, "up")

    def _down(self, received_at: int, reason: str, batch: Batch) -> None:
        """One record for each way of being down, however often it is found so."""
        self._gaps.broke()
        state = f"down: {reason}"
        if state == self.counts.feed:
            return
        if reason.startswith(LOGIN_NEEDED):
            sys.stderr.write(f"ingest: ticker: {reason}; no ticks until somebody logs in\n")
            batch.alarms.append(self._letters.alarm("feed", "ticker", reason, self.counts.session_at))
        self.counts.feed = state
        self._own(KIND_FEED, self.counts.session_at, received_at, batch, f"down {reason}")

    def _binary(self, received_at: int, raw: bytes, batch: Batch) -> None:
        self.counts.frames += 1
        decoded = decode(raw, received_at, timed_only=received_at < self._mode_by)
        step = MESSAGE_RECORDS * RECORD_BYTES
        for start in range(0, len(decoded.records), step):
            self._add(decoded.records[start : start + step], batch)
        self.counts.ticks += len(decoded.records) // RECORD_BYTES
        self.counts.before_mode += decoded.untimed
        for bad in decoded.bad:
            self._bury(bad, batch)

    def _text(self, received_at: int, text: str | bytes, batch: Batch) -> None:
        match read_text(text):
            case ClockSaid(session_ns):
                self.clock.feed(session_ns)
                self._clock(session_ns, received_at, batch)
            case BadFrame() as bad:
                self._bury(bad, batch)
            case ErrorSaid(said):
                self.counts.server_errors += 1
                sys.stderr.write(f"ingest: the ticker server says: {said[:500]}\n")

    def _clock(self, session_ns: int, received_at: int, batch: Batch) -> None:
        self.counts.clocks += 1
        self.counts.session_at = session_ns
        if self._paper:
            self._at(session_ns, batch)
        self._own(KIND_CLOCK, session_ns, received_at, batch)

    def _own(self, kind: int, event_at: int, received_at: int, batch: Batch, text: str = "") -> None:
        short = text.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")
        self._add(own_record(kind, event_at, received_at, short), batch)

    def _add(self, message: bytes, batch: Batch) -> None:
        batch.ticks.append(message)
        batch.size += len(message)
        self.counts.messages += 1

    def _bury(self, bad: BadFrame, batch: Batch) -> None:
        self.counts.bad_frames += 1
        at = self.counts.session_at
        batch.letters.append(self._letters.bury("bad_frame", TICKS, bad.reason, bad.raw, at))
        batch.size += len(bad.raw)
