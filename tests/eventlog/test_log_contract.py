"""One contract, every adapter: what the flows, the gateway and the replay rely on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from log_under_test import LogUnderTest

from infra.eventlog.bounds import MAX_APPEND_BYTES, MAX_VALUE_BYTES, MIB
from kitepilot.ports import EventLog, LogError, LogReader, LogRecord, OffsetOutOfRangeError
from kitepilot.topics import Topic

spawn = multiprocessing.get_context("spawn")
patiently = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def read_until(reader: LogReader, count: int, max_records: int = 1000) -> list[LogRecord]:
    """Poll until `count` records came, and once more to catch what should not be there."""
    records: list[LogRecord] = []
    deadline = time.monotonic() + 30
    while len(records) < count:
        assert time.monotonic() < deadline, f"only {len(records)} of {count} records came"
        batch = reader.poll(max_records, timeout_s=0.5)
        assert len(batch) <= max_records
        records += batch
    return records + reader.poll(1000)


def read_from(log: EventLog, topic: str, offset: int = 0, max_records: int = 1000) -> list[LogRecord]:
    reader = log.reader({(topic, 0): offset})
    try:
        return read_until(reader, log.end_offset(topic) - offset, max_records)
    finally:
        reader.close()


# --- order and offsets ----------------------------------------------------------------------------


def test_offsets_start_at_zero_and_have_no_gaps(tested: LogUnderTest) -> None:
    log, topic = tested.log, tested.topic
    assert (log.begin_offset(topic), log.end_offset(topic)) == (0, 0)
    firsts = [log.append(topic, [b"%d-%d" % (call, i) for i in range(call + 1)]) for call in range(20)]

    assert firsts == [call * (call + 1) // 2 for call in range(20)]
    records = read_from(log, topic)
    assert [record.offset for record in records] == list(range(210))
    assert [record.value for record in records] == [
        b"%d-%d" % (c, i) for c in range(20) for i in range(c + 1)
    ]
    assert log.end_offset(topic) == 210
    assert log.end_offset(tested.other) == 0


@patiently
@given(
    batches=st.lists(st.lists(st.binary(max_size=3000), min_size=1, max_size=8), min_size=1, max_size=6),
    data=st.data(),
)
def test_reading_from_any_offset_in_any_portions_gives_the_rest_of_the_log(
    tested: LogUnderTest, batches: list[list[bytes]], data: st.DataObject
) -> None:
    log, topic = tested.log, tested.topic
    before = log.end_offset(topic)
    for batch in batches:
        log.append(topic, batch)
    written = [value for batch in batches for value in batch]
    skipped = data.draw(st.integers(0, len(written)), label="skipped")
    portion = data.draw(st.integers(1, 10), label="portion")

    records = read_from(log, topic, before + skipped, portion)
    assert [record.value for record in records] == written[skipped:]
    assert [record.offset for record in records] == list(range(before + skipped, before + len(written)))


def test_keys_large_values_and_stamps_come_back(tested: LogUnderTest) -> None:
    frame = os.urandom(MIB)
    before = time.time_ns() - 1_000_000
    tested.log.append(tested.topic, [frame, b""], key=b"RELIANCE")
    first, second = read_from(tested.log, tested.topic)
    assert (first.key, first.value, second.value) == (b"RELIANCE", frame, b"")
    assert before <= first.appended_at <= second.appended_at <= time.time_ns()


def test_one_reader_follows_several_topics_each_in_its_own_order(tested: LogUnderTest) -> None:
    log = tested.log
    reader = log.reader({(tested.topic, 0): 0, (tested.other, 0): 0})
    for i in range(50):
        log.append(tested.topic, [b"t%d" % i])
        log.append(tested.other, [b"o%d" % i])
    records = read_until(reader, 100, max_records=7)
    for topic, mark in ((tested.topic, b"t"), (tested.other, b"o")):
        assert [r.value for r in records if r.topic == topic] == [mark + b"%d" % i for i in range(50)]
    assert dict(reader.positions()) == {(tested.topic, 0): 50, (tested.other, 0): 50}
    reader.close()


def test_busy_topic_does_not_starve_a_quiet_one(tested: LogUnderTest) -> None:
    tested.log.append(tested.topic, [b"x" * 200] * 5_000)
    tested.log.append(tested.other, [b"halt"])
    reader = tested.log.reader({(tested.topic, 0): 0, (tested.other, 0): 0})
    polls = 0
    seen: list[LogRecord] = []
    while not any(record.value == b"halt" for record in seen):
        batch = reader.poll(500, timeout_s=0.5)
        seen += batch
        polls += bool(batch)
    reader.close()
    assert polls <= 12 and len(seen) <= 5_001


def test_closed_reader_is_continued_by_another_at_its_positions(tested: LogUnderTest) -> None:
    log = tested.log
    log.append(tested.topic, [b"%d" % i for i in range(100)])
    reader = log.reader({(tested.topic, 0): 0})
    head = reader.poll(30, timeout_s=10)
    positions = dict(reader.positions())
    reader.close()
    assert positions == {(tested.topic, 0): len(head)}
    tail = read_until(log.reader(positions), 100 - len(head))
    assert [record.offset for record in head + tail] == list(range(100))


# --- waiting --------------------------------------------------------------------------------------


def test_poll_without_timeout_never_waits(tested: LogUnderTest) -> None:
    reader = tested.log.reader({(tested.topic, 0): 0, (tested.other, 0): 0})
    began = time.perf_counter()
    assert [reader.poll(1000) for _ in range(200)] == [[]] * 200
    assert (time.perf_counter() - began) / 200 < 0.005
    reader.close()


def test_poll_with_timeout_returns_when_a_record_comes(tested: LogUnderTest) -> None:
    reader = tested.log.reader({(tested.topic, 0): 0})
    assert reader.poll(10, timeout_s=0.2) == []
    writing = threading.Timer(0.2, tested.log.append, (tested.topic, [b"late"]))
    writing.start()
    began = time.perf_counter()
    (record,) = reader.poll(10, timeout_s=20)
    writing.join()
    assert record.value == b"late"
    assert time.perf_counter() - began < 10
    reader.close()


# --- buffered writers -----------------------------------------------------------------------------


def test_flushed_appends_are_there_in_order_for_another_instance(tested: LogUnderTest) -> None:
    writer = tested.log.writer()
    for i in range(500):
        writer.append(tested.topic if i % 2 else tested.other, b"%d" % i)
        if i % 50 == 0:
            writer.push()
    writer.flush()
    elsewhere = tested.open_log()
    assert [r.value for r in read_from(elsewhere, tested.topic)] == [b"%d" % i for i in range(1, 500, 2)]
    assert [r.value for r in read_from(elsewhere, tested.other)] == [b"%d" % i for i in range(0, 500, 2)]
    writer.close()
    elsewhere.close()


def test_pushed_appends_arrive_without_a_flush(tested: LogUnderTest) -> None:
    writer = tested.log.writer()
    writer.append(tested.topic, b"now")
    writer.push()
    (record,) = read_until(tested.log.reader({(tested.topic, 0): 0}), 1)
    assert record.value == b"now"
    writer.close()


# --- several processes ----------------------------------------------------------------------------


def write_calls(
    open_log: Callable[[], EventLog], topic: str, name: str, calls: int, told: Connection
) -> None:
    """Append `calls` times three values `name call part`, and tell each call's number once acknowledged."""
    log = open_log()
    for call in range(calls):
        log.append(topic, [f"{name} {call} {part} {'x' * 200}".encode() for part in range(3)])
        told.send(call)
    log.close()


def start_writer(tested: LogUnderTest, name: str, calls: int) -> tuple[multiprocessing.Process, Connection]:
    told, telling = spawn.Pipe(duplex=False)
    process = spawn.Process(target=write_calls, args=(tested.open_log, tested.topic, name, calls, telling))
    process.start()
    telling.close()
    return process, told  # type: ignore[return-value]


def calls_in(records: list[LogRecord]) -> list[tuple[str, int]]:
    """The calls in log order; every call must be whole and in one piece."""
    parts = [record.value.decode().split()[:3] for record in records]
    calls = [(name, int(call)) for name, call, _ in parts[::3]]
    assert parts == [[name, str(call), str(part)] for name, call in calls for part in range(3)]
    return calls


def test_several_writer_processes_make_one_order_that_all_readers_see(tested: LogUnderTest) -> None:
    writers = [start_writer(tested, name, 100) for name in ("gateway", "market", "api")]
    for process, _ in writers:
        process.join(60)
        assert process.exitcode == 0
    records = read_from(tested.log, tested.topic)
    assert [record.offset for record in records] == list(range(900))
    calls = calls_in(records)
    for name in ("gateway", "market", "api"):
        assert [call for who, call in calls if who == name] == list(range(100))
    assert read_from(tested.open_log(), tested.topic, max_records=11) == records


def test_killed_writer_leaves_all_it_acknowledged_and_nothing_torn(tested: LogUnderTest) -> None:
    acknowledged: dict[str, int] = {}
    for name in ("first", "second"):
        process, told = start_writer(tested, name, 1_000_000)
        while acknowledged.get(name, -1) < 60:
            assert told.poll(60), "the writer fell silent"
            acknowledged[name] = told.recv()
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join(10)
        while told.poll():
            try:
                acknowledged[name] = told.recv()
            except EOFError:
                break
    tested.log.append(tested.topic, [b"after 0 %d" % part for part in range(3)])

    records = read_from(tested.log, tested.topic)
    assert [record.offset for record in records] == list(range(len(records)))
    calls = calls_in(records)
    for name, last in acknowledged.items():
        seen = [call for who, call in calls if who == name]
        assert seen == list(range(len(seen)))
        assert len(seen) in (last + 1, last + 2)  # the call that was cut off is whole or absent
    assert calls[-1] == ("after", 0)


# --- time and retention ---------------------------------------------------------------------------


def test_seek_by_time_finds_the_first_record_at_or_after(tested: LogUnderTest) -> None:
    log, topic = tested.log, tested.topic
    for i in range(30):
        log.append(topic, [b"%d" % i, b"y" * 3_000])
        time.sleep(0.003)
    records = read_from(log, topic)
    for record in records[::7]:
        found = log.offset_at(topic, record.appended_at)
        assert records[found].appended_at == record.appended_at
        assert found == 0 or records[found - 1].appended_at < record.appended_at
    assert log.offset_at(topic, 0) == 0
    assert log.offset_at(topic, time.time_ns() + 10**9) == 60
    assert log.offset_at(tested.other, time.time_ns()) == 0


def test_trim_forgets_old_records_and_renumbers_nothing(tested: LogUnderTest) -> None:
    log, topic = tested.log, tested.topic
    lagging = log.reader({(topic, 0): 0})
    for i in range(60):
        log.append(topic, [b"%d" % i + b"z" * 3_000])
        if i == 40:
            time.sleep(0.005)
            middle = time.time_ns()
            time.sleep(0.005)
    begin = log.trim(topic, middle)
    assert 0 <= begin <= 41
    assert log.begin_offset(topic) == begin
    assert [record.offset for record in read_from(log, topic, begin)] == list(range(begin, 60))

    assert log.trim(topic, time.time_ns() + 10**9) == 60
    assert (log.begin_offset(topic), log.end_offset(topic)) == (60, 60)
    with pytest.raises(OffsetOutOfRangeError, match=r"oldest kept.* 60"):
        log.reader({(topic, 0): 59})
    assert log.append(topic, [b"next"]) == 60
    assert [record.value for record in read_from(log, topic, 60)] == [b"next"]
    lagging.close()


def test_starting_past_the_end_is_refused(tested: LogUnderTest) -> None:
    tested.log.append(tested.topic, [b"only"])
    with pytest.raises(OffsetOutOfRangeError, match="end 1"):
        tested.log.reader({(tested.topic, 0): 2})
    tested.log.reader({(tested.topic, 0): 1}).close()


def test_creating_topics_again_keeps_their_records(tested: LogUnderTest) -> None:
    tested.log.append(tested.topic, [b"kept"])
    again = tested.open_log()
    again.create_topics([Topic(tested.topic, 1, timedelta(days=2), "bytes")])
    assert [record.value for record in read_from(again, tested.topic)] == [b"kept"]
    again.close()


# --- bounds ---------------------------------------------------------------------------------------


def test_value_at_the_bound_is_taken_and_one_byte_more_is_refused(tested: LogUnderTest) -> None:
    tested.log.append(tested.topic, [b"b" * MAX_VALUE_BYTES])
    with pytest.raises(LogError, match="above the bound"):
        tested.log.append(tested.topic, [b"ok", b"b" * (MAX_VALUE_BYTES + 1)])
    with pytest.raises(LogError, match="above the bound"):
        tested.log.writer().append(tested.topic, b"b" * (MAX_VALUE_BYTES + 1))
    assert tested.log.end_offset(tested.topic) == 1


def test_append_that_could_not_be_one_batch_is_refused_whole(tested: LogUnderTest) -> None:
    full = [b"b" * MAX_VALUE_BYTES] * (MAX_APPEND_BYTES // MAX_VALUE_BYTES)
    assert tested.log.append(tested.topic, full) == 0
    for values in ([*full, b"b"], [b""] * 10_001, []):
        with pytest.raises(LogError):
            tested.log.append(tested.topic, values)
    assert tested.log.end_offset(tested.topic) == len(full)


def test_topic_that_was_not_created_is_named(tested: LogUnderTest) -> None:
    log = tested.log
    attempts: list[Callable[[], object]] = [
        lambda: log.append("ghost", [b"x"]),
        lambda: log.reader({("ghost", 0): 0}),
        lambda: log.end_offset("ghost"),
        lambda: log.begin_offset(tested.topic, 7),
    ]
    for attempt in attempts:
        with pytest.raises(LogError, match=r"(ghost|partition 7).*create_topics"):
            attempt()
