"""A day kept as files: byte for byte what the log said, and nothing missing that is not named."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from recorded_day import RecordedDay, a_recorded_day

from flows.replay import market_of, open_recorded, verify_decisions, verify_market
from infra.session_archive import ArchivedLog, keep, kept_folders
from infra.session_archive.files import ArchivedReader, topic_path, write_topic
from infra.session_archive.keeping import MARKET_KEPT_RUNS
from kitepilot.ports import LogError, LogRecord
from kitepilot.topics import SESSION, TICKS, TOPICS


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> RecordedDay:
    return a_recorded_day(tmp_path_factory.mktemp("day"), minutes=3)


@pytest.fixture
def folder(day: RecordedDay) -> Path:
    return kept(day)


def kept(day: RecordedDay) -> Path:
    return keep(day.run, day.log, code_version="1.0", code_hash="c0de", concluded=True, ends=day.ends())


def test_the_archive_gives_the_records_of_the_log_with_their_offsets_and_clocks(
    day: RecordedDay, folder: Path
) -> None:
    archive = ArchivedLog(folder)
    for topic in TOPICS:
        reader = archive.reader({(topic.name, 0): archive.begin_offset(topic.name)})
        records: list[LogRecord] = []
        while found := reader.poll(700):
            records += found
        assert records == list(day.recorded().records(topic.name))
        assert len(records) == archive.card.topics[topic.name].records
        assert archive.card.topics[topic.name].gaps == ()


def test_a_day_replays_from_its_archive_as_from_the_log(day: RecordedDay, folder: Path) -> None:
    archive = ArchivedLog(folder)
    starts = {name: topic.start for name, topic in archive.card.topics.items()}
    ends = {name: topic.end for name, topic in archive.card.topics.items()}
    run = open_recorded(day.run.run_id, archive, starts, ends)
    from_log = day.recorded()
    assert verify_decisions(run) == verify_decisions(from_log)
    market, again = (
        verify_market(each, market_of(each, day.run.config, [day.home])) for each in (run, from_log)
    )
    assert market == again and market.equal


def test_keeping_a_day_twice_changes_nothing(day: RecordedDay, folder: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert kept(day) == folder
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_day_of_which_keeping_was_killed_is_not_there(day: RecordedDay, folder: Path) -> None:
    draft = folder.with_name("paper-20261120-0002.draft")
    draft.mkdir()
    (draft / "card.json").write_bytes((folder / "card.json").read_bytes())
    assert kept_folders(day.home) == [folder]


def test_a_changed_byte_is_refused_wherever_it_is(day: RecordedDay, folder: Path) -> None:
    path = topic_path(folder, SESSION.name)
    whole = path.read_bytes()
    try:
        for at in (len(whole) // 3, len(whole) // 2):
            changed = bytearray(whole)
            changed[at] ^= 0x10
            path.write_bytes(changed)
            with pytest.raises(LogError, match=r"session\.parquet"):
                read_all(ArchivedLog(folder), SESSION.name)
    finally:
        path.write_bytes(whole)


def test_a_file_with_records_taken_out_is_refused_though_it_can_be_read(
    day: RecordedDay, folder: Path
) -> None:
    path, card = topic_path(folder, TICKS.name), ArchivedLog(folder).card.topics[TICKS.name]
    whole = path.read_bytes()
    records = list(day.recorded().records(TICKS.name))
    try:
        write_topic(folder, TICKS.name, card.start, card.end, [*records[:40], *records[41:]])
        with pytest.raises(LogError, match="does not hold what its card says"):
            read_all(ArchivedLog(folder), TICKS.name)
    finally:
        path.write_bytes(whole)


def read_all(archive: ArchivedLog, topic: str) -> int:
    reader, count = archive.reader({(topic, 0): archive.begin_offset(topic)}), 0
    while found := reader.poll(1_000):
        count += len(found)
    return count


def test_offsets_that_the_log_did_not_have_are_named_on_the_card(tmp_path: Path) -> None:
    records = [LogRecord("session", 0, offset, 5, b"", b"x") for offset in (3, 4, 7, 8)]
    card = write_topic(tmp_path, "session", 2, 11, records)
    assert card.gaps == ((2, 2), (5, 6), (9, 10))
    assert card.records == 4


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.tuples(st.binary(max_size=200), st.binary(max_size=12)), max_size=60),
    start=st.integers(0, 2**40),
    poll=st.integers(1, 70),
    skipped=st.integers(0, 60),
)
def test_any_bytes_come_back_as_they_were_from_any_offset_on(
    tmp_path_factory: pytest.TempPathFactory,
    values: list[tuple[bytes, bytes]],
    start: int,
    poll: int,
    skipped: int,
) -> None:
    folder = tmp_path_factory.mktemp("any")
    records = [
        LogRecord("orders", 0, start + at, start * 3 + at, key, value)
        for at, (value, key) in enumerate(values)
    ]
    card = write_topic(folder, "orders", start, start + len(records), records)
    first = start + min(skipped, len(records))
    reader = ArchivedReader(folder, _Cards(card), {("orders", 0): first})  # type: ignore[arg-type]
    back: list[LogRecord] = []
    while found := reader.poll(poll):
        assert len(found) <= poll
        back += found
    assert back == records[first - start :]


class _Cards:
    """The one part of a card that a reader looks at."""

    def __init__(self, card: object) -> None:
        self.topics = {"orders": card}


def test_ticks_of_old_days_are_forgotten_and_what_decided_them_is_kept(tmp_path: Path) -> None:
    day = a_recorded_day(tmp_path, minutes=1)
    for number in range(MARKET_KEPT_RUNS + 1):
        older = tmp_path / "sessions" / f"2026-10-{number + 1:02d}" / "paper-x-0001"
        older.mkdir(parents=True)
        for name in ("card.json", "ticks.parquet", "session.parquet"):
            (older / name).write_text("{}")
    newest = kept(day)
    with_ticks = [path.parent.parent.name for path in (tmp_path / "sessions").glob("*/*/ticks.parquet")]
    assert sorted(with_ticks) == [*(f"2026-10-{n:02d}" for n in range(3, MARKET_KEPT_RUNS + 2)), "2026-11-20"]
    assert len(list((tmp_path / "sessions").glob("*/*/session.parquet"))) == MARKET_KEPT_RUNS + 2
    assert newest in kept_folders(tmp_path)


def test_a_card_of_a_newer_format_is_refused_with_what_to_do(day: RecordedDay, folder: Path) -> None:
    path = folder / "card.json"
    whole = path.read_text()
    try:
        path.write_text(json.dumps(json.loads(whole) | {"format": 99}))
        with pytest.raises(LogError, match="format 99, this version reads 1: use a newer KitePilot"):
            ArchivedLog(folder)
    finally:
        path.write_text(whole)
