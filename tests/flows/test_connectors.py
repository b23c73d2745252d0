"""Flows and the event log: what happens to records when a flow ends, is killed, or cannot write."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSource, run_main
from loopback_ports import free_ports

from flows.connectors import LogSink, to_sink
from flows.connectors.lifecycle import Lifecycle
from flows.connectors.source import LogSource
from infra.eventlog import open_log
from infra.eventlog.sqlite_log import SqliteLog
from infra.kafka.jars import KafkaUnavailableError, find_java, provide_jars
from kitepilot.config import Config, LogSection, dump
from kitepilot.events import AnyEvent, Commanded, decode, encode
from kitepilot.ports import EventLog, LogError, OffsetOutOfRangeError
from kitepilot.run import RUN_FOLDER_VARIABLE, Run, home
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


KAFKA_PROCESS = """
import sys
from infra.kafka.server import main
from kitepilot.run import current
sys.exit(main(current()))
"""


def command(seq: int) -> Commanded:
    return Commanded(source="test", seq=seq, event_at=seq, command_id=f"c{seq}", command="halt")


def read_all(log: EventLog, topic: str) -> list[AnyEvent]:
    end = log.end_offset(topic)
    reader = log.reader({(topic, 0): log.begin_offset(topic)})
    found: list[AnyEvent] = []
    while dict(reader.positions())[topic, 0] < end:
        found += [decode(record.value) for record in reader.poll(10_000, timeout_s=1.0)]
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


StartFlow = Callable[[], "subprocess.Popen[bytes]"]


def flow_starter(folder: Path, config: Config) -> StartFlow:
    """Start the counting flow as a process of a run with `config`; returns when it is ready."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(dump(config))
    ready = folder / "ready" / "counter"

    def start() -> subprocess.Popen[bytes]:
        ready.unlink(missing_ok=True)
        return start_process(COUNTING_FLOW, folder, ready)

    return start


def start_process(script: str, folder: Path, ready: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {RUN_FOLDER_VARIABLE: str(folder), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", script], env=environment)
    wait_for("the process to be ready", lambda: ready.exists() or process.poll() is not None, 100)
    assert ready.exists(), f"the process died with {process.returncode}"
    return process


@pytest.fixture
def start_flow(tmp_path: Path) -> StartFlow:
    return flow_starter(tmp_path / "runs" / "paper-20261120-0001", Config())


def test_killed_flow_loses_nothing_and_repeats_only_with_the_same_seqs(
    log: SqliteLog, start_flow: StartFlow
) -> None:
    kill_and_check(log, start_flow)


@pytest.mark.kafka
@pytest.mark.slow
def test_killed_flow_loses_nothing_on_kafka_either(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "paper-20261120-0001"
    config = Config(log=LogSection(kind="kafka", bootstrap_servers=f"127.0.0.1:{free_ports(2)[0]}"))
    start_flow = flow_starter(folder, config)
    kafka_libs(tmp_path)
    node = start_process(KAFKA_PROCESS, folder, folder / "ready" / "kafka")
    try:
        log = open_log(Run(folder.name, folder, config))
        log.create_topics(TOPICS)
        kill_and_check(log, start_flow)
    finally:
        node.terminate()
        assert node.wait(40) == 0


def kafka_libs(tmp_path: Path) -> None:
    """Let the node of this run use the jars that were fetched before; skip if there can be none."""
    try:
        jars = provide_jars(home() / "kafka" / "libs")
        find_java()
    except KafkaUnavailableError as err:
        pytest.skip(str(err))
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "libs").symlink_to(jars.parent)


def kill_and_check(log: EventLog, start_flow: StartFlow) -> None:
    """Kill the flow three times with input still coming; each command must have one answer, one seq."""
    total = 0
    for _ in range(3):
        process = start_flow()
        before = log.end_offset(DECISIONS.name)
        deadline = time.monotonic() + 60
        while log.end_offset(DECISIONS.name) < before + 150:
            assert time.monotonic() < deadline, "the flow answers nothing"
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

    by_seq: dict[int, set[str]] = {}
    for event in read_all(log, DECISIONS.name):
        assert isinstance(event, Commanded)
        by_seq.setdefault(event.seq, set()).add(event.command_id)
    assert by_seq == {seq: {f"c{seq}"} for seq in range(total)}


def answered(log: EventLog) -> set[str]:
    return {event.command_id for event in read_all(log, DECISIONS.name) if isinstance(event, Commanded)}


def test_terminated_flow_ends_in_order_and_resumes_without_a_repeat(
    log: SqliteLog, start_flow: StartFlow
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


def test_flow_that_retention_overtook_does_not_start_and_says_why(
    log: SqliteLog, start_flow: StartFlow, tmp_path: Path
) -> None:
    log.append(SESSION.name, [encode(command(0))])
    process = start_flow()
    wait_for("the answer", lambda: log.end_offset(DECISIONS.name) == 1)
    process.terminate()
    assert process.wait(20) == 0
    log.append(SESSION.name, [encode(command(1))])
    log.trim(SESSION.name, time.time_ns() + 1)

    folder = tmp_path / "runs" / "paper-20261120-0001"
    environment = os.environ | {RUN_FOLDER_VARIABLE: str(folder), "PYTHONPATH": str(ROOT)}
    again = subprocess.run(
        [sys.executable, "-c", COUNTING_FLOW],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        timeout=30,
        check=False,
    )
    assert again.returncode == 1
    assert again.stderr.splitlines()[-1].startswith("counter: offset 1 of topic 'session'")
    assert log.end_offset(DECISIONS.name) == 1


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


def test_source_with_a_cadence_rests_only_after_an_empty_poll(log: SqliteLog) -> None:
    log.append(TICKS.name, [b"t0"])
    cadence = timedelta(seconds=5)
    part = LogSource(lambda: log, {("ticks", 0): 0}, cadence=cadence).build_part("in", "log", None)
    assert len(part.next_batch()) == 1
    assert part.next_awake() is None
    assert part.next_batch() == []
    rest = part.next_awake()
    assert rest is not None
    assert timedelta(seconds=4) < rest - datetime.now(UTC) <= cadence


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
