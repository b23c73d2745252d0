"""The decision flow over a recorded session: the very dataflow, its connectors and all, and the bare fold.

session records -> LogSource -> `decisions.build` -> LogSink -> compared with decisions, intents, dead letters
session records -> `decide`                                  -> the same hash, or the framework made it up
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

from flows import decisions
from flows.connectors import LogSink, LogSource
from flows.connectors.lifecycle import Lifecycle
from flows.replay.comparison import Comparison, Difference
from flows.replay.recorded import Progress, RecordedRun, UpToEnd
from flows.replay.verdict import Status, Verdict, compared, notes_on, status_of
from kitepilot import events as e
from kitepilot.orders.permission import permitted
from kitepilot.ports import LogRecord
from kitepilot.risk.admission import UnusableError, admit
from kitepilot.risk.decide import decide
from kitepilot.risk.records import DECISIONS_SOURCE, INTENTS_SOURCE, Decided
from kitepilot.risk.state import DeskState
from kitepilot.topics import DEAD_LETTER, DECISIONS, INTENTS, SESSION

POLL_RECORDS = 1_000  # as the live source


def verify_decisions(
    run: RecordedRun,
    progress: Progress = lambda records: None,
    *,
    poll_records: int = POLL_RECORDS,
    workers: int = 1,
) -> Verdict:
    """Decide the day again and compare every message of the decision flow with the record.

    `poll_records` and `workers` must not matter; a test holds them to it.
    """
    comparisons = {
        DECISIONS.name: _comparison(run, DECISIONS.name, DECISIONS_SOURCE),
        INTENTS.name: _comparison(run, INTENTS.name, INTENTS_SOURCE),
        DEAD_LETTER.name: _comparison(run, DEAD_LETTER.name, decisions.DEAD_LETTER_SOURCE),
    }
    heard = _run_flow(run, comparisons, progress, poll_records, workers)
    for comparison in comparisons.values():
        comparison.finish()
    difference = next((c.difference for c in comparisons.values() if c.difference), None)
    notes = notes_on(run, comparisons)
    if difference is None and heard != _bare_fold(run):
        notes.append("the dataflow and the bare fold disagree: do not trust either")
        return _verdict("differs", comparisons, None, notes)
    return _verdict(status_of(run, comparisons, difference), comparisons, difference, notes)


def cause_of(run: RecordedRun, difference: Difference) -> LogRecord | None:
    """The session record whose decision differs; None when no record leads to that message."""
    logic = decisions.DecisionLogic()
    for record in run.records(SESSION.name):
        for _, event in logic.on_record(record):
            if (event.source, event.seq) == (difference.source, difference.seq):
                return record
    return None


def folded(run: RecordedRun) -> Iterator[tuple[LogRecord, DeskState | None, list[Decided]]]:
    """The bare fold over the recorded session: each record, the state after it, and what was decided."""
    state: DeskState | None = None
    for record in run.records(SESSION.name):
        try:
            event = admit(record.value)
        except UnusableError:
            continue
        state, decided = decide(state, event)
        yield record, state, decided


def _comparison(run: RecordedRun, topic: str, source: str) -> Comparison:
    ours = partial(permitted, run_id=run.run_id, config_hash=run.config_hash)
    return Comparison(topic, source, run.records(topic), ours if topic == INTENTS.name else e.decode)


class _Judge:
    """A log that keeps nothing: what a flow writes to it is compared, and hashed per topic."""

    def __init__(self, comparisons: dict[str, Comparison]) -> None:
        self._comparisons = comparisons
        self._hashes = {topic: hashlib.sha256() for topic in (DECISIONS.name, INTENTS.name)}

    def writer(self) -> _Judge:
        return self

    def append(self, topic: str, value: bytes, *, partition: int = 0, key: bytes = b"") -> None:
        event = e.decode(value)
        self._comparisons[topic].take(event)
        if topic in self._hashes:
            self._hashes[topic].update(e.canonical(event))

    def push(self) -> None: ...

    def flush(self, timeout_s: float = 10.0) -> None: ...

    def close(self) -> None: ...

    def hashes(self) -> dict[str, str]:
        return {topic: sha.hexdigest() for topic, sha in self._hashes.items()}


def _run_flow(
    run: RecordedRun, comparisons: dict[str, Comparison], progress: Progress, poll_records: int, workers: int
) -> dict[str, str]:
    """Run the dataflow to the end of the record; hashes of what it said, by topic."""
    from bytewax.run import cli_main

    judge, lifecycle = _Judge(comparisons), Lifecycle()
    start = {(SESSION.name, 0): run.starts[SESSION.name]}
    log = UpToEnd(run, SESSION.name, lifecycle, progress)
    source = LogSource(lambda: log, start, poll_records, process=lifecycle)
    flow = decisions.build(source, LogSink(lambda: judge))
    cli_main(flow, workers_per_process=workers, epoch_interval=timedelta(seconds=1))  # type: ignore[no-untyped-call]
    return judge.hashes()


def _bare_fold(run: RecordedRun) -> dict[str, str]:
    hashes = {topic: hashlib.sha256() for topic in (DECISIONS.name, INTENTS.name)}
    for _, _, decided in folded(run):
        for event in decided:
            topic = INTENTS.name if isinstance(event, e.ApprovedIntent) else DECISIONS.name
            hashes[topic].update(e.canonical(event))
    return {topic: sha.hexdigest() for topic, sha in hashes.items()}


def _verdict(
    status: Status, comparisons: dict[str, Comparison], difference: Difference | None, notes: list[str]
) -> Verdict:
    return Verdict(
        part="decisions",
        status=status,
        streams=tuple(compared(each) for each in comparisons.values()),
        difference=difference,
        unreadable=sum(each.unreadable for each in comparisons.values()),
        notes=tuple(notes),
    )
