"""Flows and the event log: what happens to records when a flow ends, is killed, or cannot write."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSource, run_main

from flows.connectors import LogSink, to_sink
from flows.connectors.lifecycle import Lifecycle
from flows.connectors.source import LogSource
from infra.eventlog.sqlite_log import SqliteLog
from kitepilot.config import Config, dump
from kitepilot.events import AnyEvent, Commanded, decode, encode
from kitepilot.ports import EventLog, LogError, OffsetOutOfRangeError
from kitepilot.run import RUN_FOLDER_VARIABLE
from kitepilot.topics import BARS, DECISIONS, SESSION, TICKS, TOPICS

ROOT = Path(__file__).resolve().parents[2]

# A flow with state: it numbers the commands it reads, and answers each with its own gap-free seq.
COUNTING_FLOW = """
import sys
from datetime import timedelta
from functools import partial
import bytewax.operators as op
from bytewax.dataflow import Dataflow
from flows.connectors import LogSink, LogSource, to_sink
from flows.run import run_flow
from infra.eventlog import open_log
from kitepilot.events import Commanded, decode
from kitepilot.run import current

def number(count, records):
    count = count or 0
    out = []
    for record in records:
        asked = decode(record.value)
        out.append(("decisions", Commanded(source="counter", seq=count, event_at=asked.event_at,
                                           command_id=asked.command_id, command="resume")))
        count += 1
    return count, out

run = current()
factory = partial(open_log, run)
flow = Dataflow("counting")
records = op.input("in", flow, LogSource(factory, {("session", 0): 0}, max_records=7))
keyed = op.map("key", records, lambda batch: ("all", batch))
answers = op.stateful_map("number", keyed, number)
to_sink("out", op.flat_map("events", answers, lambda item: item[1]), LogSink(factory))
sys.exit(run_flow(flow, run, "counter", timedelta(seconds=0.2)))
"""


def command(seq: int) -> Commanded:
    return Commanded(source="test", seq=seq, event_at=seq, command_id=f"c{seq}", command="halt")


def read_all(log: EventLog, topic: str) -> list[AnyEvent]:
    reader = log.reader({(topic, 0): log.begin_offset(topic)})
    found: list[AnyEvent] = []
    while batch := reader.poll(10_000):
        found += [decode(record.value) for record in batch]
    reader.close()
    return found


def wait_for(what: str, condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s in vain for: {what}"
        time.sleep(0.01)


@pytest.fixture
def log(tmp_path: Path) -> SqliteLog:
    log = SqliteLog(tmp_path / "log")
    log.create_topics(TOPICS)
    return log


@pytest.fixture
def start_flow(tmp_path: Path) -> Callable[[], subprocess.Popen[bytes]]:
    folder = tmp_path / "runs" / "paper-20261120-0001"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(dump(Config()))
    script = tmp_path / "counting.py"
    script.write_text(COUNTING_FLOW)
    environment = os.environ | {RUN_FOLDER_VARIABLE: str(folder), "PYTHONPATH": str(ROOT)}
    ready = folder / "ready" / "counter"

    def start() -> subprocess.Popen[bytes]:
        ready.unlink(missing_ok=True)
        process = subprocess.Popen([sys.executable, str(script)], env=environment)
        wait_for("the flow to be ready", lambda: ready.exists() or process.poll() is not None)
        assert ready.exists(), f"the flow died with {process.returncode}"
        return process

    return start


def test_killed_flow_loses_nothing_and_repeats_only_with_the_same_seqs(
    log: SqliteLog, start_flow: Callable[[], subprocess.Popen[bytes]]
) -> None:
    total = 0
    for _ in range(3):
        process = start_flow()
        before = log.end_offset(DECISIONS.name)
        # killed somewhere between two commits, with input still coming
        while log.end_offset(DECISIONS.name) < before + 150:
            log.append(SESSION.name, [encode(command(seq)) for seq in range(total, total + 5)])
            total += 5
            time.sleep(0.002)
        process.kill()
        process.wait(10)
    process = start_flow()
    wanted = {f"c{seq}" for seq in range(total)}
    wait_for("every command to be answered", lambda: answered(log) >= wanted)
    process.terminate()
    assert process.wait(20) == 0

    answers = [event for event in read_all(log, DECISIONS.name) if isinstance(event, Commanded)]
    by_seq: dict[int, set[str]] = {}
    for event in answers:
        by_seq.setdefault(event.seq, set()).add(event.command_id)
    assert by_seq == {seq: {f"c{seq}"} for seq in range(total)}


def answered(log: SqliteLog) -> set[str]:
    return {event.command_id for event in read_all(log, DECISIONS.name) if isinstance(event, Commanded)}


def test_terminated_flow_ends_in_order_and_resumes_without_a_repeat(
    log: SqliteLog, start_flow: Callable[[], subprocess.Popen[bytes]]
) -> None:
    for round_ in range(2):
        log.append(SESSION.name, [encode(command(seq)) for seq in range(round_ * 40, round_ * 40 + 40)])
        process = start_flow()
        wait_for(
            "this round's answers",
            lambda wanted=round_ * 40 + 40: log.end_offset(DECISIONS.name) >= wanted,
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0

    assert [event.seq for event in read_all(log, DECISIONS.name)] == list(range(80))


def test_source_hands_on_one_list_per_poll_and_no_empty_ones(log: SqliteLog) -> None:
    log.append(TICKS.name, [b"t0", b"t1", b"t2"])
    log.append(SESSION.name, [b"s0"])
    process = Lifecycle()
    source = LogSource(lambda: log, {("ticks", 0): 1, ("session", 0): 0}, process=process)
    part = source.build_part("in", "log", None)

    ((*records,),) = part.next_batch()
    assert {(record.topic, record.offset) for record in records} == {
        ("ticks", 1),
        ("ticks", 2),
        ("session", 0),
    }
    assert part.next_batch() == []
    assert part.next_awake() is None
    assert part.snapshot() == {"version": 1, "next_offsets": {("ticks", 0): 3, ("session", 0): 1}}


def test_resumed_source_goes_on_at_its_offsets_and_starts_a_new_topic_where_told(log: SqliteLog) -> None:
    log.append(TICKS.name, [b"t0", b"t1", b"t2"])
    log.append(BARS.name, [b"b0", b"b1"])
    source = LogSource(lambda: log, {("ticks", 0): 0, ("bars", 0): 1})
    part = source.build_part("in", "log", {"version": 1, "next_offsets": {("ticks", 0): 2}})

    (records,) = part.next_batch()
    assert [record.value for record in records] == [b"t2", b"b1"]


def test_source_refuses_to_resume_where_retention_has_been(log: SqliteLog) -> None:
    log.append(TICKS.name, [b"t0"])
    log.trim(TICKS.name, time.time_ns() + 1)
    with pytest.raises(OffsetOutOfRangeError, match=r"offset 0 of topic 'ticks'.*oldest kept is 1"):
        LogSource(lambda: log, {("ticks", 0): 0}).build_part("in", "log", None)


def test_draining_source_ends_its_stream(log: SqliteLog) -> None:
    process = Lifecycle()
    part = LogSource(lambda: log, {("ticks", 0): 0}, process=process).build_part("in", "log", None)
    assert part.next_batch() == []
    process.draining = True
    with pytest.raises(StopIteration):
        part.next_batch()


def test_sink_keeps_order_within_a_topic_and_stamps_the_machine_clock(log: SqliteLog, tmp_path: Path) -> None:
    items = [("decisions" if seq % 3 else "session", command(seq)) for seq in range(30)]
    flow = Dataflow("sinking")
    stream = op.input("in", flow, TestingSource(items, batch_size=4))
    to_sink("out", stream, LogSink(partial(SqliteLog, tmp_path / "log")))
    before = time.time_ns()
    run_main(flow)

    session = read_all(log, SESSION.name)
    assert [event.seq for event in session] == [seq for seq in range(30) if seq % 3 == 0]
    assert [event.seq for event in read_all(log, DECISIONS.name)] == [seq for seq in range(30) if seq % 3]
    assert all(before <= event.emitted_at <= time.time_ns() for event in session)


def test_flow_that_cannot_write_stops_instead_of_losing(log: SqliteLog, tmp_path: Path) -> None:
    flow = Dataflow("failing")
    stream = op.input("in", flow, TestingSource([("no-such-topic", command(0))]))
    to_sink("out", stream, LogSink(partial(SqliteLog, tmp_path / "log")))
    with pytest.raises(Exception) as failure:
        run_main(flow)
    causes: list[BaseException] = []
    cause: BaseException | None = failure.value
    while cause is not None:
        causes.append(cause)
        cause = cause.__cause__
    assert any(isinstance(err, LogError) and "no-such-topic" in str(err) for err in causes)
