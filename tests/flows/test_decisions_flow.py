"""The decision flow as Bytewax runs it: the same answers however it is cut, and through a crash."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSink, TestingSource, run_main

from flows import decisions
from flows.connectors import LogSink, Out
from kitepilot.events import (
    AccountMarked,
    AnyEvent,
    ApprovedIntent,
    DeadLetter,
    canonical,
    decode,
    encode,
    stream_hash,
)
from kitepilot.ports import EventLog, LogRecord
from kitepilot.risk.refold import fold_all

sys.path.insert(0, str(Path(__file__).parent.parent / "risk"))
from desk import ALPHA, Desk

Polls = list[list[LogRecord]]


def a_day() -> Desk:
    """Entries, a refusal, fills, a stop, commands."""
    desk = Desk()
    for step in range(40):
        desk.mark(alpha=100_000 - step * 20, bravo=50_000 + step * 10, charlie=20_000)
        if step == 5:
            desk.enter(ALPHA)
        if step in (6, 7):
            desk.signal(token=ALPHA)
        if step == 30:
            desk.command("halt")
    return desk


def records_of(values: list[bytes]) -> list[LogRecord]:
    return [LogRecord("session", 0, offset, 0, b"", value) for offset, value in enumerate(values)]


def session_records(desk: Desk) -> list[LogRecord]:
    return records_of([encode(event) for event in desk.said])


def decided(source: TestingSource[list[LogRecord]], recovery: RecoveryConfig | None = None) -> list[Out]:
    """Run the real flow graph, with the log's sink replaced by a list."""
    out: list[Out] = []
    flow = Dataflow("decisions")
    polls = op.input("session", flow, source)
    keyed = op.key_on("desk_key", polls, decisions._desk)
    stream = op.key_rm("desk_unkey", op.stateful_batch("decide", keyed, decisions.DecisionLogic))
    op.output("out", stream, TestingSink(out))
    run_main(flow, epoch_interval=timedelta(0), recovery_config=recovery)
    return out


def cut(records: list[LogRecord], size: int) -> Polls:
    return [records[start : start + size] for start in range(0, len(records), size)]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_flow_decides_what_the_fold_decides_however_the_polls_fall(size: int) -> None:
    desk = a_day()
    out = decided(TestingSource(cut(session_records(desk), size)))
    assert stream_hash(event for _, event in out) == stream_hash(desk.out)
    assert {topic for topic, event in out if isinstance(event, ApprovedIntent)} == {"intents"}
    assert {topic for topic, event in out if not isinstance(event, ApprovedIntent)} == {"decisions"}


def test_a_crash_repeats_records_with_the_same_numbers_and_loses_none(tmp_path: Path) -> None:
    desk = a_day()
    polls = cut(session_records(desk), 3)
    init_db_dir(tmp_path, 1)
    recovery = RecoveryConfig(tmp_path, timedelta(0))
    source = TestingSource([*polls[:6], TestingSource.ABORT(), *polls[6:]])
    first = decided(source, recovery)
    second = decided(source, recovery)
    seen: dict[tuple[str, int], bytes] = {}
    for _, event in [*first, *second]:
        key = (event.source, event.seq)
        assert seen.setdefault(key, canonical(event)) == canonical(event)
    assert sorted(seen) == sorted((event.source, event.seq) for event in desk.out)


def test_dead_letters_keep_their_numbers_through_a_crash(tmp_path: Path) -> None:
    values = [encode(event) for event in a_day().said]
    for place in (2, 10, 20):
        values.insert(place, b"junk %d" % place)
    init_db_dir(tmp_path, 1)
    recovery = RecoveryConfig(tmp_path, timedelta(0))
    polls = cut(records_of(values), 3)
    source = TestingSource([*polls[:5], TestingSource.ABORT(), *polls[5:]])
    letters = [event for _, event in [*decided(source, recovery), *decided(source, recovery)]]
    numbered = {event.seq: event.payload for event in letters if isinstance(event, DeadLetter)}
    assert numbered == {0: b"junk 2", 1: b"junk 10", 2: b"junk 20"}


def test_messages_that_cannot_be_used_are_kept_and_the_day_goes_on() -> None:
    desk = a_day()
    good = [encode(event) for event in desk.said]
    wrong_topic = encode(desk.out[0])
    bad = [b"", b"\xc1 not msgpack", wrong_topic]
    out = decided(TestingSource([records_of([good[0], *bad, *good[1:]])]))
    letters = [event for _, event in out if isinstance(event, DeadLetter)]
    assert [letter.reason for letter in letters] == ["undecodable", "undecodable", "wrong_topic"]
    assert [letter.payload for letter in letters] == bad
    assert [letter.offset for letter in letters] == [1, 2, 3] and [letter.seq for letter in letters] == [
        0,
        1,
        2,
    ]
    rest = [event for _, event in out if not isinstance(event, DeadLetter)]
    assert stream_hash(rest) == stream_hash(desk.out)


class ListLog:
    """A log of one process, enough for the sink: what was appended, in order."""

    def __init__(self, appended: list[tuple[str, bytes]]) -> None:
        self._appended = appended

    def writer(self) -> ListLog:
        return self

    def append(self, topic: str, value: bytes) -> None:
        self._appended.append((topic, value))

    def push(self) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


def test_the_whole_flow_writes_encoded_events_to_their_topics() -> None:
    appended: list[tuple[str, bytes]] = []
    factory: Callable[[], EventLog] = lambda: ListLog(appended)  # type: ignore[assignment,return-value]  # noqa: E731
    desk = a_day()
    run_main(decisions.build(TestingSource(cut(session_records(desk), 10)), LogSink(factory)))
    events: list[AnyEvent] = [decode(value) for _, value in appended]
    assert len(events) == len(desk.out) and all(event.emitted_at for event in events)
    accounts = [event for event in events if isinstance(event, AccountMarked)]
    assert len(accounts) == 40 and accounts[-1].orders == 2


def test_step_ids_name_recovery_state_and_never_change() -> None:
    flow = decisions.build(TestingSource([]), LogSink(lambda: ListLog([])))  # type: ignore[arg-type,return-value]
    assert flow.flow_id == "decisions"
    assert [step.step_id for step in flow.substeps] == [
        "decisions.session",
        "decisions.desk_key",
        "decisions.decide",
        "decisions.desk_unkey",
        "decisions.out_key",
        "decisions.out",
    ]


def test_refolding_the_log_gives_the_flows_decisions() -> None:
    desk = a_day()
    state, outputs = fold_all(desk.said)
    assert state is not None and stream_hash(outputs) == stream_hash(desk.out)
