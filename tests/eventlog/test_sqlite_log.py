"""What only the embedded log can meet: full disks, half-made segments, clocks set back, day ends."""

from __future__ import annotations

import multiprocessing
import os
import resource
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from infra.eventlog import checkpoints
from infra.eventlog import partition as partition_module
from infra.eventlog.bounds import MIB
from infra.eventlog.segment import DAY_NS, Segment, list_bases, segment_path
from infra.eventlog.sqlite_log import DURABLE_TOPICS, SqliteLog
from kitepilot.ports import LogError, LogRecord
from kitepilot.topics import ACTS, DAY, TOPICS, Topic

TOPIC = Topic("ticks", 1, 2 * DAY, "bytes")
spawn = multiprocessing.get_context("spawn")


def read_all(log: SqliteLog, topic: str = TOPIC.name) -> list[LogRecord]:
    reader = log.reader({(topic, 0): log.begin_offset(topic)})
    records: list[LogRecord] = []
    while batch := reader.poll(1000):
        records += batch
    reader.close()
    return records


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    log = SqliteLog(tmp_path / "log")
    log.create_topics([TOPIC])
    yield log
    log.close()


class MachineClock:
    """Stands in for the machine's clock where the log stamps records."""

    def __init__(self, at_ns: int) -> None:
        self.at_ns = at_ns

    def time_ns(self) -> int:
        return self.at_ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> MachineClock:
    clock = MachineClock(20_000 * DAY_NS + 1)
    monkeypatch.setattr(partition_module, "time", clock)
    return clock


# --- disks that are full --------------------------------------------------------------------------------


def fill(folder: Path) -> tuple[int, str]:
    """Append until the log refuses; (values acknowledged, what it said)."""
    log = SqliteLog(folder)
    try:
        for count in range(100_000):
            try:
                log.append(TOPIC.name, [b"f" * 5_000, b"%d" % count])
            except LogError as err:
                return 2 * count, str(err)
        raise AssertionError("the disk took everything")
    finally:
        log.close()


def fill_up_to_a_file_size_limit(folder: Path, told: object) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
    told.send(fill(folder))  # type: ignore[attr-defined]


def test_process_that_may_write_no_more_says_where_and_keeps_what_it_acknowledged(
    log: SqliteLog, tmp_path: Path
) -> None:
    told, telling = spawn.Pipe(duplex=False)
    child = spawn.Process(target=fill_up_to_a_file_size_limit, args=(tmp_path / "log", telling))
    child.start()
    assert told.poll(60), "the writer did not answer"
    acknowledged, said = told.recv()
    child.join(10)

    assert str(tmp_path / "log" / "ticks-0") in said and "MB free" in said
    assert acknowledged > 50
    assert log.end_offset(TOPIC.name) == acknowledged
    assert [record.offset for record in read_all(log)] == list(range(acknowledged))
    assert log.append(TOPIC.name, [b"space again"]) == acknowledged


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"mounting a tiny disk needs root: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_stops_the_writer_and_freeing_space_lets_it_go_on(tiny_disk: Path) -> None:
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(b"\0" * 1_000_000)
    log = SqliteLog(tiny_disk / "log")
    log.create_topics([TOPIC])
    acknowledged, said = fill(tiny_disk / "log")
    assert "full" in said and f"{tiny_disk}/log/ticks-0" in said and "MB free" in said
    with pytest.raises(LogError):
        log.append(TOPIC.name, [b"f" * 1_000_000])

    ballast.unlink()
    assert log.append(TOPIC.name, [b"f" * 1_000]) == acknowledged
    assert [record.offset for record in read_all(log)] == list(range(acknowledged + 1))
    log.close()


# --- segments -----------------------------------------------------------------------------------------------


def test_segment_sealed_by_a_process_that_died_is_continued_by_the_next_writer(
    log: SqliteLog, tmp_path: Path
) -> None:
    folder = tmp_path / "log" / "ticks-0"
    log.append(TOPIC.name, [b"0", b"1"])
    reader = log.reader({(TOPIC.name, 0): 0})
    dying = Segment(folder, 0)
    assert dying.seal_if_older(time.time_ns() + 1)  # and here it is killed, before the successor exists
    dying.close()

    assert [record.value for record in reader.poll(10)] == [b"0", b"1"]
    assert reader.poll(10) == []
    assert log.end_offset(TOPIC.name) == 2
    assert SqliteLog(tmp_path / "log").append(TOPIC.name, [b"2"]) == 2
    assert [record.value for record in reader.poll(10)] == [b"2"]
    assert list_bases(folder) == [0, 2]
    reader.close()


def test_new_day_begins_a_new_segment_and_retention_removes_the_files_of_old_days(
    log: SqliteLog, tmp_path: Path, clock: MachineClock
) -> None:
    folder = tmp_path / "log" / "ticks-0"
    for day in range(5):
        log.append(TOPIC.name, [b"day %d" % day, b"more"])
        clock.at_ns += DAY_NS
    assert list_bases(folder) == [4, 6, 8]  # rolling into day 4 dropped what was older than two days
    assert {path.name.split(".")[0] for path in folder.glob("0*")} == {f"{base:020d}" for base in (4, 6, 8)}

    log.create_topics([TOPIC])  # a start applies retention too, now that it is day 5
    assert log.begin_offset(TOPIC.name) == 6
    assert [record.value for record in read_all(log)][::2] == [b"day 3", b"day 4"]


def test_clock_set_back_repeats_the_last_stamp_across_segments(log: SqliteLog, clock: MachineClock) -> None:
    stamps = [clock.at_ns, clock.at_ns - 5, clock.at_ns + DAY_NS, clock.at_ns + 7, clock.at_ns + DAY_NS + 1]
    for stamp in stamps:
        clock.at_ns = stamp
        log.append(TOPIC.name, [b"x"])
    seen = [record.appended_at for record in read_all(log)]
    assert seen == [stamps[0], stamps[0], stamps[2], stamps[2], stamps[4]]
    assert log.offset_at(TOPIC.name, stamps[2]) == 2


def test_reader_that_lags_behind_retention_is_told_and_not_skipped_ahead(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log", segment_bytes=1)  # each append in its own segment
    log.create_topics([TOPIC])
    log.append(TOPIC.name, [b"0"])
    reader = log.reader({(TOPIC.name, 0): 0})
    for i in range(1, 4):
        log.append(TOPIC.name, [b"%d" % i])
    log.trim(TOPIC.name, time.time_ns() + 1)
    with pytest.raises(LogError, match=r"offset 1 .*removed by retention; the oldest kept is 4"):
        for _ in range(10):
            reader.poll(1)
    log.close()


def test_writer_that_slept_through_rolls_and_trims_goes_on_at_the_end(tmp_path: Path) -> None:
    sleeper, busy = (SqliteLog(tmp_path / "log", segment_bytes=1) for _ in range(2))
    sleeper.create_topics([TOPIC])
    assert sleeper.append(TOPIC.name, [b"0"]) == 0
    for i in range(1, 5):
        assert busy.append(TOPIC.name, [b"%d" % i]) == i
    assert busy.trim(TOPIC.name, time.time_ns() + 1) == 5
    assert sleeper.append(TOPIC.name, [b"5"]) == 5
    assert busy.append(TOPIC.name, [b"6"]) == 6
    assert [record.value for record in read_all(sleeper)] == [b"5", b"6"]
    sleeper.close()
    busy.close()


def test_draft_of_a_segment_left_by_a_killed_process_is_no_segment(tmp_path: Path) -> None:
    folder = tmp_path / "log" / "ticks-0"
    folder.mkdir(parents=True)
    (folder / "draft").write_bytes(b"half a file")
    (folder / "draft-journal").write_bytes(b"half a journal")
    log = SqliteLog(tmp_path / "log")
    log.create_topics([TOPIC])
    assert log.append(TOPIC.name, [b"x"]) == 0
    assert list_bases(folder) == [0]
    log.close()


def test_file_that_is_not_a_segment_is_reported_with_its_folder(log: SqliteLog, tmp_path: Path) -> None:
    log.append(TOPIC.name, [b"x"])
    log.close()
    segment_path(tmp_path / "log" / "ticks-0", 0).write_bytes(os.urandom(50_000))
    with pytest.raises(LogError, match=r"ticks-0.*not a database"):
        SqliteLog(tmp_path / "log").append(TOPIC.name, [b"y"])


def test_topics_that_money_depends_on_are_synced_at_each_commit() -> None:
    every = (*TOPICS, ACTS)
    assert {topic.name for topic in every if topic.retention > timedelta(days=30)} == DURABLE_TOPICS


# --- the write-ahead log --------------------------------------------------------------------------------


def test_the_write_ahead_log_stays_short_while_a_day_is_appended_and_read(
    log: SqliteLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY_BYTES", MIB)
    monkeypatch.setattr(checkpoints, "LONGEST_BYTES", 4 * MIB)
    reader = log.reader({(TOPIC.name, 0): 0})
    file = segment_path(tmp_path / "log" / f"{TOPIC.name}-0", 0)
    ahead = file.with_name(f"{file.name}-wal")
    longest, count = 0, 600
    for number in range(count):
        log.append(TOPIC.name, [number.to_bytes(4) * 25_000])
        longest = max(longest, ahead.stat().st_size)
    read = [record.value[:4] for _ in range(count) for record in reader.poll(1)]
    reader.close()
    assert read == [number.to_bytes(4) for number in range(count)]
    # of 60 MB appended without a pause: LONGEST may be found and let be, as much may come while that
    # checkpoint runs and again while the next does, which begins EVERY later; half a MIB for frames
    assert longest < 3 * checkpoints.LONGEST_BYTES + checkpoints.EVERY_BYTES + MIB // 2


def test_a_checkpoint_under_way_does_not_outlive_its_log(log: SqliteLog) -> None:
    for _ in range(50):
        log.append(TOPIC.name, [bytes(200_000)])
    log.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "checkpoint"]
