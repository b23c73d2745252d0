"""The decision flow: session -> risk fold -> decisions, intents, dead-letter.

    session records --(one keyed item per poll)--> DecisionLogic around `decide` --> sink

One input, so its order is the order. The fold's state is one blob under the key "desk". Delivery is at least
once: after a crash the last epoch's records are read again and the same outputs leave with the same numbers.
The step ids below name recovery state on disk: never change them (a test holds them).
"""

from __future__ import annotations

import bytewax.operators as op
import msgspec
from bytewax.dataflow import Dataflow
from bytewax.inputs import Source
from bytewax.operators import StatefulBatchLogic

from flows.connectors.sink import LogSink, Out, to_sink
from flows.connectors.source import LogSource
from flows.run import run_flow
from infra.eventlog import open_log
from infra.read_positions import Positions
from kitepilot.events import ApprovedIntent, DeadLetter
from kitepilot.ports import EventLog, LogRecord
from kitepilot.risk.admission import UnusableError, admit
from kitepilot.risk.decide import decide
from kitepilot.risk.records import Decided
from kitepilot.risk.state import DeskState, load, save
from kitepilot.run import Run
from kitepilot.topics import DEAD_LETTER, DECISIONS, INTENTS, SESSION

NAME = "decisions"
KEY = "desk"
DEAD_LETTER_SOURCE = "decisions.dead-letter"
PAYLOAD_LIMIT = 65_536  # bytes of an unusable message kept in its letter


class Saved(msgspec.Struct, array_like=True):
    """The recovery blob: how many dead letters were written, and the fold's own blob."""

    dead_letters: int
    state: bytes


class DecisionLogic(StatefulBatchLogic[list[LogRecord], Out, bytes]):
    """Folds each record in and passes on what was decided, in order."""

    def __init__(self, saved: bytes | None = None) -> None:
        self._state: DeskState | None = None
        self._dead_letters = 0
        if saved is not None:
            blob = msgspec.msgpack.decode(saved, type=Saved)
            self._state, self._dead_letters = load(blob.state), blob.dead_letters

    def on_batch(self, values: list[list[LogRecord]]) -> tuple[list[Out], bool]:
        out = [item for records in values for record in records for item in self.on_record(record)]
        return out, StatefulBatchLogic.RETAIN

    def on_record(self, record: LogRecord) -> list[Out]:
        """One record's outputs as (topic, event)."""
        try:
            event = admit(record.value)
        except UnusableError as err:
            return [(DEAD_LETTER.name, self._letter(record, err))]
        self._state, decided = decide(self._state, event)
        return [(_topic(each), each) for each in decided]

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(Saved(self._dead_letters, save(self._state)))

    def _letter(self, record: LogRecord, err: UnusableError) -> DeadLetter:
        letter = DeadLetter(
            source=DEAD_LETTER_SOURCE,
            seq=self._dead_letters,
            event_at=self._state.now if self._state is not None else 0,
            reason=err.reason,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            count=1,
            detail=err.detail,
            payload=record.value[:PAYLOAD_LIMIT],
        )
        self._dead_letters += 1
        return letter


def build(source: Source[list[LogRecord]], sink: LogSink) -> Dataflow:
    """The dataflow over any source of record lists."""
    flow = Dataflow(NAME)
    polls = op.input("session", flow, source)
    keyed = op.key_on("desk_key", polls, _desk)
    decided = op.stateful_batch("decide", keyed, DecisionLogic)
    to_sink("out", op.key_rm("desk_unkey", decided), sink)
    return flow


def main(run: Run) -> int:
    """Process entry point: decide until SIGTERM; 0 after an orderly drain."""

    def log() -> EventLog:
        return open_log(run)

    start = {(SESSION.name, 0): run.start_offsets()[SESSION.name]}
    source = LogSource(log, start, note=Positions(run, NAME).note)
    return run_flow(build(source, LogSink(log)), run, NAME)


def _desk(_records: list[LogRecord]) -> str:
    return KEY


def _topic(event: Decided) -> str:
    return INTENTS.name if isinstance(event, ApprovedIntent) else DECISIONS.name
